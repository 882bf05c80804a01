# shellcheck shell=bash
# Source this in bash, `source DIR/env.sh`: the programs of this folder, and its mpirun, are on the path then. Made by
# launch/bundle.sh. Of a thin bundle they run with the libraries of the machine's own torch: that of python3, or of the
# folder XTASC_TORCH (.../site-packages/torch). Fails with one line where there is none, or another one.

# Prints the folders of the torch of version $1.
_xtasc_torch() {
  local wanted="$1" found="" torch="${XTASC_TORCH:-}" key value folder
  if [[ -z "$torch" ]]; then
    torch="$(python3 -c 'import importlib.util as u; print(u.find_spec("torch").submodule_search_locations[0])' 2>/dev/null)" || {
      echo "xtasc: error: python3 has no torch: set XTASC_TORCH to the folder of torch $wanted (.../site-packages/torch)" >&2
      return 1
    }
  fi
  if [[ ! -e "$torch/lib/libtorch_cpu.so" ]]; then
    echo "xtasc: error: there is no torch in '$torch': lib/libtorch_cpu.so is missing" >&2
    return 1
  fi
  torch="$(cd "$torch" && pwd)"
  if [[ -r "$torch/version.py" ]]; then
    while read -r key _ value; do
      [[ "$key" != __version__ ]] || found="${value//\'/}"
    done <"$torch/version.py"
  elif [[ -r "$torch/build-version" ]]; then
    read -r found <"$torch/build-version"
  fi
  if [[ "$found" != "$wanted" ]]; then
    echo "xtasc: error: '$torch' is torch ${found:-of an unknown version}: these programs need torch $wanted" >&2
    return 1
  fi

  printf '%s' "$torch/lib"
  for folder in "$torch"/../nvidia/*/lib; do
    if [[ -d "$folder" ]]; then
      printf ':%s' "$(cd "$folder" && pwd)"
    fi
  done
}

_xtasc_environment() {
  local wanted="@TORCH_VERSION@" here libraries
  here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
  if [[ -n "$wanted" ]]; then
    libraries="$here/lib:$(_xtasc_torch "$wanted")" || return 1
  else
    libraries="$here/mpi/lib"  # for mpirun alone: the programs find theirs by themselves
  fi
  if [[ "${LD_LIBRARY_PATH:-}" != "$libraries"* ]]; then
    export LD_LIBRARY_PATH="$libraries${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
    export PATH="$here/bin:$here/mpi/bin:$PATH"
  fi
  export OPAL_PREFIX="$here/mpi"
  if [[ -d "$here/mpi/lib/pmix" ]]; then  # Debian's PMIx does not find these by its prefix
    export PMIX_PREFIX="$here/mpi" PMIX_PKGLIBDIR="$here/mpi/lib/pmix" PMIX_PKGDATADIR="$here/mpi/share/pmix"
  fi
  # A program without mpirun is one rank, and starts no daemon.
  export OMPI_MCA_ess_singleton_isolated=1
  # Where nothing could start a daemon on another host, mpirun is told so, or it would look for ssh and end.
  if ! command -v ssh >/dev/null && ! command -v srun >/dev/null; then
    export OMPI_MCA_plm="${OMPI_MCA_plm:-isolated}"
  fi
  # Open MPI refuses to run as root, as one is in a container, unless told twice.
  if ((EUID == 0)); then
    export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
  fi
}

_xtasc_environment
