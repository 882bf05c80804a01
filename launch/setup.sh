#!/usr/bin/env bash
# Makes a bare Debian 12 machine ready: Debian packages, the torch wheel in .venv, configure, build.
# A second call does what is missing, which is nothing as a rule, in a second or two.
set -euo pipefail
# shellcheck source=launch/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

readonly TORCH_VERSION=2.11.0
readonly PYTHON_PACKAGES=("torch==$TORCH_VERSION" numpy h5py)
readonly DEBIAN_PACKAGES=(
  g++ cmake ninja-build pkg-config git
  libopenmpi-dev openmpi-bin
  libhdf5-dev libxxhash-dev libdeflate-dev zlib1g-dev libboost-dev
  libopencv-core-dev libopencv-imgproc-dev libpng-dev libjpeg62-turbo-dev
  libtomlplusplus-dev libcli11-dev libspdlog-dev nlohmann-json3-dev libprotobuf-dev protobuf-compiler
  gnuplot-nox
  libgtest-dev libgmock-dev
)
# For launch/lint.sh, and for the tests in a browser and on a virtual Slurm cluster; without them those are skipped.
readonly LINT_PACKAGES=(clang-format clang-tidy shellcheck)
readonly BROWSER_PACKAGES=(chromium chromium-driver)
readonly SLURM_PACKAGES=(slurm-wlm munge)
readonly TEST_REQUIREMENTS="$XTASC_ROOT/tests/requirements.txt"

usage() {
  cat <<TEXT
Usage: launch/setup.sh [--preset NAME] [--no-build] [--for-tests] [-DNAME=VALUE ...]

Installs what is missing (Debian packages when root; torch $TORCH_VERSION, numpy and h5py into .venv), configures
and builds.

  --preset NAME   release (default), debug or asan; programs land in build/NAME/bin
  --no-build      stop before configuring
  --for-tests     build the tests too, not the programs alone, and install, where it can, ${LINT_PACKAGES[*]}
                  ${BROWSER_PACKAGES[*]} ${SLURM_PACKAGES[*]} and, into .venv, tests/requirements.txt, which launch/lint.sh
                  and the tests in a browser, on a virtual Slurm cluster and with others' programs need
  -DNAME=VALUE    handed to cmake, e.g. -DXTASC_CUDA=OFF
  --help          this text

Environment: LIBTORCH_ROOT  a LibTorch $TORCH_VERSION of your own (a folder with include/ and lib/) instead of the wheel
             PYTHON         the Python that makes .venv (default python3)
             CMAKE_BUILD_PARALLEL_LEVEL  compilers at once (default: by cores and memory)
TEXT
}

