#!/usr/bin/env bash
# Sets up what `make test` and `make demo` need: .venv with the exact versions of constraints.txt,
# and the system programs of a virtual desktop and the job sandbox.
# It is not how Fallow is installed for use: that is `pip install fallow[all]`, or the package.
#
# Safe to call any number of times; with nothing to do it takes a fraction of a second.
# Called with the word `tests` it installs the real programs as well that only tests talk to.
#   PYTHON=/path/to/python3.x   which Python makes .venv
#   FALLOW_VENV=DIR             another place than .venv
set -euo pipefail
cd "$(dirname "$0")/.."

venv=${FALLOW_VENV:-.venv}
stamp=$venv/.set-up
log=$venv/set-up.log

# Xvfb, openbox and trayer make the screen; xdotool and D-Bus operate it; ImageMagick takes the pictures.
# python-dbusmock plays the services of a desktop; PyPI's needs a compiler and headers, Debian's does not.
screen_packages="xvfb openbox trayer xdotool x11-utils imagemagick dbus python3-dbusmock
  fonts-dejavu-core desktop-file-utils"
# What Qt's xcb and offscreen platforms load from the system. Without icccm4 and keysyms1 Qt aborts.
qt_packages="libxcb-cursor0 libxcb-icccm4 libxcb-image0 libxcb-keysyms1 libxcb-randr0
  libxcb-render-util0 libxcb-shape0 libxcb-sync1 libxcb-xfixes0 libxcb-xkb1 libxkbcommon-x11-0
  libxkbcommon0 libx11-xcb1 libegl1 libgl1 libfontconfig1 libdbus-1-3"
job_packages="bubblewrap iproute2 procps util-linux"
# KWin is the one compositor of Debian 12 that tells of input by ext-idle-notify. A whole SLURM and
# rsync are for what `coordinator export slurm` writes, which shellcheck reads as well. Screen readers
# hear of windows by at-spi2-core.
test_packages="kwin-wayland at-spi2-core tzdata
  slurm-wlm slurm-client munge rsync shellcheck"
programs="Xvfb openbox trayer xdotool xwininfo import dbus-daemon bwrap ip"

say() { printf 'setup: %s\n' "$*"; }

fail() {
  printf 'setup: %s\n' "$1" >&2
  shift
  for line in "$@"; do printf '       %s\n' "$line" >&2; done
  exit 1
}

# --- Debian packages ---------------------------------------------------------------------------

have_debian() { command -v dpkg-query >/dev/null && command -v apt-get >/dev/null; }

