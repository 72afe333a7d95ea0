# Runs one job, or the build, of an exported batch on the node that SLURM gave it.
# Read by the scripts that sbatch is given; needs bash, coreutils, findutils and sed, no Python.
# What it leaves in runs/JOB/ATTEMPT/ is the truth about the attempt: `status` is written last.
# shellcheck shell=bash disable=SC2034

set -u
umask 077
fallow=$1 # the exported folder
# shellcheck source=/dev/null
. "$fallow/plan.sh"

milliseconds() {
  local now=${EPOCHREALTIME-} # which bash has had since its release 5
  now=${now/[.,]/}
  if [ -n "$now" ]; then printf '%s\n' "${now%???}"; else date +%s%3N; fi
}
complain() { printf 'fallow: %s: %s\n' "${label:-?}" "$*" >&2; }

# --- one line of tasks/ ---------------------------------------------------------------------------

read_task() { # CLASS NUMBER
  local line
  index='' name='' script=() puts=() tops=() variables=() words=() image='' arguments=() mounts=()
  line=$(sed -n "$(($2 + 1)){p;q}" "$fallow/tasks/$1")
  # The line was written by `coordinator export`: assignments whose every value is quoted.
  eval "$line"
  if [ -z "$index" ]; then
    complain "task $2 is not in tasks/$1: was the folder copied whole?"
    exit 1
  fi
}

# --- the attempt's folder -------------------------------------------------------------------------

begin_attempt() { # FOLDER: the first free number below it; `here` is ours, `before` the one before
  local top=$1
  mkdir -p "$top" || exit 1
  attempt=1
  until mkdir "$top/$attempt" 2>/dev/null; do
    if [ ! -d "$top/$attempt" ]; then
      complain "cannot make a folder in $top: is the disk full?"
      exit 1
    fi
    if grep -qsx 'how=exited 0' "$top/$attempt/status"; then
      complain "this has succeeded already"
      exit 0
    fi
    attempt=$((attempt + 1))
  done
  here=$top/$attempt before=
  if [ "$attempt" -gt 1 ]; then before=$top/$((attempt - 1)); fi
  {
    printf 'slurm=%s\n' "${SLURM_JOB_ID:-}"
    printf 'array=%s_%s\n' "${SLURM_ARRAY_JOB_ID:-}" "${SLURM_ARRAY_TASK_ID:-}"
    printf 'node=%s\n' "${SLURMD_NODENAME:-$(hostname)}"
    printf 'began=%s\n' "$(milliseconds)"
  } >"$here/began.tmp"
  mv "$here/began.tmp" "$here/began"
}

# Whether the attempt before was cut off, so that this one goes on where it was.
cut_off() {
  [ -n "$before" ] && ! grep -qsE '^how=(exited|run_time|timeout|not_started)' "$before/status"
}

make_work() {
  if [ -n "$SCRATCH" ]; then
    work=$(eval "printf %s \"$SCRATCH\"")
    mkdir -p "$work" && work=$(mktemp -d "$work/fallow-XXXXXX") || return 1
    # shellcheck disable=SC2064
    trap "rm -rf -- '${work//\'/\'\\\'\'}'" EXIT
  else
    work=$here/work
    mkdir "$work" || return 1
  fi
}

copy() { cp -R --preserve=mode,timestamps,links --reflink=auto "$@"; }

# The folder TARGET receives what inputs/NUMBER is: a file of that name, or a folder's content.
put() { # NUMBER TARGET
  local from=$fallow/inputs/$1
  if [ -d "$from" ]; then
    mkdir -p "$2" && copy --remove-destination "$from/." "$2/"
  else
    mkdir -p "${2%/*}" && copy --remove-destination "$from" "$2"
  fi
}

place_shared() {
  local at=0 target
  while [ "$at" -lt "${#SHARED[@]}" ]; do
    for target in input initial_files; do
      target=$work/$target/${SHARED[at + 1]}
      # What a build made of its inputs stays, since it may have built in among them.
      if [ ! -e "$target" ]; then put "${SHARED[at]}" "$target" || return 1; fi
    done
    at=$((at + 2))
  done
}

