# What the programs of an exported folder share. Read by them, with the folder as current folder.
# shellcheck shell=bash disable=SC2034

set -u
here=$(pwd -P)
# shellcheck source=/dev/null
if ! . ./plan.sh; then
  printf 'This folder was not copied whole: plan.sh cannot be read. Copy it again.\n' >&2
  exit 1
fi

die() { # SENTENCE...: what is wrong, then what now
  printf '%s\n' "$1" >&2
  shift
  for line in "$@"; do printf '  %s\n' "$line" >&2; done
  exit 1
}

need() { # PROGRAM...
  local program
  for program in "$@"; do
    command -v "$program" >/dev/null ||
      die "$program was not found." "Call this on a login node of the cluster, where SLURM's commands are."
  done
}

# Of every job of this export that SLURM still knows: number, task, state, key, reason.
in_the_queue() {
  squeue -h -r -u "$(id -un)" -t all -o '%F|%K|%T|%k|%r' | grep -F "|fallow-$EXPORT-"
  [ "${PIPESTATUS[0]}" = 0 ]
}

submitted_ids() {
  local file
  for file in submitted/fallow-*; do
    if [ -f "$file" ]; then cat "$file"; fi
  done | sort -un
}

# The newest word of each job: one line per job, "FOLDER HOW", by their status files alone.
ended_jobs() {
  [ -d runs ] || return 0
  find runs -mindepth 3 -maxdepth 3 -name status -exec grep -H -m 1 '^how=' {} + |
    awk '{ at = index($0, ":how="); split(substr($0, 1, at - 1), part, "/")
           how = substr($0, at + 5)
           if (part[3] + 0 >= number[part[2]] + 0) { number[part[2]] = part[3]; word[part[2]] = how } }
         END { for (job in word) print job, word[job] }'
}
