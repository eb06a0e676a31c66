#!/bin/sh
# Labels of a picture, and a file in a bucket; written for the real service.
set -eu
gcloud ml vision detect-labels gs://cloud-samples-data/vision/label/wakeupcat.jpg --format='value(responses[0].labelAnnotations[0].description)'
gcloud storage buckets create --quiet gs://unchanged
printf 'hello\n' | gcloud storage cp --quiet - gs://unchanged/greeting.txt
gcloud storage cat gs://unchanged/greeting.txt
