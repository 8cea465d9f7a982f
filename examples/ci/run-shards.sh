#!/bin/sh
# run-shards.sh N COMMAND…: runs the command N times on the cluster, {} being the number of the shard. Ends with the first
# exit code that is not 0, after printing what the failed shards said.
set -eu
CLB=${CLB:-clb}
shards=${1:?usage: run-shards.sh N COMMAND…}
shift
run=${CLB_RUN:-$(date +%s)-$$}

code=0
ids=$(mktemp)
trap 'rm -f "$ids"' EXIT
seq "$shards" | $CLB submit -q --batch - --idempotency-key "ci-$run" --label "ci=$run" --timeout 20m -- "$@" > "$ids"
$CLB wait - < "$ids" || code=$?

for id in $($CLB tasks -q --label "ci=$run" --status failed --limit "$shards"); do
  echo "::group::shard failed, task $id"
  $CLB logs "$id"
  $CLB logs --stderr "$id"
  echo '::endgroup::'
done
exit "$code"
