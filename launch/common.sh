# shellcheck shell=bash
# Shared by the scripts of this folder, which source it: messages, and how ranks are started on this machine.

# shellcheck disable=SC2034  # for those who source this
XTASC_ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"

say() { printf 'xtasc: %s\n' "$*"; }

die() {
  printf 'xtasc: error: %s\n' "$*" >&2
  exit 1
}

# Cores that this process may use. nproc alone says what OMP_NUM_THREADS says where that is set.
num_cores() { env -u OMP_NUM_THREADS -u OMP_THREAD_LIMIT nproc; }

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

# How many GPUs programs started from here may use: CUDA_VISIBLE_DEVICES up to the first entry that CUDA would not take,
# else what the driver says, else its device files.
num_gpus() {
  local named gpu listing count=0
  if [[ -n "${CUDA_VISIBLE_DEVICES+is set}" ]]; then
    IFS=, read -ra named <<<"$CUDA_VISIBLE_DEVICES"
    for gpu in "${named[@]}"; do
      [[ -n "$gpu" && "$gpu" != -* ]] || break
      count=$((count + 1))
    done
  elif listing="$(nvidia-smi -L 2>/dev/null)"; then
    count="$(grep -c '^GPU ' <<<"$listing" || true)"
  else
    count="$(find /dev -maxdepth 1 -name 'nvidia[0-9]*' 2>/dev/null | wc -l)"
  fi
  printf '%s\n' "$count"
}

# ranks_here WISH: as many where there are no GPUs; else one for each GPU, as many at most.
ranks_here() {
  local gpus
  gpus="$(num_gpus)"
  printf '%s\n' $((gpus == 0 || gpus > $1 ? $1 : gpus))
}

# Sets RANKS_COMMAND to the words that start N ranks on this machine, to be followed by the program's. Without GPUs one
# core and one thread each, as far as there are cores; with GPUs no rank is bound, since autograd, NCCL and the watchdog
# have threads beside a rank's main one.
ranks_command() {
  local ranks="$1"
  RANKS_COMMAND=(env OMP_NUM_THREADS=1)
  # Open MPI refuses to run as root, as one is in a container, unless told twice.
  if ((EUID == 0)); then
    RANKS_COMMAND+=(OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1)
  fi
  RANKS_COMMAND+=(mpirun -np "$ranks")
  if (("$(num_gpus)" == 0 && "$(num_cores)" >= ranks)); then
    RANKS_COMMAND+=(--bind-to core --map-by core)
  else
    RANKS_COMMAND+=(--bind-to none --oversubscribe)
  fi
}

# mpirun_ranks N COMMAND...: N ranks of a command.
mpirun_ranks() {
  local RANKS_COMMAND
  ranks_command "$1"
  shift
  "${RANKS_COMMAND[@]}" "$@"
}
