#!/bin/bash
# shellcheck disable=SC2016  # the $2 are those of awk
# Shows how far this folder's jobs are, and notes SLURM's word about them for `coordinator collect`.

cd -P -- "$(dirname -- "${BASH_SOURCE[0]}")" || exit 1
# shellcheck source=folder.sh
. ./folder.sh

ended=$(ended_jobs)
tell() { # WORDS COUNT
  if [ "$2" -gt 0 ]; then printf '  %-22s %s\n' "$1" "$2"; fi
}
count() { # EXPRESSION of awk over FOLDER HOW CODE
  awk "$1"' { n++ } END { print n + 0 }' <<<"$ended"
}

printf '%s: %s jobs\n' "$TITLE" "$JOBS"
if [ "$HAS_BUILD" = 1 ]; then
  if [ -d build/tree ]; then
    printf '  the build has succeeded\n'
  elif [ -n "$(find build -name status 2>/dev/null)" ]; then
    printf '  the build has FAILED: see %s\n' "$(find build -name log.txt | sort -V | tail -n 1)"
  fi
fi
tell succeeded "$(count '$2 == "exited" && $3 == 0')"
tell failed "$(count '($2 == "exited" && $3 != 0) || $2 == "not_started"')"
tell 'over their run_time' "$(count '$2 == "run_time"')"
tell 'over their time' "$(count '$2 == "timeout"')"
tell stopped "$(count '$2 == "stopped"')"
tell 'to go on later' "$(count '$2 == "requeued"')"
if command -v squeue >/dev/null && queue=$(in_the_queue); then
  awk -F'|' '{ n[$3]++ } END { for (state in n) printf "  at SLURM, %-12s %s\n", tolower(state), n[state] }' <<<"$queue"
  mkdir -p submitted
  living='\|(PENDING|CONFIGURING|RUNNING|COMPLETING|SUSPENDED|STOPPED|STAGE_OUT|SIGNALING|RESIZING|REQUEUE[A-Z_]*|SPECIAL_EXIT)\|'
  # Only here, on the cluster, can it be asked; `collect` may be called far away.
  {
    date +%s
    # SLURM forgets what has ended, so its last words are kept; whatever had not is gone with them.
    { if [ -f submitted/words ]; then grep -E '\|[A-Z_]+\|fallow-' submitted/words | grep -vE "$living"; fi
      printf '%s\n' "$queue"; } |
      awk -F'|' 'NF == 5 { word[$1 "|" $2] = $0 } END { for (task in word) print word[task] }'
    if sacct -h >/dev/null 2>&1 && ids=$(submitted_ids | paste -sd, -) && [ -n "$ids" ]; then
      sacct -n -P -X -j "$ids" -o JobID,State,ExitCode 2>/dev/null | sed 's/^/sacct|/'
    fi
  } >submitted/.words && mv submitted/.words submitted/words
else
  printf '  SLURM does not answer here, so only what has ended is known\n'
fi
