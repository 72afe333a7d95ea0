#!/bin/bash
# Hands this folder's jobs to SLURM. Call it again whenever in doubt: nothing is submitted twice.
#   ./submit.sh           submit what is not submitted yet
#   ./submit.sh --check   check everything, submit nothing
#   ./submit.sh --again   once all has ended: submit again what has not succeeded

cd -P -- "$(dirname -- "${BASH_SOURCE[0]}")" || exit 1
# shellcheck source=folder.sh
. ./folder.sh

mode=${1:-}
# What plan.sh has said.
# shellcheck disable=SC2153
planned=$CHUNK most=$THROTTLE total=$JOBS
case $mode in
  '' | --check | --again) ;;
  *) die "There is no option $mode." "Usage: ./submit.sh [--check|--again]" ;;
esac

# --- what must hold before anything is submitted --------------------------------------------------

check_place() {
  case $here in
    *[%\\]* | *[[:cntrl:]]*)
      die "SLURM cannot write to this folder: its path has a % or a backslash in it." \
        "It is $here" "Move or rename it, then call ./submit.sh again."
      ;;
  esac
  if [ "$HAS_IMAGE" = 1 ]; then
    case $here in
      *[,:]*) die "Containers cannot use this folder: its path has a comma or a colon in it." \
        "It is $here" "Move or rename it, then call ./submit.sh again." ;;
    esac
  fi
}

check_whole() {
  local wrong file
  for file in files.sha256 executable; do
    [ -f "$file" ] || die "This folder was not copied whole: $file is missing." \
      "Copy it again (./upload.sh goes on where it was cut off)."
  done
  wrong=$(LC_ALL=C sha256sum --check --quiet --strict files.sha256 2>/dev/null | head -n 5)
  if [ -n "$wrong" ] || ! sha256sum --check --status --strict files.sha256 2>/dev/null; then
    die "This folder was not copied whole, or something in it was changed." \
      "${wrong:-files.sha256 itself cannot be read}" \
      "Copy it again (./upload.sh goes on where it was cut off)."
  fi
  while IFS= read -r -d '' file; do
    [ -x "$file" ] || chmod +x "$file"
  done <executable
  mkdir -p submitted runs logs || exit 1
}

take_turns() {
  if command -v flock >/dev/null; then
    exec 9>submitted/.lock
    flock -n 9 || die "Another ./submit.sh of this folder is at work." "Wait until it has ended."
  fi
}

