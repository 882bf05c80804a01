#!/usr/bin/env bash
# What a container would do, without Docker or Apptainer: a bare Debian of debootstrap, a bundle mounted into it, and the
# steps of inside.sh, which Dockerfile and apptainer.def have too.
set -euo pipefail
# shellcheck source=launch/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/../common.sh"

usage() {
  cat <<TEXT
Usage: launch/container/prove.sh [--bundle DIR] [--suite NAME]... [--preset NAME] [--scratch DIR] [--quick]

Makes the smallest Debian that there is (debootstrap --variant=minbase: no compiler, no Python) of each suite, mounts the
bundle into it read-only, and there trains two ranks on generated scenes and runs the self-test, both on the CPU. Wants
root, debootstrap and a mirror of Debian; takes 0.4 GB a suite, and 3.4 more where it makes the bundle. Exit code 77 where
one of the three is not to be had.

  --bundle DIR   a folder of launch/bundle.sh --with-mpi; default: made of the build, and removed
  --suite NAME   bookworm (Debian 12), trixie (13), ...; may be repeated; default: these two
  --preset NAME  the build that the bundle is made of (default release)
  --scratch DIR  where it is done (default: a folder of TMPDIR); removed afterwards
  --quick        without the self-test

XTASC_DEBIAN_MIRROR names the mirror, e.g. http://snapshot.debian.org/archive/debian/20250520T000000Z; default: the first
one that this machine's apt takes Debian from, else http://deb.debian.org/debian.
TEXT
}

skip() {
  say "skipped: $*"
  exit 77
}

mirror() {
  local of_machine
  # shellcheck disable=SC2016  # apt-get's own
  of_machine="$(apt-get indextargets --format '$(SITE) $(ORIGIN)' 2>/dev/null | awk '$2 == "Debian" {print $1; exit}' || true)"
  printf '%s\n' "${XTASC_DEBIAN_MIRROR:-${of_machine:-http://deb.debian.org/debian}}"
}

# Commands in the Debian below $1, in mounts of their own, which end with them.
in_debian() { # ROOT BUNDLE COMMAND...
  local root="$1" bundle="$2"
  shift 2
  # shellcheck disable=SC2016  # the dollars are the inner shell's
  unshare --mount --propagation private bash -c '
    set -e
    root="$1" bundle="$2"
    shift 2
    mkdir -p "$root/opt/xtasc"
    mount --bind "$bundle" "$root/opt/xtasc"
    mount -o remount,bind,ro "$root/opt/xtasc"
    for folder in proc sys dev; do mount --rbind "/$folder" "$root/$folder"; done
    exec chroot "$root" /usr/bin/env -i PATH=/usr/local/bin:/usr/bin:/bin HOME=/root "$@"
  ' - "$root" "$bundle" "$@"
}

prove_suite() { # SUITE
  local root="$SCRATCH/$1" tool
  say "$1: Debian of $MIRROR"
  debootstrap --variant=minbase "$1" "$root" "$MIRROR" >"$SCRATCH/$1.log" 2>&1 \
    || skip "debootstrap $1: $(tail -n 1 "$SCRATCH/$1.log")"
  for tool in gcc g++ cc clang python3 mpirun; do
    if in_debian "$root" "$BUNDLE" bash -c "command -v $tool" >/dev/null; then
      die "there is a $tool in a bare Debian $1: it would prove nothing"
    fi
  done
  cp "$XTASC_ROOT/launch/container/inside.sh" "$root/opt/"
  in_debian "$root" "$BUNDLE" /opt/inside.sh install
  in_debian "$root" "$BUNDLE" /opt/inside.sh check "${QUICK[@]}"
  # shellcheck disable=SC2016  # the inner shell's
  say "$1 ($(in_debian "$root" "$BUNDLE" bash -c '. /etc/os-release; echo "$PRETTY_NAME"'), $(du -sh "$root" | cut -f 1)): as it should be"
  rm -rf --one-file-system "$root"
}

main() {
  local suites=() preset
  preset="$(preset_of "$@")" BUNDLE="" SCRATCH="" QUICK=()
  while (($#)); do
    case "$1" in
      --bundle) BUNDLE="$(realpath "${2:?--bundle wants a folder}")"; shift ;;
      --suite) suites+=("${2:?--suite wants a name}"); shift ;;
      --scratch) SCRATCH="${2:?--scratch wants a folder}"; shift ;;
      --preset) shift ;;
      --preset=*) ;;
      --quick) QUICK=(--quick) ;;
      -h | --help)
        usage
        exit 0
        ;;
      *)
        printf "xtasc: error: unknown option '%s'; launch/container/prove.sh --help lists them\n" "$1" >&2
        exit 2
        ;;
    esac
    shift
  done
  ((EUID == 0)) || skip "chroot and mounts want root"
  command -v debootstrap >/dev/null || skip "there is no debootstrap: apt-get install debootstrap"
  unshare --mount --propagation private mount --bind /tmp /tmp 2>/dev/null || skip "mounts are not allowed here"
  MIRROR="$(mirror)"
  [[ -z "$BUNDLE" || -e "$BUNDLE/env.sh" ]] || die "'$BUNDLE' is no bundle of launch/bundle.sh --with-mpi: it has no env.sh"
  [[ -z "$SCRATCH" || ! -e "$SCRATCH" ]] || die "--scratch '$SCRATCH' exists: name a folder that does not"
  SCRATCH="${SCRATCH:-$(mktemp -d)}"
  mkdir -p "$SCRATCH"
  trap 'rm -rf --one-file-system "$SCRATCH"' EXIT
  if [[ -z "$BUNDLE" ]]; then
    BUNDLE="$SCRATCH/bundle"
    "$XTASC_ROOT/launch/bundle.sh" --with-mpi --preset "$preset" --output "$BUNDLE"
  fi
  ((${#suites[@]})) || suites=(bookworm trixie)
  local suite
  for suite in "${suites[@]}"; do
    prove_suite "$suite"
  done
}

main "$@"
