#!/bin/bash
# Brings back what the jobs made on the cluster: ./download.sh [USER@HOST:FOLDER]
# Safe at any time and any number of times; then `coordinator collect` this folder.

cd -P -- "$(dirname -- "${BASH_SOURCE[0]}")" || exit 1
# shellcheck source=folder.sh
. ./folder.sh

from=${1:-$(cat .cluster 2>/dev/null)}
case $from in
  *:*) ;;
  *) die "Where from? ./download.sh USER@HOST:FOLDER" ;;
esac
command -v rsync >/dev/null || die "rsync was not found." "Install it, or copy runs, build and submitted by other means."
printf '%s\n' "${from%/}" >.cluster
# Work folders of jobs that run and what was built are of no use here.
rsync -rltE --partial --include=/runs --include=/build --include=/submitted --include=/logs \
  --exclude=/build/tree --exclude=/build/tree.new --exclude='/runs/*/*/work' --exclude='/build/*/work' \
  --exclude='/runs/*/checkpoint*' --exclude='/*' "${from%/}/" ./ ||
  die "rsync did not finish." "Call ./download.sh again: it goes on where it was cut off."
printf 'fetched. Now: coordinator collect %s\n' "$(printf '%q' "$here")"