# Asks for at most what the largest node has, in the words of `sinfo`.
check_needs() {
  local class nodes
  nodes=$(sinfo -h -N -e -o '%N|%c|%m|%G|%f|%R|%l') ||
    die "SLURM does not answer (sinfo)." "Nothing was submitted. Try again in a while."
  for class in $(seq 1 $((${#CLASS_SIZE[@]} - 1))); do
    printf '%s\n' "$nodes" | awk -F'|' \
      -v cpus="${NEED_CPUS[class]}" -v memory="${NEED_MEMORY[class]}" -v gpus="${NEED_GPUS[class]}" \
      -v features="${NEED_FEATURES[class]}" -v partition="${NEED_PARTITION[class]}" \
      -v time="${NEED_TIME[class]}" -v jobs="${CLASS_SIZE[class]}" '
      function seconds(text,    day, part, count) {
        if (text == "infinite") return 1e12
        if (text !~ /^[0-9:-]+$/) return 1e12
        day = 0
        if (split(text, part, "-") == 2) { day = part[1]; text = part[2] }
        count = split(text, part, ":")
        if (count == 3) return ((day * 24 + part[1]) * 60 + part[2]) * 60 + part[3]
        if (count == 2) return (day * 1440 + part[1]) * 60 + part[2]
        return part[1] * 60
      }
      function graphics(text,    part, count, i, found, word, n) {
        count = split(text, part, ",")
        for (i = 1; i <= count; i++)
          if (part[i] ~ /^gpu:/) {
            word = part[i]; sub(/\(.*/, "", word); n = word; sub(/.*:/, "", n); found += n
          }
        return found + 0
      }
      {
        lacking = 0; words = ""
        if ($2 + 0 < cpus + 0) { lacking++; words = words ", " ($2 + 0) " of " cpus " CPUs" }
        if ($3 + 0 < memory + 0) { lacking++; words = words ", " ($3 + 0) " of " memory " MB of memory" }
        if (graphics($4) < gpus + 0) { lacking++; words = words ", " graphics($4) " of " gpus " GPUs" }
        count = split(features, wanted, ",")
        for (i = 1; i <= count; i++)
          if (index("," $5 ",", "," wanted[i] ",") == 0) { lacking++; words = words ", no feature " wanted[i] }
        if (partition != "" && index("," partition ",", "," $6 ",") == 0) { lacking += 9; words = words ", not in partition " partition }
        if (time + 0 > seconds($7)) { lacking++; words = words ", its jobs may run for " $7 " only" }
        if (!lacking) { fits = 1; exit }
        if (best == "" || lacking < least || (lacking == least && $2 + 0 > most)) {
          best = $1 " (partition " $6 "): " substr(words, 3); least = lacking; most = $2 + 0
        }
      }
      END {
        if (fits) exit 0
        printf "No node of this cluster can run %d of the jobs (%d CPUs each).\n", jobs, cpus
        if (best != "") printf "  The nearest is %s.\n", best
        exit 1
      }' >&2 || die "Nothing was submitted." "Ask for less in the batch file, then export again."
  done
}

some_are_down() {
  sinfo -h -N -o %T | grep -qEi 'down|drain|fail|maint|unknown|power|\*'
}

# SLURM looks at every script before the first one counts.
check_scripts() {
  local script said
  for script in build.sbatch class*.sbatch; do
    [ -f "$script" ] || continue
    said=$(sbatch --test-only --chdir="$here" "$script" "$here" 0 check 2>&1) && continue
    if [[ $said == *'node configuration is not available'* ]] && some_are_down; then
      printf 'SLURM could not run %s now; jobs will wait until nodes are back.\n' "$script" >&2
      continue
    fi
    die "SLURM refuses $script; nothing was submitted." "$said" \
      "Mend the slurm: keys of the batch file or the site file, then export again."
  done
}

# --- submitting -----------------------------------------------------------------------------------

look_up() { # KEY: the number under which SLURM has it, if it does
  awk -F'|' -v key="$1" '$4 == key { print $1; exit }' <<<"$queue"
}

remember() { # KEY NUMBER
  printf '%s\n' "$2" >"submitted/.$1" && mv "submitted/.$1" "submitted/$1"
}

hand_in() { # KEY WORD...: submit one script unless it is there; sets number and taken
  local key=$1 try said
  shift
  taken=0
  if [ -f "submitted/$key" ]; then
    number=$(cat "submitted/$key")
    return
  fi
  for try in 1 2 3; do
    number=$(look_up "$key")
    if [ -n "$number" ]; then
      remember "$key" "$number"
      return
    fi
    if said=$(sbatch --parsable --comment="$key" --chdir="$here" "$@" 2>submitted/.said); then
      number=${said%%;*}
      taken=1
      remember "$key" "$number"
      return
    fi
    # It may have been taken and only the answer lost, so it is looked for before the next try.
    queue=$(in_the_queue) || break
    number=$(look_up "$key")
    [ -n "$number" ] || sleep "$try"
  done
  die "SLURM did not take $key: $(cat submitted/.said)" \
    "What was submitted before stays. When this is mended, call ./submit.sh again: it goes on."
}

tasks_of() { # CLASS OFFSET COUNT: which of them, as sbatch is told
  if [ "$round" = 0 ]; then
    printf '0-%d' $(($3 - 1))
    return
  fi
  sed -n "$(($2 + 1)),$(($2 + $3))p" "tasks/$1" | sed 's/^index=.\([0-9]*\).*/\1/' |
    awk -v done_file=submitted/.succeeded '
      BEGIN { while ((getline job < done_file) > 0) succeeded[job] = 1 }
      !($1 in succeeded) { printf "%s%d", comma, NR - 1; comma = "," }'
}

begin_round() {
  round=$(cat submitted/round 2>/dev/null || echo 0)
  if [ "$mode" = --again ]; then
    if awk -F'|' '$3 ~ /^(PENDING|RUNNING|COMPLETING|CONFIGURING|SUSPENDED|REQUEUE)/ { found = 1 } END { exit !found }' <<<"$queue"; then
      die "Some jobs of this folder still wait or run." "See ./status.sh; end them with ./cancel.sh."
    fi
    round=$((round + 1))
    printf '%s\n' "$round" >submitted/.round && mv submitted/.round submitted/round
  fi
  ended_jobs | awk '$2 == "exited" && $3 == "0" { print $1 }' >submitted/.succeeded
}

submit_all() {
  local class offset size count tasks key throttle='' arrays=0 jobs=0 known=0 chunks=0
  local dependency=()
  if [ "$HAS_BUILD" = 1 ] && [ ! -d build/tree ]; then
    hand_in "fallow-$EXPORT-build-$round" build.sbatch "$here"
    dependency=(--dependency="afterok:$number" --kill-on-invalid-dep=yes)
    if [ "$taken" = 1 ]; then printf 'build: submitted as %s\n' "$number"; else printf 'build: is %s already\n' "$number"; fi
  fi
  for class in $(seq 1 $((${#CLASS_SIZE[@]} - 1))); do
    chunks=$((chunks + (CLASS_SIZE[class] + chunk - 1) / chunk))
  done
  if [ "$most" -gt 0 ]; then
    throttle=$((most / chunks))
    throttle=%$((throttle > 0 ? throttle : 1))
  fi
  for class in $(seq 1 $((${#CLASS_SIZE[@]} - 1))); do
    size=${CLASS_SIZE[class]} offset=0
    while [ "$offset" -lt "$size" ]; do
      count=$((size - offset < chunk ? size - offset : chunk))
      key=fallow-$EXPORT-$class-$offset-$round
      tasks=$(tasks_of "$class" "$offset" "$count")
      if [ -n "$tasks" ]; then
        hand_in "$key" ${dependency[@]+"${dependency[@]}"} --array="$tasks$throttle" \
          "class$class.sbatch" "$here" "$offset" "$key"
        if [ "$taken" = 1 ]; then
          arrays=$((arrays + 1)) jobs=$((jobs + count))
          printf 'class %s, tasks %s-%s: submitted as %s\n' "$class" "$offset" "$((offset + count - 1))" "$number"
        else
          known=$((known + 1))
          printf 'class %s, tasks %s-%s: is %s already\n' "$class" "$offset" "$((offset + count - 1))" "$number"
        fi
      fi
      offset=$((offset + count))
    done
  done
  printf '%s: %s arrays submitted now, %s were already. See ./status.sh\n' "$TITLE" "$arrays" "$known"
}

need sbatch squeue sinfo scontrol sha256sum awk
check_place
check_whole
take_turns
largest=$(scontrol show config 2>/dev/null | awk -F'= *' '/^MaxArraySize/ { print $2; exit }')
[ -n "$largest" ] || die "SLURM does not answer (scontrol)." "Nothing was submitted. Try again in a while."
# Kept, so that a later call cuts the jobs into the same arrays.
if [ ! -f submitted/chunk ]; then
  printf '%s\n' "$((planned < largest ? planned : largest))" >submitted/.chunk && mv submitted/.chunk submitted/chunk
fi
chunk=$(cat submitted/chunk)
[ "$chunk" -le "$largest" ] || die "This cluster takes arrays of $largest jobs, not of $chunk as another one did." \
  "Export again for this cluster."
if [ -z "$(submitted_ids)" ] || [ -n "$mode" ]; then
  check_needs
  check_scripts
fi
if [ "$mode" = --check ]; then
  printf '%s: %s jobs could be submitted\n' "$TITLE" "$total"
  exit 0
fi
queue=$(in_the_queue) || die "SLURM does not answer (squeue)." "Nothing was submitted now. Try again in a while."
begin_round
submit_all
