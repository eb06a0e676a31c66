#!/bin/sh
# The scenarios for curl; see scenarios.py. What is left to the client, a retry for example, curl does by its own options.
set -eu
way=$1 inputs=$2
shift 2

case $way in
plain-*) base=http://$VISION_EMULATOR_HOST ;;
tls-*) base=https://$VISION_EMULATOR_HOST ;;
*) base=https://vision.googleapis.com ;;
esac
storage=$STORAGE_EMULATOR_HOST
json='Content-Type: application/json'
cat='{"image": {"source": {"imageUri": "gs://inputs/cat.jpg"}}, "features": [{"type": "LABEL_DETECTION"}]}'
labels='[.labelAnnotations[].description]'

say() { printf '{"scenario": "%s", "result": %s}\n' "$scenario" "$(jq --compact-output "$@")"; }
annotate() { curl --silent --header "$json" --data @- "$@" "$base/v1/images:annotate"; }
one() { printf '{"requests": [{"image": {"source": {"imageUri": "%s"}}, "features": [{"type": "%s"}]}]}' "$1" "$2"; }
many() {
  n=1 all=$cat
  while [ $n -lt "$1" ]; do all="$all,$cat" n=$((n + 1)); done
  printf '%s' "$all"
}
upload() { curl --fail --silent --output /dev/null --data-binary "@$inputs/$1" "$storage/upload/storage/v1/b/inputs/o?uploadType=media&name=$2"; }
# Starts an operation from standard input, waits for it, and prints the files of its prefix, one in a line, with what is in them.
offline() {
  name=$(curl --fail --silent --header "$json" --data @- "$base/v1/$1" | jq --raw-output .name)
  until curl --fail --silent "$base/v1/$name" | jq --exit-status .done >/dev/null; do :; done
  curl --fail --silent "$storage/storage/v1/b/results/o?prefix=$2" | jq --raw-output '.items[].name' | while read -r file; do
    printf '{"file": "%s", "responses": ' "$file"
    curl --fail --silent "$storage/storage/v1/b/results/o/$(printf %s "$file" | jq --raw-input --raw-output @uri)?alt=media" | jq .responses
    printf '}\n'
  done
}

for scenario; do
  case $scenario in
  label-online)
    printf '{"requests": [{"image": {"content": "%s"}, "features": [{"type": "LABEL_DETECTION"}]}]}' "$(base64 "$inputs/picture.jpg" | tr -d '\n')" |
      annotate | say ".responses[0] | $labels"
    ;;
  text-online) one gs://inputs/sign.jpg TEXT_DETECTION | annotate | say '.responses[0].fullTextAnnotation.text' ;;
  batch-offline)
    requests=
    for n in 1 2 3 4 5; do
      upload picture.jpg $n.jpg
      requests="$requests${requests:+,}$(printf %s "$cat" | sed "s/cat.jpg/$n.jpg/")"
    done
    printf '{"requests": [%s], "outputConfig": {"gcsDestination": {"uri": "gs://results/batch/"}, "batchSize": 2}}' "$requests" |
      offline images:asyncBatchAnnotate batch/ |
      say --slurp '[.[].responses[]] as $all | {files: [.[].file], uris: [$all[].context.uri], labels: [$all[].labelAnnotations[0].description]}'
    ;;
  pdf-offline)
    upload pages.pdf pages.pdf
    printf '{"requests": [{"inputConfig": {"gcsSource": {"uri": "gs://inputs/pages.pdf"}, "mimeType": "application/pdf"}, "features":
      [{"type": "DOCUMENT_TEXT_DETECTION"}], "outputConfig": {"gcsDestination": {"uri": "gs://results/pdf/"}, "batchSize": 2}}]}' |
      offline files:asyncBatchAnnotate pdf/ |
      say --slurp '[.[].responses[]] as $all | {files: [.[].file], pages: [$all[].context.pageNumber],
        lines: [$all[].fullTextAnnotation.text | split("\n")[0]]}'
    ;;
  image-error)
    printf '{"requests": [%s, %s]}' "$cat" "$(printf %s "$cat" | sed s/cat.jpg/missing.jpg/)" | annotate |
      say "{labels: .responses[0] | $labels, code: .responses[1].error.code, message: .responses[1].error.message}"
    ;;
  17-images) printf '{"requests": [%s]}' "$(many 17)" | annotate | say '.error | {code, message}' ;;
  2001-images)
    printf '{"requests": [%s], "outputConfig": {"gcsDestination": {"uri": "gs://results/many/"}}}' "$(many 2001)" |
      curl --silent --header "$json" --data @- "$base/v1/images:asyncBatchAnnotate" | say '.error | {code, message}'
    ;;
  not-found-operation) curl --silent "$base/v1/projects/p/operations/0123456789abcdef" | say '.error | {code, message}' ;;
  unavailable-twice) one gs://inputs/flaky.jpg LABEL_DETECTION | annotate --fail --retry 3 --retry-delay 1 | say ".responses[0] | $labels" ;;
  deadline)
    code=0
    one gs://inputs/slow.jpg LABEL_DETECTION | annotate --max-time 1 >/dev/null || code=$?
    echo "$code" | say 'if . == 28 then {code: "DEADLINE_EXCEEDED", message: "curl: (28)"} else . end'
    ;;
  esac
done