installed() {
  [ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

missing_of() {
  local name
  for name in "$@"; do installed "$name" || printf '%s ' "$name"; done
}

as_root() {
  if [ "$(id -u)" = 0 ]; then
    "$@"
  elif command -v sudo >/dev/null && { [ -t 0 ] || sudo -n true 2>/dev/null; }; then
    sudo -- "$@"
  else
    return 77
  fi
}

quietly() { # PURPOSE COMMAND...: the output goes to a file and is shown when it matters
  local purpose=$1 out status=0
  shift
  out=$(mktemp)
  "$@" >"$out" 2>&1 </dev/null || status=$?
  if [ "$status" != 0 ]; then
    tail -n 25 "$out" >&2
    if [ -d "$venv" ]; then cp "$out" "$log"; fi
    rm -f "$out"
    printf 'setup: could not %s\n' "$purpose" >&2
    return "$status"
  fi
  rm -f "$out"
}

install_debian() { # WHY PACKAGE...
  local why=$1
  shift
  local command="apt-get install -y --no-install-recommends $*"
  if [ "$(id -u)" != 0 ] && ! { command -v sudo >/dev/null && { [ -t 0 ] || sudo -n true 2>/dev/null; }; }; then
    fail "$why: these Debian packages are missing, and this account may not install them:" \
      "  $*" "Ask whoever administers this computer to run" "  apt-get update && $command" \
      "and call the same make command again."
  fi
  say "installing Debian packages ($why): $*"
  # One unreachable list of several need not matter: only the install itself decides.
  # The lock wait is for unattended upgrades.
  quietly "read all package lists (apt-get update); trying with those that are here" \
    as_root apt-get -q -o DPkg::Lock::Timeout=300 update || true
  quietly "install the Debian packages" \
    as_root env DEBIAN_FRONTEND=noninteractive \
    apt-get -q -y -o DPkg::Lock::Timeout=300 install --no-install-recommends "$@" ||
    fail "apt-get failed (above)." "Is this computer online? To try by hand:" "  $command"
}

set_up_system() { # WHAT
  local missing program absent=
  if have_debian; then
    # shellcheck disable=SC2086  # lists of plain words
    missing=$(missing_of $screen_packages $qt_packages $job_packages)
    # shellcheck disable=SC2086
    if [ -n "$missing" ]; then install_debian "virtual desktop and job sandbox" $missing; fi
    if [ "$1" = tests ]; then
      # shellcheck disable=SC2086
      missing=$(missing_of $test_packages)
      # shellcheck disable=SC2086
      if [ -n "$missing" ]; then install_debian "what only tests talk to" $missing; fi
    fi
    return
  fi
  for program in $programs; do
    command -v "$program" >/dev/null || absent="$absent $program"
  done
  if [ -n "$absent" ]; then
    fail "this is not Debian or a relative of it, so nothing is installed here by itself." \
      "These programs are needed and were not found:$absent" \
      "Install them (and the xcb libraries Qt needs), then call the same make command again."
  fi
}

# --- Python ------------------------------------------------------------------------------------

new_enough() {
  "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

find_python() {
  local candidate
  if [ -n "${PYTHON:-}" ]; then
    if new_enough "$PYTHON"; then
      printf '%s' "$PYTHON"
      return
    fi
    fail "PYTHON=$PYTHON is not a Python 3.11 or newer."
  fi
  for candidate in python3.11 python3 python3.12 python3.13 python3.14; do
    if command -v "$candidate" >/dev/null && new_enough "$candidate"; then
      printf '%s' "$candidate"
      return
    fi
  done
  fail "Python 3.11 or newer is needed, and was not found." \
    "Debian 12: apt-get install python3 python3-venv. Another place: PYTHON=/path/to/python3.11 make …"
}

fingerprint() {
  { cat pyproject.toml constraints.txt packaging/setup.sh; pwd -P; } | sha256sum | cut -d' ' -f1
}

make_venv() {
  local python version
  if [ -x "$venv/bin/python" ] && new_enough "$venv/bin/python" &&
    "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
    return
  fi
  python=$(find_python)
  version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
  if ! "$python" -c 'import ensurepip, venv' >/dev/null 2>&1 && have_debian; then
    install_debian "to make a virtual environment" "python$version-venv"
  fi
  say "making $venv with $("$python" --version)"
  if [ -e "$venv" ]; then rm -rf -- "$venv"; fi
  quietly "make $venv" "$python" -m venv "$venv" ||
    fail "$python could not make a virtual environment (above)."
}

pip_install() {
  # As variables and not as -c, so that they also hold for what pip fetches to build a package:
  # older versions of pip take the first for that, newer ones the second.
  PIP_CONSTRAINT=constraints.txt PIP_BUILD_CONSTRAINT=constraints.txt \
    quietly "install the Python packages" "$venv/bin/python" -m pip install \
    --quiet --no-input --disable-pip-version-check --retries 8 "$@"
}

# pynput's evdev comes as source code only; where no wheel is at hand it needs a C compiler.
prepare_evdev() {
  local headers missing
  if "$venv/bin/python" -c 'import evdev' >/dev/null 2>&1; then return; fi
  headers=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_paths()["include"])')
  if command -v cc >/dev/null && [ -e "$headers/Python.h" ] && [ -e /usr/include/linux/input.h ]; then
    return
  fi
  if have_debian; then
    missing=$(missing_of gcc libc6-dev linux-libc-dev)
    if [ ! -e "$headers/Python.h" ]; then missing="$missing$(missing_of python3-dev)"; fi
    # shellcheck disable=SC2086
    if [ -n "${missing% }" ]; then install_debian "to compile evdev, which pynput needs" $missing; fi
  else
    say "no C compiler, Python.h or linux/input.h found: installing evdev (for pynput) may fail."
  fi
}

set_up_python() {
  local print
  print=$(fingerprint)
  if [ "$(cat "$stamp" 2>/dev/null)" = "$print" ] && "$venv/bin/python" -c '' 2>/dev/null; then
    return
  fi
  make_venv
  rm -f "$stamp"
  prepare_evdev
  say "installing the Python packages into $venv (about 150 MB; the first time takes a minute or more)"
  pip_install --editable '.[dev]' ||
    fail "pip could not install what pyproject.toml and constraints.txt name (above)." \
      "Is this computer online? The whole output is in $log."
  printf '%s\n' "$print" >"$stamp"
}

# -----------------------------------------------------------------------------------------------

hold_lock() { # two makes at a time would install over each other
  if command -v flock >/dev/null; then
    exec 9>.set-up.lock
    flock -n 9 || { say "waiting for another set-up in this folder"; flock 9; }
  fi
}

started=$SECONDS
hold_lock
set_up_system "${1:-}"
set_up_python
if [ $((SECONDS - started)) -gt 2 ]; then say "ready after $((SECONDS - started)) s"; fi
