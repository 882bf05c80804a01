#!/usr/bin/env bash
# A folder that runs on machines without internet, compilers or this source: programs, libraries, configs, sweeps, packs.
set -euo pipefail
# shellcheck source=launch/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
# shellcheck source=launch/bundle_mpi.sh
source "$(dirname "${BASH_SOURCE[0]}")/bundle_mpi.sh"
# shellcheck source=launch/bundle_notice.sh
source "$(dirname "${BASH_SOURCE[0]}")/bundle_notice.sh"
# shellcheck source=launch/bundle_thin.sh
source "$(dirname "${BASH_SOURCE[0]}")/bundle_thin.sh"

usage() {
  cat <<TEXT
Usage: launch/bundle.sh --output DIR [--preset NAME] [--pack FILE]... [--with-mpi] [--notice FILE] [--list]
       launch/bundle.sh --thin --output DIR|FILE.tar.xz [--preset NAME] [--pack FILE]... [--fast] [--list]

Copies the built programs to DIR/bin, every library that they load to DIR/lib (but the C library, the GPU driver and,
unless --with-mpi, MPI, which are the cluster's own), and configs, sweeps, slurm, results' published tables and the Python
package to DIR/share/xtasc. The folder may be moved: programs look for libraries beside themselves. DIR/NOTICE has the
licences of all that is in it, by the packages that it is of.

With --thin LibTorch and NVIDIA's libraries stay behind too: on the other machine \`source DIR/env.sh\` takes those of
its python3, or of the folder that XTASC_TORCH names, which must hold the very torch that the build used. MPI comes
along, mpirun and all. FILE.tar.xz is that folder packed, $THIN_LIMIT_MIB MiB at most.

  --output DIR    must not exist
  --preset NAME   the build to take (default release)
  --pack FILE     a pack to take along, into DIR/data; may be repeated
  --with-mpi      take this machine's Open MPI along too (for machines that have none), with mpirun on the path after
                  \`source DIR/env.sh\`
  --thin          for machines that have PyTorch
  --notice FILE   a text about the libraries that no Debian package and no wheel here knows, where there are such: it
                  must name each, and becomes a part of NOTICE
  --fast          compress FILE.tar.xz quickly, not well
  --list          print the libraries and their sizes, copy nothing
  --help          this text

The other machine needs x86-64 Linux with a C library not older than this one's ($(ldd --version | head -n 1 | awk '{print $NF}')).
TEXT
}

# What every Linux, the GPU's driver or the cluster's MPI brings.
readonly SYSTEM='^(linux-vdso|ld-linux.*|libc|libm|libdl|librt|libpthread|libutil|libresolv|libcuda)\.so'
readonly MPI='^(libmpi|libopen-rte|libopen-pal|libpmix|libhwloc|libevent|libudev|libfabric|libucp|libucs|libpsm)'

# Not a thin bundle's, since the other machine's Python may need newer ones than ours; and no business of mpirun.
readonly COMPILER='^(libstdc\+\+|libgcc_s)\.so'

# The libraries that the programs load, one path a line, as the loader here finds them.
libraries() {
  local path name
  {
    { printf '%s\n' "$BUILD"/bin/xtasc-*; ((!WITH_MPI)) || mpi_files; } | xargs ldd | awk '$2 == "=>" && $3 ~ /^\// {print $3}'
    # Opened by name at run time, so that ldd does not see them: cuDNN's parts, the run-time compiler, MAGMA's glue.
    local folder
    for folder in "$TORCH" "$TORCH/../../nvidia/cudnn/lib" "$TORCH/../../nvidia/cu13/lib"; do
      find "$folder" -maxdepth 1 \( -name 'libcudnn*.so*' -o -name 'libnvrtc*.so*' -o -name 'libtorch_cuda_linalg.so' \
        -o -name 'libcaffe2_nvrtc.so' -o -name 'libnvJitLink.so*' \) 2>/dev/null || true
    done
  } | sort -u | while read -r path; do
    name="$(basename "$path")"
    [[ "$name" =~ $SYSTEM ]] && continue
    [[ "$WITH_MPI" == 0 && "$name" =~ $MPI ]] && continue
    printf '%s\n' "$path"
  done | awk -F/ '!seen[$NF]++'
}

# The bundle without what is the form's own, into folder $1: programs, the given libraries, packs.
copy_common() { # FOLDER LIBRARY...
  local folder="$1" need_mib free_mib
  shift
  need_mib=$(($(du -Lcm "$@" "${PACKS[@]}" | tail -n 1 | cut -f 1) + 50))
  free_mib=$(df -Pm "$(dirname "$folder")" | awk 'NR == 2 {print $4}')
  ((free_mib > need_mib)) || die "the bundle takes $need_mib MiB, and $(dirname "$folder") has $free_mib MiB left"
  say "programs"
  cmake --install "$BUILD" --prefix "$folder" --component programs --strip >/dev/null
  say "$# libraries, $need_mib MiB"
  mkdir -p "$folder/lib" "$folder/data"
  cp -L "$@" "$folder/lib/"
  if ((${#PACKS[@]})); then
    cp -L "${PACKS[@]}" "$folder/data/"
  fi
  cp -r "$XTASC_ROOT"/{README.md,LICENSE,docs} "$folder/"
  if [[ -d "$XTASC_ROOT/results/python" ]]; then
    cp -r "$XTASC_ROOT/results/python" "$folder/share/xtasc/results/"
    find "$folder/share/xtasc/results/python" \( -name __pycache__ -o -name '*.egg-info' \) -prune -exec rm -rf {} +
  fi
  if ((WITH_MPI)); then
    copy_mpi "$folder"
    set -- "$@" "${MPI_BINARIES[@]}" "${MPI_TEXTS[@]}" "${PMIX_PLUGINS[@]}"
  fi
  write_notice "$folder/NOTICE" "$@"
}

# Every program starts from folder $1, and finds no library in this source tree.
prove() {
  local program
  for program in "$1"/bin/xtasc-*; do
    env -u LD_LIBRARY_PATH "$program" --version >/dev/null || die "$program does not start"
  done
  if ((WITH_MPI)); then
    # shellcheck disable=SC2016  # the dollars are the inner shell's
    env -i PATH="$PATH" bash -c 'source "$1/env.sh" && mpirun --version >/dev/null' - "$1" \
      || die "$1/mpi/bin/mpirun does not start"
  fi
  if env -u LD_LIBRARY_PATH ldd "$1"/bin/xtasc-* | grep -F "$XTASC_ROOT/" | grep -vF "$(realpath "$1")/"; then
    die "the libraries above are still found in $XTASC_ROOT"
  fi
}

parse() {
  OUTPUT="" NOTICE_OF_OTHERS="" WITH_MPI=0 THIN=0 FAST=0 LIST=0 PACKS=()
  local pack
  while (($#)); do
    case "$1" in
      --output) OUTPUT="${2:?--output wants a folder}"; shift ;;
      --pack) PACKS+=("${2:?--pack wants a file}"); shift ;;
      --notice) NOTICE_OF_OTHERS="${2:?--notice wants a file}"; shift ;;
      --preset) shift ;;
      --preset=*) ;;
      --with-mpi) WITH_MPI=1 ;;
      --thin) THIN=1 WITH_MPI=1 ;;
      --fast) FAST=1 ;;
      --list) LIST=1 ;;
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
  if ((LIST)); then
    return
  fi
  [[ -n "$OUTPUT" ]] || die "--output DIR is missing"
  [[ ! -e "$OUTPUT" ]] || die "'$OUTPUT' exists: name a folder that does not"
  [[ -z "$NOTICE_OF_OTHERS" || -f "$NOTICE_OF_OTHERS" ]] || die "there is no file '$NOTICE_OF_OTHERS' for --notice"
  for pack in "${PACKS[@]}"; do
    [[ -f "$pack" ]] || die "there is no pack '$pack'"
  done
}

main() {
  local preset files
  preset="$(preset_of "$@")"
  parse "$@"
  BUILD="$XTASC_ROOT/build/$preset"
  [[ -x "$BUILD/bin/xtasc-train" ]] || die "there is no build/$preset/bin/xtasc-train: run launch/setup.sh first"
  TORCH="$(sed -n 's/^LibTorch_ROOT:PATH=//p' "$BUILD/CMakeCache.txt")/lib"
  if ((WITH_MPI)); then
    find_mpi
  fi
  if ((THIN)); then
    mapfile -t files < <(thin_libraries)
  else
    mapfile -t files < <(libraries)
  fi
  if ((LIST)); then
    du -Lch "${files[@]}"
    return
  fi

  # Written beside its place and renamed, so that what has this name is whole.
  PARTIAL="$OUTPUT.partial"
  rm -rf "$PARTIAL"
  trap 'rm -rf "$PARTIAL"' EXIT
  mkdir -p "$PARTIAL"
  local name
  name="$(basename "$OUTPUT" .tar.xz)"
  copy_common "$PARTIAL/$name" "${files[@]}"
  if ((THIN)); then
    finish_thin "$PARTIAL/$name"
    prove_thin "$PARTIAL/$name"
  else
    if ((WITH_MPI)); then
      link_mpi_libraries "$PARTIAL/$name"
      write_env "$PARTIAL/$name" ""
    fi
    prove "$PARTIAL/$name"
  fi
  if [[ "$THIN" == 1 && "$OUTPUT" == *.tar.xz ]]; then
    compress "$PARTIAL" "$name"
    name+=.tar.xz
  fi
  mv "$PARTIAL/$name" "$OUTPUT"
  say "ready: $OUTPUT ($(du -sh "$OUTPUT" | cut -f 1))"
}

main "$@"
