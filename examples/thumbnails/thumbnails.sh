#!/bin/sh
# thumbnails.sh FOLDER: a picture out of each video of the folder, as FILE.jpg beside it.
set -eu
CLB=${CLB:-clb}
folder=$(cd "${1:?usage: thumbnails.sh FOLDER}" && pwd)

if [ -z "${THUMBNAIL_COMMAND:-}" ]; then
  if ! command -v ffmpeg > /dev/null; then
    echo 'thumbnails.sh: there is no ffmpeg here. Install it on every node, or name another program:' >&2
    echo "  THUMBNAIL_COMMAND='my-thumbnailer {} {}.jpg' $0 $folder" >&2
    exit 2
  fi
  THUMBNAIL_COMMAND='ffmpeg -loglevel error -y -ss 1 -i {} -frames:v 1 -vf scale=320:-1 {}.jpg'
fi

# Ids go to a file for later (clb logs ID); messages and the bar are on stderr.
# shellcheck disable=SC2086 # the command's words
find "$folder" -type f \( -name '*.mp4' -o -name '*.mkv' -o -name '*.webm' \) |
  $CLB submit -q --batch - --wait --timeout 2m --max-attempts 2 --label "thumbnails=$(basename "$folder")" \
    -- $THUMBNAIL_COMMAND > "$folder/tasks.txt"