prepare() {
  local at=0 top
  make_work || return 1
  if [ "$HAS_BUILD" = 1 ] && [ "$building" = 0 ]; then
    cp -a --reflink=auto "$fallow/build/tree/." "$work/" || return 1
  fi
  mkdir -p "$work/input" "$work/initial_files" "$work/distribute_save" "$work/.fallow" || return 1
  place_shared || return 1
  while [ "$at" -lt "${#puts[@]}" ]; do
    put "${puts[at]}" "$work/input/${puts[at + 1]}" || return 1
    at=$((at + 2))
  done
  if [ "${#script[@]}" = 2 ]; then
    rm -rf -- "${work:?}/${script[1]}" # a build may have left another one there
    put "${script[0]}" "$work/${script[1]}" && chmod 755 "$work/${script[1]}" || return 1
  fi
  for top in ${tops[@]+"${tops[@]}"}; do
    if [ ! -e "$work/$top" ] && [ ! -L "$work/$top" ]; then
      ln -s "input/$top" "$work/$top" || return 1
    fi
  done
  if [ "$building" = 0 ] && [ -d "$run/checkpoint" ]; then
    copy --remove-destination "$run/checkpoint/." "$work/" || return 1
  fi
  if [ -n "$image" ]; then
    local binds="$work/distribute_save:/distribute_save:rw,$work/input:/input:rw"
    at=0
    while [ "$at" -lt "${#mounts[@]}" ]; do
      if [ -n "${mounts[at]}" ]; then
        binds=$binds,${mounts[at]}:${mounts[at + 1]}:ro
      else
        mkdir -p "$work/.fallow/mounts/$((at / 2))" || return 1
        binds=$binds,$work/.fallow/mounts/$((at / 2)):${mounts[at + 1]}:rw
      fi
      at=$((at + 2))
    done
    bind_saved
    local graphics=()
    if [ -e /dev/nvidiactl ]; then graphics=(--nv); fi
    words=("${CONTAINER[@]}" run ${graphics[@]+"${graphics[@]}"} --app distribute --bind "$binds" "$fallow/inputs/$image"
      ${arguments[@]+"${arguments[@]}"})
  fi
}

# --- the program ----------------------------------------------------------------------------------

asked='' child='' reaper=''

on_warning() { # SLURM says that the time is nearly over
  [ -z "$asked" ] || return 0
  asked='time'
  tell "$CHECKPOINT_SIGNAL"
}

on_term() { # cancelled, preempted, or the time is over
  case $asked in stopped | time) return 0 ;; esac
  asked=stopped
  tell "$CHECKPOINT_SIGNAL"
}

on_run_time() {
  [ -z "$asked" ] || return 0
  asked=run_time
  tell TERM
}

tell() { # SIGNAL: to the whole group of the program, and the end of it a little later
  [ -n "$child" ] || return 0
  kill -s "$1" -- "-$child" 2>/dev/null
  # shellcheck disable=SC2016  # for the shell that is started
  setsid bash -c 'sleep "$1"; kill -KILL -- "-$2"' fallow "$GRACE" "$child" 2>/dev/null &
  reaper=$!
}

# From the very beginning: a shell without them would die at the first word of SLURM.
trap on_warning USR1
trap on_term TERM
trap on_run_time USR2

end_group() { # PID
  [ -z "$1" ] || kill -KILL -- "-$1" 2>/dev/null
}

run_program() { # STDOUT STDERR; sets code
  local watch=
  code=127
  [ -z "$asked" ] || return 0 # before there was anything to run
  (
    cd "$work" || exit 126
    umask 022
    export ${variables[@]+"${variables[@]}"}
    exec setsid "${words[@]}" # a group of its own, so that all of it can be told
  ) >>"$1" 2>>"$2" </dev/null &
  child=$!
  [ -z "$asked" ] || tell TERM # that came before there was anybody to be told
  if [ "$building" = 0 ] && [ -n "$RUN_TIME" ]; then
    local left=$((RUN_TIME - spent))
    # shellcheck disable=SC2016  # for the shell that is started
    setsid bash -c 'sleep "$1"; kill -s USR2 "$2"' fallow \
      "$((left > 0 ? left / 1000 : 0)).$(printf %03d $((left > 0 ? left % 1000 : 1)))" "$$" 2>/dev/null &
    watch=$!
  fi
  wait "$child"
  code=$?
  # Once it was told to end, its code says nothing. A shell line may die of the signal at once, while
  # the program that it started saves itself.
  while [ -n "$asked" ] && kill -0 -- "-$child" 2>/dev/null && kill -0 "$reaper" 2>/dev/null; do
    sleep 0.05
  done
  end_group "$child"
  end_group "$watch"
  end_group "$reaper"
  child='' reaper=''
}

# --- what it leaves -------------------------------------------------------------------------------

