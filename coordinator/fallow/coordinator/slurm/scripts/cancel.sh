#!/bin/bash
# Cancels every job of this folder that waits or runs. What has ended stays.

cd -P -- "$(dirname -- "${BASH_SOURCE[0]}")" || exit 1
# shellcheck source=folder.sh
. ./folder.sh

need scancel squeue
queue=$(in_the_queue) || die "SLURM does not answer (squeue)." "Nothing was cancelled. Try again."
ids=$(awk -F'|' '$3 ~ /^(PENDING|RUNNING|COMPLETING|CONFIGURING|SUSPENDED|REQUEUE)/ { print $1 }' <<<"$queue" | sort -un)
if [ -z "$ids" ]; then
  printf '%s: nothing waits or runs\n' "$TITLE"
  exit 0
fi
# shellcheck disable=SC2086  # numbers
scancel $ids || die "SLURM did not cancel all of: $ids" "Try again."
printf '%s: cancelled %s\n' "$TITLE" "$(printf '%s' "$ids" | tr '\n' ' ')"
