# shellcheck shell=bash
# Sourced by bundle.sh, whose BUILD, TORCH, FAST and SYSTEM it uses: what is a thin bundle's own. LibTorch and NVIDIA's
# libraries are the other machine's; Open MPI is in it, with its plugins, below mpi/ as it lies below its prefix here.

readonly THIN_LIMIT_MIB=64
# The other machine's, since its Python's extensions may need newer ones than ours.
readonly COMPILER='^(libstdc\+\+|libgcc_s)\.so'
# Plugins for these networks stay behind: they drag in drivers' libraries, and gradients between GPUs go through NCCL.
readonly NETWORKS='/lib(uc[mpst]|fabric|ibverbs|rdmacm|psm|oshmem|nl-)'

ompi_path() { ompi_info --path "$1" --parsable | cut -d : -f 3 | head -n 1; }

# Sets what of Open MPI and PMIx is taken: MPI_PREFIX, MPI_BINARIES and MPI_TEXTS below it, PMIX_HOME (may be empty).
find_mpi() {
  command -v ompi_info >/dev/null || die "--thin takes Open MPI along, and there is no ompi_info: install openmpi-bin"
  local plugin needs pmix
  MPI_PREFIX="$(ompi_path prefix)"
  MPI_BINARIES=("$(ompi_path bindir)"/{mpirun,orted})
  MPI_TEXTS=("$(ompi_path pkgdatadir)"/help-*.txt)
  for plugin in "$(ompi_path pkglibdir)"/*.so; do
    needs="$(ldd "$plugin")"
    [[ "$needs" =~ $NETWORKS ]] || MPI_BINARIES+=("$plugin")
  done
  pmix="$(ldd "${MPI_BINARIES[@]}" | awk '$1 ~ /^libpmix\./ {print $3}' | sort -u)"
  PMIX_HOME="${pmix:+$(dirname "$pmix")/pmix2}"
  if [[ ! -d "$PMIX_HOME/lib/pmix" ]]; then
    PMIX_HOME=""  # Open MPI's own, or without plugins
  fi
}

# As libraries() of bundle.sh.
thin_libraries() {
  local wheel path name
  # Whatever the wheel has, wherever the loader here takes it from.
  wheel=" $(find "$TORCH" "$TORCH"/../../nvidia/*/lib -maxdepth 1 -name '*.so*' -printf '%f ' 2>/dev/null || true)"
  ldd "$BUILD"/bin/xtasc-* "${MPI_BINARIES[@]}" ${PMIX_HOME:+"$PMIX_HOME"/lib/pmix/*.so} \
    | awk '$2 == "=>" && $3 ~ /^\// {print $3}' | sort -u | while read -r path; do
    name="$(basename "$path")"
    [[ "$name" =~ $SYSTEM || "$name" =~ $COMPILER || "$wheel" == *" $name "* ]] && continue
    printf '%s\n' "$path"
  done | awk -F/ '!seen[$NF]++'
}

# The version of the torch below folder $1, with what it was built for: 2.11.0+cu130.
torch_version() {
  if [[ -e "$1/version.py" ]]; then
    sed -n "s/^__version__ = '\(.*\)'/\1/p" "$1/version.py"
  else
    cat "$1/build-version"
  fi
}

# What folder $1 has beyond programs and libraries: MPI and env.sh; everything stripped.
finish_thin() {
  local mpi="$1/mpi" file version
  for file in "${MPI_BINARIES[@]}" "${MPI_TEXTS[@]}"; do
    install -D -m "$([[ -x "$file" ]] && echo 755 || echo 644)" "$file" "$mpi/${file#"$MPI_PREFIX"/}"
  done
  if [[ -n "$PMIX_HOME" ]]; then
    mkdir -p "$mpi/lib" "$mpi/share"
    cp -rL "$PMIX_HOME/lib/pmix" "$mpi/lib/"
    cp -rL "$PMIX_HOME/share/pmix" "$mpi/share/"
  fi
  find "$1/lib" "$mpi" \( -name '*.so*' -o -path '*/bin/*' \) -type f -exec strip --strip-unneeded {} +
  version="$(torch_version "$TORCH/..")"
  [[ -n "$version" ]] || die "$TORCH/.. does not say its version in version.py or build-version"
  sed "s/@TORCH_VERSION@/$version/" "$XTASC_ROOT/launch/bundle_env.sh" >"$1/env.sh"
}

# Every program of folder $1 starts with its env.sh and this build's torch, and all that it loads is the folder's, the
# wheel's or what every machine has.
prove_thin() {
  local wheel
  wheel="$(realpath "$TORCH/../..")"
  # shellcheck disable=SC2016  # the dollars are the inner shell's
  env -i PATH="$PATH" XTASC_TORCH="$TORCH/.." bash -c '
    source "$1/env.sh" || exit 1
    for program in "$1"/bin/xtasc-* "$1/mpi/bin/mpirun"; do
      "$program" --version >/dev/null || exit 1
    done
    find "$1" -type f \( -path "*/bin/*" -o -name "*.so*" \) -exec ldd {} +' - "$(realpath "$1")" \
    | while read -r name _ path _; do
      [[ "$path" != /* && "$path" != not ]] || [[ "$name" =~ $SYSTEM || "$name" =~ $COMPILER ]] \
        || [[ "$(realpath -m "$path")" == "$(realpath "$1")"/* || "$(realpath -m "$path")" == "$wheel"/* ]] \
        || printf '%s\n' "$name => $path"
    done | sort -u >"$1.foreign"
  [[ ! -s "$1.foreign" ]] || die "the bundle has not all that it loads: $(tr '\n' ' ' <"$1.foreign")"
}

# Folder $1/$2 as $1/$2.tar.xz.
compress() {
  local level=-9e bytes
  if ((FAST)); then
    level=-1
  fi
  say "compressing $(du -sh "$1/$2" | cut -f 1)"
  tar --sort=name --owner=0 --group=0 --numeric-owner -C "$1" -cf - "$2" | xz -T0 "$level" >"$1/$2.tar.xz"
  bytes="$(stat -c %s "$1/$2.tar.xz")"
  ((bytes <= THIN_LIMIT_MIB * 1024 * 1024)) \
    || die "the bundle takes $((bytes / 1024 / 1024)) MiB, and $THIN_LIMIT_MIB are allowed: take fewer packs along"
}
