#!/bin/bash
# Copies this folder to the cluster: ./upload.sh USER@HOST:FOLDER
# Call it again after a cut: it goes on. Later ./download.sh brings back what was made there.

cd -P -- "$(dirname -- "${BASH_SOURCE[0]}")" || exit 1
# shellcheck source=folder.sh
. ./folder.sh

to=${1:-$(cat .cluster 2>/dev/null)}
case $to in
  *:*) ;;
  *) die "Where to? ./upload.sh USER@HOST:FOLDER" "For example ./upload.sh ana@login.example.org:sweep" ;;
esac
command -v rsync >/dev/null || die "rsync was not found." "Install it, or copy this folder by other means."
printf '%s\n' "${to%/}" >.cluster
# The list of what belongs to a whole copy comes last.
{
  rsync -rltp --partial --exclude=/results --exclude=/.collected --exclude=/.cluster --exclude=/runs \
    --exclude=/build --exclude=/submitted --exclude=/logs --exclude=/files.sha256 ./ "${to%/}/" &&
    rsync -tp files.sha256 "${to%/}/"
} || die "rsync did not finish." "Call ./upload.sh again: it goes on where it was cut off."
printf 'copied. Now on the cluster:\n  ssh %s\n  cd %s && ./submit.sh\n' "${to%%:*}" "${to#*:}"
