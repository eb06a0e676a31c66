#!/bin/sh
# Labels of a picture; written for the real service.
set -eu
curl --fail --silent "https://vision.googleapis.com/v1/images:annotate?key=any" --header 'Content-Type: application/json' --data '{"requests": [{
  "image": {"source": {"imageUri": "gs://cloud-samples-data/vision/label/wakeupcat.jpg"}},
  "features": [{"type": "LABEL_DETECTION"}]}]}' | jq --raw-output '.responses[0].labelAnnotations[0].description'
