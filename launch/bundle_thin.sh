# shellcheck shell=bash
# Sourced by bundle.sh, whose BUILD, TORCH, FAST, SYSTEM and COMPILER it uses: what is a thin bundle's own. LibTorch and NVIDIA's
# libraries are the other machine's.

readonly THIN_LIMIT_MIB=64

# As libraries() of bundle.sh.
thin_libraries() {
  local wheel path name
  # Whatever the wheel has, wherever the loader here takes it from.
  wheel=" $(find "$TORCH" "$TORCH"/../../nvidia/*/lib -maxdepth 1 -name '*.so*' -printf '%f ' 2>/dev/null || true)"
  ldd "$BUILD"/bin/xtasc-* "${MPI_BINARIES[@]}" "${PMIX_PLUGINS[@]}" \
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

# What folder $1 has beyond programs and libraries: env.sh; libraries stripped.
finish_thin() {
  local version
  find "$1/lib" -name '*.so*' -type f -exec strip --strip-unneeded {} +
  version="$(torch_version "$TORCH/..")"
  [[ -n "$version" ]] || die "$TORCH/.. does not say its version in version.py or build-version"
  write_env "$1" "$version"
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
