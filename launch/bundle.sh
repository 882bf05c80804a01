#!/usr/bin/env bash
# A folder that runs on machines without internet, compilers or this source: programs, libraries, configs, sweeps, packs.
set -euo pipefail
# shellcheck source=launch/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

usage() {
  cat <<TEXT
Usage: launch/bundle.sh --output DIR [--preset NAME] [--pack FILE]... [--with-mpi] [--list]

Copies the built programs to DIR/bin, every library that they load to DIR/lib (but the C library, the GPU driver and,
unless --with-mpi, MPI, which are the cluster's own), and configs, sweeps, slurm and results' published tables to
DIR/share/xtasc. The folder may be moved: programs look for libraries beside themselves.

  --output DIR    must not exist
  --preset NAME   the build to take (default release)
  --pack FILE     a pack to take along, into DIR/data; may be repeated
  --with-mpi      take this machine's MPI along too (for machines that have none)
  --list          print the libraries and their sizes, copy nothing
  --help          this text

The other machine needs x86-64 Linux with a C library not older than this one's ($(ldd --version | head -n 1 | awk '{print $NF}')).
TEXT
}

# What every Linux, the GPU's driver or the cluster's MPI brings.
readonly SYSTEM='^(linux-vdso|ld-linux.*|libc|libm|libdl|librt|libpthread|libutil|libresolv|libcuda)\.so'
readonly MPI='^(libmpi|libopen-rte|libopen-pal|libpmix|libhwloc|libevent|libudev|libfabric|libucp|libucs|libpsm)'

# The libraries that the programs in $1 load, one path a line, as the loader here finds them.
libraries() {
  local bin="$1" torch="$2" with_mpi="$3" path name
  {
    ldd "$bin"/xtasc-* | awk '$2 == "=>" && $3 ~ /^\// {print $3}'
    # Opened by name at run time, so that ldd does not see them: cuDNN's parts, the run-time compiler, MAGMA's glue.
    local folder
    for folder in "$torch" "$torch/../../nvidia/cudnn/lib" "$torch/../../nvidia/cu13/lib"; do
      find "$folder" -maxdepth 1 \( -name 'libcudnn*.so*' -o -name 'libnvrtc*.so*' -o -name 'libtorch_cuda_linalg.so' \
        -o -name 'libcaffe2_nvrtc.so' -o -name 'libnvJitLink.so*' \) 2>/dev/null || true
    done
  } | sort -u | while read -r path; do
    name="$(basename "$path")"
    [[ "$name" =~ $SYSTEM ]] && continue
    [[ "$with_mpi" == 0 && "$name" =~ $MPI ]] && continue
    printf '%s\n' "$path"
  done | awk -F/ '!seen[$NF]++'
}

main() {
  local output="" preset with_mpi=0 list=0 packs=() pack
  preset="$(preset_of "$@")"
  while (($#)); do
    case "$1" in
      --output) output="${2:?--output wants a folder}"; shift ;;
      --pack) packs+=("${2:?--pack wants a file}"); shift ;;
      --preset) shift ;;
      --preset=*) ;;
      --with-mpi) with_mpi=1 ;;
      --list) list=1 ;;
      -h | --help)
        usage
        exit 0
        ;;
      *)
        printf "xtasc: error: unknown option '%s'; launch/bundle.sh --help lists them\n" "$1" >&2
        exit 2
        ;;
    esac
    shift
  done
  local build="$XTASC_ROOT/build/$preset"
  [[ -x "$build/bin/xtasc-train" ]] || die "there is no build/$preset/bin/xtasc-train: run launch/setup.sh first"
  local torch
  torch="$(sed -n 's/^LibTorch_ROOT:PATH=//p' "$build/CMakeCache.txt")/lib"

  local files
  mapfile -t files < <(libraries "$build/bin" "$torch" "$with_mpi")
  if ((list)); then
    du -Lch "${files[@]}"
    return
  fi
  [[ -n "$output" ]] || die "--output DIR is missing"
  [[ ! -e "$output" ]] || die "'$output' exists: name a folder that does not"
  for pack in "${packs[@]}"; do
    [[ -f "$pack" ]] || die "there is no pack '$pack'"
  done
  local need_mib free_mib
  need_mib=$(($(du -Lcm "${files[@]}" "${packs[@]}" | tail -n 1 | cut -f 1) + 50))
  mkdir -p "$(dirname "$output")"
  free_mib=$(df -Pm "$(dirname "$output")" | awk 'NR == 2 {print $4}')
  ((free_mib > need_mib)) || die "the bundle takes $need_mib MiB, and $(dirname "$output") has $free_mib MiB left"

  # Written beside its place and renamed, so that a folder of this name is whole.
  local partial="$output.partial"
  rm -rf "$partial"
  trap 'rm -rf "'"$partial"'"' EXIT
  say "programs"
  cmake --install "$build" --prefix "$partial" --component programs --strip >/dev/null
  say "${#files[@]} libraries, $need_mib MiB"
  mkdir -p "$partial/lib" "$partial/data"
  cp -L "${files[@]}" "$partial/lib/"
  if ((${#packs[@]})); then
    cp -L "${packs[@]}" "$partial/data/"
  fi
  cp "$XTASC_ROOT/README.md" "$partial/"
  mv "$partial" "$output"
  trap - EXIT

  # The proof: every program starts from there, and finds no library in this source tree.
  local program
  for program in "$output"/bin/xtasc-*; do
    env -u LD_LIBRARY_PATH "$program" --version >/dev/null || die "$program does not start"
  done
  if env -u LD_LIBRARY_PATH ldd "$output"/bin/xtasc-* | grep -F "$XTASC_ROOT/" | grep -vF "$(realpath "$output")/"; then
    die "the libraries above are still found in $XTASC_ROOT"
  fi
  say "ready: $output ($(du -sh "$output" | cut -f 1)); try $output/bin/xtasc-train --help"
}

main "$@"