# ---- Debian packages -------------------------------------------------------------------------------------------------
missing_debian_packages() {
  local wanted=("${DEBIAN_PACKAGES[@]}") package
  if ! "$PYTHON" -c 'import ensurepip, venv' >/dev/null 2>&1; then
    wanted+=(python3 python3-venv)
  fi
  for package in "${wanted[@]}"; do
    # shellcheck disable=SC2016  # the dollar is dpkg-query's
    if [[ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" != installed ]]; then
      printf '%s\n' "$package"
    fi
  done
}

install_debian_packages() {
  if ! command -v dpkg-query >/dev/null; then
    say "not a Debian system: taking the compilers and libraries as they are (docs/install.md lists them)"
    return
  fi
  local missing
  mapfile -t missing < <(missing_debian_packages)
  if ((${#missing[@]} == 0)); then
    return
  fi
  if ((EUID != 0)); then
    die "Debian packages are missing. Ask an administrator to run
    apt-get install --no-install-recommends ${missing[*]}
  and then run this again."
  fi
  say "installing Debian packages: ${missing[*]}"
  export DEBIAN_FRONTEND=noninteractive
  apt-get -q update >"$LOG" 2>&1 \
    || die "apt-get update failed (see below): is there a network, and are the sources in /etc/apt right?
$(tail -n 5 "$LOG")"
  apt-get -q install -y --no-install-recommends "${missing[@]}" >"$LOG" 2>&1 \
    || die "apt-get install failed. The packages are those of Debian 12; another release may name them otherwise.
$(tail -n 15 "$LOG")"
}

# As far as possible: a machine that has a Slurm of its own keeps it.
install_test_packages() {
  if ((EUID != 0)) || ! command -v apt-get >/dev/null; then
    return
  fi
  local wanted=() package
  for package in "${LINT_PACKAGES[@]}"; do
    command -v "$package" >/dev/null || wanted+=("$package")
  done
  command -v chromedriver >/dev/null || wanted+=("${BROWSER_PACKAGES[@]}")
  command -v sbatch >/dev/null || wanted+=("${SLURM_PACKAGES[@]}")
  if ((${#wanted[@]} == 0)); then
    return
  fi
  say "installing Debian packages for the tests: ${wanted[*]}"
  export DEBIAN_FRONTEND=noninteractive
  if ! { apt-get -q update && apt-get -q install -y --no-install-recommends "${wanted[@]}"; } >"$LOG" 2>&1; then
    say "could not install them: the tests that need them are skipped"
  fi
}

# ---- LibTorch --------------------------------------------------------------------------------------------------------
# Does every installed distribution have all its files? An install that was cut short does not.
venv_is_complete() {
  "$VENV/bin/python" - "${PYTHON_PACKAGES[@]}" >/dev/null 2>&1 <<'PYTHON'
import sys
from importlib import metadata

for requirement in sys.argv[1:]:
    name, _, version = requirement.partition("==")
    found = metadata.version(name)
    if version and found.split("+")[0] != version:
        sys.exit(f"{name} {found}")
for distribution in metadata.distributions():
    files = distribution.files
    if not files:
        sys.exit(f"{distribution.name} has no list of files")
    for file in files:
        if file.suffix != ".pyc" and not file.locate().exists():
            sys.exit(f"{file} is missing")
import torch, numpy, h5py
PYTHON
}

why_pip_failed() {
  if grep -q 'No space left on device' "$LOG"; then
    echo "there is no space left in .venv or ${TMPDIR:-/tmp}."
  else
    echo "is there a network, and does pip know its index (pip config list)?"
  fi
}

install_torch() {
  if [[ -n "${LIBTORCH_ROOT:-}" ]]; then
    [[ -e "$LIBTORCH_ROOT/include/ATen/ATen.h" && -e "$LIBTORCH_ROOT/lib" ]] \
      || die "LIBTORCH_ROOT=$LIBTORCH_ROOT has no include/ATen/ATen.h or no lib/:" \
        "set it to a LibTorch's own folder, or unset it to use the wheel."
    return
  fi
  local stamp="$VENV/.xtasc-complete"
  if [[ -e "$stamp" && "$(<"$stamp")" == "${PYTHON_PACKAGES[*]}" && -x "$VENV/bin/python" ]]; then
    return
  fi
  if [[ -e "$VENV" ]]; then
    if venv_is_complete; then
      printf '%s\n' "${PYTHON_PACKAGES[*]}" >"$stamp"
      return
    fi
    say ".venv is incomplete or of another version: making it anew"
    rm -rf "$VENV"
  fi
  "$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null \
    || die "torch $TORCH_VERSION needs Python 3.10 or newer: install one and set PYTHON to it."
  # pip unpacks all wheels before it removes the first: 5 GB that stay, and up to 3 GB of wheels in TMPDIR meanwhile.
  local free_gib needed_gib=6
  free_gib=$(($(df -Pk "$XTASC_ROOT" | awk 'NR == 2 {print $4}') / 1024 / 1024))
  if [[ "$(df -P "${TMPDIR:-/tmp}" | tail -n 1)" == "$(df -P "$XTASC_ROOT" | tail -n 1)" ]]; then
    needed_gib=9
  fi
  if ((free_gib < needed_gib)); then
    die "the torch wheel and its CUDA libraries need $needed_gib GiB while they are installed, and $XTASC_ROOT has" \
      "$free_gib GiB left: free some space, or set LIBTORCH_ROOT."
  fi
  say "installing ${PYTHON_PACKAGES[*]} into .venv (about 4.7 GB; a few minutes)"
  "$PYTHON" -m venv "$VENV" >"$LOG" 2>&1 \
    || die "could not make .venv with $PYTHON:
$(tail -n 5 "$LOG")"
  # Without a cache, which would take the same 4.7 GB again.
  "$VENV/bin/python" -m pip install --no-cache-dir --disable-pip-version-check --quiet \
    "${PYTHON_PACKAGES[@]}" >"$LOG" 2>&1 \
    || die "pip could not install ${PYTHON_PACKAGES[*]}: $(why_pip_failed) Run this again afterwards.
$(tail -n 10 "$LOG")"
  venv_is_complete || die "pip reported success, but torch, numpy or h5py cannot be imported:" \
    "run .venv/bin/python -c 'import torch, numpy, h5py' to see why."
  printf '%s\n' "${PYTHON_PACKAGES[*]}" >"$stamp"
}

# Packages of Python that tests alone use, as far as possible.
install_test_requirements() {
  local stamp="$VENV/.xtasc-tests-complete"
  if [[ ! -x "$VENV/bin/python" ]] || { [[ -e "$stamp" ]] && cmp -s "$TEST_REQUIREMENTS" "$stamp"; }; then
    return
  fi
  say "installing the tests' Python packages into .venv (about 0.5 GB)"
  if "$VENV/bin/python" -m pip install --no-cache-dir --disable-pip-version-check --quiet \
    --requirement "$TEST_REQUIREMENTS" "${PYTHON_PACKAGES[@]}" >"$LOG" 2>&1; then
    cp "$TEST_REQUIREMENTS" "$stamp"
  else
    say "pip could not install them: $(why_pip_failed) The tests that need them are skipped."
  fi
}

# ---- configure and build ---------------------------------------------------------------------------------------------
# The value of a variable in the build folder's CMake cache; empty where there is none.
cached() {
  sed -n "s/^$1:[A-Z]*=//p" "$BUILD/CMakeCache.txt" 2>/dev/null || true
}

configure() {
  local torch="${LIBTORCH_ROOT:-}" fresh=()
  if [[ -z "$torch" ]]; then
    torch="$(echo "$VENV"/lib/python3*/site-packages/torch)"
  fi
  if [[ -e "$BUILD/CMakeCache.txt" ]]; then
    local why=""
    [[ "$(cached CMAKE_HOME_DIRECTORY)" -ef "$XTASC_ROOT" ]] || why="it belongs to another folder"
    [[ "$(cached LibTorch_ROOT)" -ef "$torch" ]] || why="it used another LibTorch"
    [[ -e "$BUILD/build.ninja" ]] || why="configuring it did not finish"
    if [[ -n "$why" ]]; then
      say "configuring build/$PRESET from the start: $why"
      fresh=(--fresh)
    elif ((${#CMAKE_ARGUMENTS[@]} == 0)); then
      return
    fi
  fi
  if [[ -z "${CUDACXX:-}" ]] && ! command -v nvcc >/dev/null && [[ -x /usr/local/cuda/bin/nvcc ]]; then
    export CUDACXX=/usr/local/cuda/bin/nvcc
  fi
  say "configuring build/$PRESET"
  if ! (cd "$XTASC_ROOT" && cmake --preset "$PRESET" "${fresh[@]}" "${CMAKE_ARGUMENTS[@]}") >"$LOG" 2>&1; then
    # Without build.ninja the next call starts from the beginning.
    rm -f "$BUILD/build.ninja"
    die "cmake --preset $PRESET failed. What it says of CMake Error names what is missing:
$(tail -n 30 "$LOG")"
  fi
  grep -- '-- XTasC:' "$LOG" || true
}

# Compilers at once: one a core, but a source that includes torch takes 2 GB of memory.
build_jobs() {
  local cores memory_gib
  cores="$(num_cores)"
  memory_gib=$(($(awk '/^MemAvailable:/ {print $2}' /proc/meminfo) / 1024 / 1024))
  local by_memory=$((memory_gib / 2 > 1 ? memory_gib / 2 : 1))
  echo $((cores < by_memory ? cores : by_memory))
}

# $1: the target
build() {
  local jobs="${CMAKE_BUILD_PARALLEL_LEVEL:-$(build_jobs)}"
  say "bringing build/$PRESET up to date (-j $jobs)"
  # Ninja's own progress is for a terminal; elsewhere its last lines matter, and only on failure.
  if [[ -t 1 ]]; then
    cmake --build "$BUILD" -j "$jobs" --target "$1" || die "the build failed: the compiler's message stands above."
  else
    cmake --build "$BUILD" -j "$jobs" --target "$1" >"$LOG" 2>&1 \
      || die "the build failed:
$(grep -m 1 -A 40 '^FAILED:' "$LOG" || tail -n 40 "$LOG")
  With a compiler that was killed (out of memory): CMAKE_BUILD_PARALLEL_LEVEL=1 launch/setup.sh"
  fi
}

main() {
  local build=1 for_tests=0 target=programs
  CMAKE_ARGUMENTS=()
  PRESET="$(preset_of "$@")"
  while (($#)); do
    case "$1" in
      --preset) shift ;;
      --preset=*) ;;
      --no-build) build=0 ;;
      --for-tests)
        for_tests=1
        target=all
        ;;
      -D*=*) CMAKE_ARGUMENTS+=("$1") ;;
      -h | --help)
        usage
        exit 0
        ;;
      *)
        printf "xtasc: error: unknown option '%s'; launch/setup.sh --help lists them\n" "$1" >&2
        exit 2
        ;;
    esac
    (($#)) && shift
  done
  case "$PRESET" in
    release | debug | asan) ;;
    *)
      printf "xtasc: error: no preset '%s': release, debug or asan\n" "$PRESET" >&2
      exit 2
      ;;
  esac
  PYTHON="${PYTHON:-python3}"
  VENV="$XTASC_ROOT/.venv"
  BUILD="$XTASC_ROOT/build/$PRESET"
  LOG="$(mktemp)"
  trap 'rm -f "$LOG"' EXIT

  install_debian_packages
  if ((for_tests)); then
    install_test_packages
  fi
  install_torch
  if ((for_tests)); then
    install_test_requirements
  fi
  if ((build)); then
    configure
    build "$target"
    say "ready: build/$PRESET/bin"
  else
    say "ready to configure: cmake --preset $PRESET"
  fi
}

main "$@"
