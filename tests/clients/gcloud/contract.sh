#!/bin/sh
# The scenarios for gcloud, as far as it has commands for them; see scenarios.py.
set -eu
way=$1 inputs=$2
shift 2

case $way in
plain-*) eval "$("$EMULATOR" snippet gcloud --host "$VISION_EMULATOR_HOST" | grep ^export)" ;;
tls-*)
  export CLOUDSDK_API_ENDPOINT_OVERRIDES_VISION="https://$VISION_EMULATOR_HOST/"
  export CLOUDSDK_API_ENDPOINT_OVERRIDES_STORAGE="https://$VISION_EMULATOR_HOST/storage/v1/"
  export CLOUDSDK_AUTH_DISABLE_CREDENTIALS=true CLOUDSDK_CORE_PROJECT=vision-emulator
  ;;
esac

say() { printf '{"scenario": "%s", "result": %s}\n' "$scenario" "$(jq --compact-output "$@")"; }
labels() { gcloud ml vision detect-labels "$1" --format=json | say '.responses[0] | [.labelAnnotations[].description]'; }

for scenario; do
  case $scenario in
  label-online) labels "$inputs/picture.jpg" ;;
  text-online) gcloud ml vision detect-text gs://inputs/sign.jpg --format=json | say '.responses[0].fullTextAnnotation.text' ;;
  pdf-offline)
    gcloud storage cp --quiet "$inputs/pages.pdf" gs://inputs/pages.pdf
    gcloud ml vision detect-text-pdf gs://inputs/pages.pdf gs://results/pdf/ --batch-size=2 --format=none
    gcloud storage ls gs://results/pdf/ | while read -r url; do
      printf '{"file": "%s", "responses": ' "${url#gs://results/}"
      gcloud storage cat "$url" | jq .responses
      printf '}\n'
    done | say --slurp '[.[].responses[]] as $all | {files: [.[].file], pages: [$all[].context.pageNumber],
      lines: [$all[].fullTextAnnotation.text | split("\n")[0]]}'
    ;;
  unavailable-twice) labels gs://inputs/flaky.jpg ;;
  esac
done
