# shellcheck shell=bash
# Sourced by bundle.sh, whose COMPILER it uses: Open MPI as a part of a bundle, below mpi/ as it lies below its prefix here.

# Plugins for these networks stay behind: they drag in drivers' libraries, and gradients between GPUs go through NCCL.
readonly NETWORKS='/lib(uc[mpst]|fabric|ibverbs|rdmacm|psm|oshmem|nl-)'

ompi_path() { ompi_info --path "$1" --parsable | cut -d : -f 3 | head -n 1; }

# Sets what of Open MPI and PMIx is taken: MPI_PREFIX, MPI_BINARIES and MPI_TEXTS below it, PMIX_HOME (may be empty) and
# PMIX_PLUGINS.
find_mpi() {
  command -v ompi_info >/dev/null || die "Open MPI comes along, and there is no ompi_info: install openmpi-bin"
  local plugin needs pmix
  MPI_PREFIX="$(ompi_path prefix)"
  MPI_BINARIES=("$(ompi_path bindir)"/{mpirun,orted})
  MPI_TEXTS=("$(ompi_path pkgdatadir)"/help-*.txt)
  PMIX_PLUGINS=()
  for plugin in "$(ompi_path pkglibdir)"/*.so; do
    needs="$(ldd "$plugin")"
    [[ "$needs" =~ $NETWORKS ]] || MPI_BINARIES+=("$plugin")
  done
  pmix="$(ldd "${MPI_BINARIES[@]}" | awk '$1 ~ /^libpmix\./ {print $3}' | sort -u)"
  PMIX_HOME="${pmix:+$(dirname "$pmix")/pmix2}"
  if [[ -d "$PMIX_HOME/lib/pmix" ]]; then
    PMIX_PLUGINS=("$PMIX_HOME"/lib/pmix/*.so)
  else
    PMIX_HOME=""  # Open MPI's own, or without plugins
  fi
}

# Everything of MPI that loads libraries.
mpi_files() { printf '%s\n' "${MPI_BINARIES[@]}" "${PMIX_PLUGINS[@]}"; }

# Copies it into folder $1, stripped.
copy_mpi() {
  local mpi="$1/mpi" file
  for file in "${MPI_BINARIES[@]}" "${MPI_TEXTS[@]}"; do
    install -D -m "$([[ -x "$file" ]] && echo 755 || echo 644)" "$file" "$mpi/${file#"$MPI_PREFIX"/}"
  done
  if [[ -n "$PMIX_HOME" ]]; then
    mkdir -p "$mpi/lib" "$mpi/share"
    cp -rL "$PMIX_HOME/lib/pmix" "$mpi/lib/"
    cp -rL "$PMIX_HOME/share/pmix" "$mpi/share/"
  fi
  find "$mpi" \( -name '*.so*' -o -path '*/bin/*' \) -type f -exec strip --strip-unneeded {} +
}

# A folder of folder $1 with what mpirun itself loads of $1/lib, and nothing that other programs of the machine could
# take for theirs: libstdc++ above all.
link_mpi_libraries() {
  local name
  mkdir -p "$1/mpi/lib"
  while read -r name; do
    [[ ! -e "$1/lib/$name" || "$name" =~ $COMPILER ]] || ln -sf "../../lib/$name" "$1/mpi/lib/$name"
  done < <(mpi_files | xargs ldd | awk '$2 == "=>" {print $1}' | sort -u)
}

# env.sh in folder $1, for programs that need torch $2; empty: they have it.
write_env() {
  sed "s/@TORCH_VERSION@/$2/" "$XTASC_ROOT/launch/bundle_env.sh" >"$1/env.sh"
}
