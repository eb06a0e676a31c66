#!/bin/sh
# The scenarios for gcloud storage, as far as it has commands for them; see storage_scenarios.py.
set -eu
inputs=$2
shift 2
export CLOUDSDK_STORAGE_RESUMABLE_THRESHOLD=262144 CLOUDSDK_STORAGE_UPLOAD_CHUNK_SIZE=262144

if [ -n "${STORAGE_EMULATOR_HOST-}" ] && [ -z "${CLOUDSDK_API_ENDPOINT_OVERRIDES_STORAGE-}" ]; then
  export CLOUDSDK_API_ENDPOINT_OVERRIDES_STORAGE="$STORAGE_EMULATOR_HOST/storage/v1/"
  export CLOUDSDK_AUTH_DISABLE_CREDENTIALS=true CLOUDSDK_CORE_PROJECT=p
fi

say() { printf '{"scenario": "%s", "result": %s}\n' "$scenario" "$(jq --compact-output "$@")"; }
copy() { gcloud storage cp --quiet --no-user-output-enabled "$@"; }
described() { gcloud storage objects describe "$1" --raw --format=json; }
names() { gcloud storage ls "$@" | sed 's|gs://shelf/||'; }
hex() { gcloud storage cat "$1" --range="$2" | od -An -v -tx1 | tr -d ' \n'; }
# The HTTP status of a command that fails: what it says of it, or that there was nothing.
status() {
  if told=$("$@" 2>&1); then
    echo 200
  else
    printf '%s' "$told" | grep -oE '\b4(00|04|12)\b' | head -1 | grep . || echo 404
  fi
}

for scenario; do
  case $scenario in
  interrupted)
    copy "$inputs/large.bin" gs://shelf/interrupted.bin
    gcloud storage ls --json gs://shelf/interrupted.bin | say '.[0].metadata | {size: (.size | tonumber), crc32c: .crc32c}'
    ;;
  upload)
    copy --content-type=text/plain --custom-metadata=colour=blue "$inputs/small.txt" gs://shelf/small.txt
    described gs://shelf/small.txt | say '{size: (.size | tonumber), contentType, metadata: {colour: .metadata.colour}, crc32c, md5: .md5Hash}'
    ;;
  chunks)
    copy "$inputs/large.bin" gs://shelf/large.bin
    copy gs://shelf/large.bin back.bin
    sha256sum back.bin | cut -d ' ' -f 1 | say --raw-input .
    ;;
  wrong-hash) status gcloud storage cp --content-md5=AAAAAAAAAAAAAAAAAAAAAA== "$inputs/small.txt" gs://shelf/wrong.txt | say . ;;
  ranges) for range in 10-19 -7 1048576-; do hex gs://shelf/large.bin "$range"; echo; done | say --raw-input --slurp 'split("\n")[:-1]' ;;
  delimiter)
    for name in a.txt b.jpg deep/c.txt deep/er/d.txt; do
      mkdir -p "tree/${name%/*}" 2>/dev/null || true
      [ -f "tree/$name" ] || { rm -rf "tree/$name" && mkdir -p "$(dirname "tree/$name")" && printf x >"tree/$name"; }
    done
    copy --recursive tree gs://shelf/
    names gs://shelf/tree/ | say --raw-input --slurp 'split("\n")[:-1] | {names: map(select(endswith("/") | not)), prefixes: map(select(endswith("/")))}'
    ;;
  glob) names 'gs://shelf/tree/**.txt' | say --raw-input --slurp 'split("\n")[:-1]' ;;
  preconditions)
    copy --if-generation-match=0 "$inputs/small.txt" gs://shelf/once.txt
    first=$(described gs://shelf/once.txt | jq --raw-output .generation)
    refused=$(status gcloud storage cp --if-generation-match=0 "$inputs/small.txt" gs://shelf/once.txt)
    copy --if-generation-match="$first" "$inputs/small.txt" gs://shelf/once.txt
    second=$(described gs://shelf/once.txt | jq --raw-output .generation)
    old=$(status gcloud storage cat "gs://shelf/once.txt#$first")
    say --null-input "{refused: $refused, grew: ($second > $first), old: $old}"
    ;;
  copy)
    copy gs://shelf/small.txt gs://shelf/copy.txt
    described gs://shelf/copy.txt | say --arg content "$(gcloud storage cat gs://shelf/copy.txt)" '{content: ($content + "\n"), contentType}'
    ;;
  rewrite)
    copy gs://shelf/large.bin gs://other/large.bin
    described gs://other/large.bin | say '{bucket, size: (.size | tonumber), crc32c}'
    ;;
  compose)
    gcloud storage objects compose gs://shelf/small.txt gs://shelf/small.txt gs://shelf/twice.txt --quiet --no-user-output-enabled
    gcloud storage cat gs://shelf/twice.txt >twice.txt
    same=$(cat "$inputs/small.txt" "$inputs/small.txt" | cmp -s - twice.txt && echo true || echo false)
    described gs://shelf/twice.txt | say "{same: $same, components: .componentCount}"
    ;;
  patch)
    gcloud storage objects update gs://shelf/copy.txt --content-type=text/x-note --update-custom-metadata=shape=round --quiet --no-user-output-enabled
    described gs://shelf/copy.txt | say '{contentType, metadata: {colour: .metadata.colour, shape: .metadata.shape}, metageneration: (.metageneration | tonumber)}'
    ;;
  delete)
    gcloud storage rm gs://shelf/copy.txt --quiet --no-user-output-enabled
    say --null-input "[$(status gcloud storage objects describe gs://shelf/copy.txt), $(status gcloud storage rm gs://shelf/copy.txt)]"
    ;;
  esac
done
