# shellcheck shell=bash
# Shared by setup.sh, test.sh and demo.sh, which source it: messages, and how ranks are started on this machine.

# shellcheck disable=SC2034  # for those who source this
XTASC_ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"

say() { printf 'xtasc: %s\n' "$*"; }

die() {
  printf 'xtasc: error: %s\n' "$*" >&2
  exit 1
}

# The value of --preset NAME or --preset=NAME among the arguments, else "release".
preset_of() {
  local preset="${XTASC_PRESET:-release}"
  while (($#)); do
    case "$1" in
      --preset) preset="${2:-}" ;;
      --preset=*) preset="${1#*=}" ;;
    esac
    shift
  done
  printf '%s\n' "$preset"
}

# mpirun_ranks N COMMAND...: N ranks on this machine, one core and one thread each as far as there are cores.
mpirun_ranks() {
  local ranks="$1"
  shift
  local flags=(-np "$ranks")
  if (("$(nproc)" >= ranks)); then
    flags+=(--bind-to core --map-by core)
  else
    flags+=(--bind-to none --oversubscribe)
  fi
  local environment=(OMP_NUM_THREADS=1)
  # Open MPI refuses to run as root, as one is in a container, unless told twice.
  if ((EUID == 0)); then
    environment+=(OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1)
  fi
  env "${environment[@]}" mpirun "${flags[@]}" "$@"
}