keep_links() { # as far as they mean a file of the same work folder
  local link target
  find "$1" -type l -print0 | while IFS= read -r -d '' link; do
    target=$(readlink -f -- "$link") || continue
    case $target in
      "$(readlink -f -- "$work")"/*)
        if [ -f "$target" ]; then cp --remove-destination --preserve=mode "$target" "$link"; fi
        ;;
    esac
  done
}

keep_output() {
  local from=$work/distribute_save
  if [ -L "$from" ] || [ ! -d "$from" ]; then
    return 0 # `coordinator collect` will say so
  fi
  chmod -R u+rwX "$from" 2>/dev/null
  keep_links "$from"
  mv "$from" "$here/distribute_save"
}

keep_checkpoint() {
  local place parent
  [ "${#CHECKPOINT_FILES[@]}" -gt 0 ] || return 0
  rm -rf "$run/checkpoint.new"
  mkdir "$run/checkpoint.new" || return 1
  for place in "${CHECKPOINT_FILES[@]}"; do
    place=${place%/}
    [ -e "$work/$place" ] || continue
    parent=$run/checkpoint.new
    case $place in */*) parent=$parent/${place%/*} ;; esac
    mkdir -p "$parent" && copy "$work/$place" "$parent/" || return 1
  done
  rm -rf "$run/checkpoint"
  mv "$run/checkpoint.new" "$run/checkpoint"
}

say_ended() { # HOW [TEXT]: the last deed of an attempt
  local ended sums=
  ended=$(milliseconds)
  (
    cd "$here" || exit 1
    set -- stdout.txt stderr.txt log.txt distribute_save
    for place; do [ ! -e "$place" ] || find "$place" -type f -print0; done |
      sort -z | xargs -0 -r sha256sum -- >sums
  )
  sums=$(sha256sum <"$here/sums")
  {
    printf 'schema=1\nhow=%s\ntext=%s\n' "$1" "${2:-}"
    cat "$here/began"
    printf 'started=%s\nended=%s\nrun=%s\n' "${started:-}" "$ended" "${ran:-0}"
    printf 'sums=%s\nend\n' "${sums%% *}"
  } >"$here/status.tmp"
  sync "$here/status.tmp" "$here/sums" 2>/dev/null
  mv "$here/status.tmp" "$here/status"
}

# --- a job ----------------------------------------------------------------------------------------

# What a checkpoint is to be made of must be a place of the work folder inside the container too.
bind_saved() {
  local place
  for place in ${CHECKPOINT_FILES[@]+"${CHECKPOINT_FILES[@]}"}; do
    case $place in
      */*)
        place=${place%%/*}
        mkdir -p "$work/$place"
        case ",$binds," in
          *",$work/$place:"*) ;;
          *) binds=$binds,$work/$place:/$place:rw ;;
        esac
        ;;
    esac
  done
}

common_variables() { # JOB
  local variable
  if [ -n "$image" ]; then
    # In its own words for places, and by names that reach the inside of any container.
    mkdir -p "$work/input/.fallow"
    variables=("FALLOW_BATCH=$BATCH" "FALLOW_JOB=$1" "FALLOW_ATTEMPT=$attempt" "FALLOW_CPUS=$cpus"
      "FALLOW_GPUS=${CUDA_VISIBLE_DEVICES:-${SLURM_JOB_GPUS:-}}" FALLOW_INPUT=/input
      FALLOW_OUTPUT=/distribute_save FALLOW_CHECKPOINT=/input/.fallow
      FALLOW_PROGRESS=/input/.fallow/progress)
    for variable in "${variables[@]}"; do
      variables+=("APPTAINERENV_$variable" "SINGULARITYENV_$variable")
    done
    return
  fi
  variables=("FALLOW_BATCH=$BATCH" "FALLOW_JOB=$1" "FALLOW_ATTEMPT=$attempt" "FALLOW_CPUS=$cpus"
    "FALLOW_GPUS=${CUDA_VISIBLE_DEVICES:-${SLURM_JOB_GPUS:-}}" "FALLOW_INPUT=$work/input"
    "FALLOW_OUTPUT=$work/distribute_save" "FALLOW_CHECKPOINT=$work/.fallow"
    "FALLOW_PROGRESS=$work/.fallow/progress" ${variables[@]+"${variables[@]}"})
}

run_job() { # CLASS OFFSET KEY
  local failures=0 pause=$BACK_OFF
  building=0 class=$1
  cpus=${CLASS_CPUS[class]}
  read_task "$1" "$(($2 + SLURM_ARRAY_TASK_ID))"
  label="job $name"
  run=$fallow/runs/$index
  # Seen by a submit.sh that was cut off before it heard that SLURM has taken this.
  if [ ! -e "$fallow/submitted/$3" ]; then
    printf '%s\n' "$SLURM_ARRAY_JOB_ID" >"$fallow/submitted/.$3.$SLURM_JOB_ID"
    mv "$fallow/submitted/.$3.$SLURM_JOB_ID" "$fallow/submitted/$3"
  fi
  while :; do
    attempt_job
    case $outcome in
      'done') exit 0 ;;
      again) exit 75 ;; # requeued; SLURM does not look at the code
      stopped) exit 1 ;;
    esac
    failures=$((failures + 1))
    [ "$failures" -le "$RETRIES" ] || exit 1
    asked=''
    sleep "$pause"
    [ -z "$asked" ] || exit 1 # it has said already how it failed
    pause=$((pause < 1800 ? pause * 2 : 3600))
    read_task "$1" "$(($2 + SLURM_ARRAY_TASK_ID))"
  done
}

attempt_job() { # sets outcome: done, failed, stopped, again
  outcome=stopped started='' ran=0 spent=0
  begin_attempt "$run"
  if cut_off; then
    cp "$before/stdout.txt" "$before/stderr.txt" "$here/" 2>/dev/null
    spent=$(cat "$run/spent" 2>/dev/null || echo 0)
  else
    rm -rf "$run/checkpoint" "$run/spent"
  fi
  touch "$here/stdout.txt" "$here/stderr.txt"
  if ! prepare; then
    say_ended not_started "its work folder could not be made on ${SLURMD_NODENAME:-this node}"
    return
  fi
  common_variables "$name"
  started=$(milliseconds)
  run_program "$here/stdout.txt" "$here/stderr.txt"
  ran=$(($(milliseconds) - started))
  if [ -z "$asked" ]; then
    keep_output
    say_ended "exited $code"
    outcome=failed
    [ "$code" != 0 ] || outcome='done'
    rm -rf "$run/checkpoint" "$run/spent"
  elif [ "$asked" = run_time ]; then
    keep_output
    say_ended run_time "it ran longer than its run_time"
    outcome=failed
  else
    keep_checkpoint
    printf '%s\n' "$((spent + ran))" >"$run/spent"
    if [ "$asked" = time ] && [ "$CAN_CONTINUE" = 1 ]; then
      say_ended requeued "its time on the node was over; it goes on in a later attempt"
      outcome=again
      if ! scontrol requeue "$SLURM_JOB_ID"; then
        say_ended stopped "its time on the node was over, and SLURM did not take it back"
        outcome=stopped
      fi
    elif time_is_over; then
      say_ended timeout "it was not done within the time that it had asked SLURM for"
    else
      say_ended stopped
    fi
  fi
  cat_output
  rm -rf -- "$work" 2>/dev/null || { chmod -R u+rwx "$work" && rm -rf -- "$work"; }
}

time_is_over() {
  [ "${NEED_TIME[class]}" -gt 0 ] && [ "$SECONDS" -ge "$((NEED_TIME[class] - 1))" ]
}

# A batch that names an `output` of SLURM's own finds there what its job wrote.
cat_output() {
  if [ "${OWN_OUTPUT[class]}" = 1 ]; then cat "$here/stdout.txt" "$here/stderr.txt"; fi
}

# --- the build ------------------------------------------------------------------------------------

run_build() {
  building=1 cpus=$BUILD_CPUS label='the build' run=$fallow/build
  if [ -d "$run/tree" ]; then exit 0; fi
  read_task build 0
  started='' ran=0 spent=0
  begin_attempt "$run"
  : >"$here/log.txt"
  if ! prepare; then
    say_ended not_started "its work folder could not be made on ${SLURMD_NODENAME:-this node}"
    exit 1
  fi
  common_variables ''
  started=$(milliseconds)
  run_program "$here/log.txt" "$here/log.txt"
  ran=$(($(milliseconds) - started))
  if [ -n "$asked" ]; then
    say_ended stopped
    exit 1
  fi
  if [ "$code" = 0 ]; then
    rm -rf "$run/tree.new"
    mv "$work" "$run/tree.new" && mv "$run/tree.new" "$run/tree" || code=126
  fi
  say_ended "exited $code"
  exit "$((code > 255 ? 1 : code))"
}
