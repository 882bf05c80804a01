#!/usr/bin/env bash
# Layout of C++ (clang-format), faults in changed C++ sources (clang-tidy), scripts (shellcheck), Python (compileall).
set -euo pipefail
# shellcheck source=launch/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

readonly FORMAT_VERSION=14 # another version lays out otherwise
readonly TIDY_LIMIT=20     # a source takes clang-tidy 3 to 20 s

usage() {
  cat <<TEXT
Usage: launch/lint.sh [--base REVISION] [--build DIR]

  clang-format $FORMAT_VERSION  every tracked C++ and CUDA file
  clang-tidy       .cpp files that differ from REVISION, at most $TIDY_LIMIT of them
  shellcheck       every tracked shell script
  python           every tracked .py file compiles

A part whose tool is missing is skipped, and says so; launch/setup.sh --for-tests installs all on Debian.

  --base REVISION  default: where this branch left main (or origin/main); on main, HEAD~1
  --build DIR      a configured build folder, for clang-tidy (default build/release)
  --help           this text

Exit code 1 when something was found, 77 when this is no git checkout.
TEXT
}

BASE=""
BUILD="$XTASC_ROOT/build/release"
FOUND=0

# tracked PATTERN...: files of the index that are there, each ended by a NUL.
tracked() {
  local file
  while IFS= read -r -d '' file; do
    if [[ -f "$file" && ! -L "$file" ]]; then
      printf '%s\0' "$file"
    fi
  done < <(git ls-files -z -- "$@")
}

# run NAME COMMAND...: says how it went.
run() {
  local name="$1" start=$SECONDS
  shift
  if "$@"; then
    say "$name: nothing found ($((SECONDS - start)) s)"
  else
    say "$name: see above"
    FOUND=1
  fi
}

major_version() { "$1" --version | grep -oE 'version [0-9]+' | grep -oE '[0-9]+'; }

check_format() {
  local tool found
  tool="$(command -v "clang-format-$FORMAT_VERSION" clang-format | head -n 1 || true)"
  if [[ -z "$tool" ]]; then
    say "clang-format: skipped, not installed"
    return
  fi
  found="$(major_version "$tool")"
  if [[ "$found" != "$FORMAT_VERSION" ]]; then
    say "clang-format: skipped, this is version $found, not $FORMAT_VERSION"
    return
  fi
  tracked '*.cpp' '*.hpp' '*.cu' '*.cuh' >"$LIST"
  run "clang-format" xargs -0 -r -a "$LIST" "$tool" --dry-run -Werror
}

# The revision that changes are counted from: where this branch left main; on main itself the one before, that its last
# commit is looked at too. Empty where nothing is known of main.
base_revision() {
  local main base
  for main in main origin/main; do
    if git rev-parse --verify --quiet "$main^{commit}" >/dev/null; then
      base="$(git merge-base HEAD "$main" || true)"
      if [[ "$base" == "$(git rev-parse HEAD)" ]]; then
        base="$(git rev-parse --verify --quiet HEAD~1 || true)"
      fi
      printf '%s\n' "$base"
      return
    fi
  done
}

check_changed() {
  local base="$BASE" count
  if ! command -v clang-tidy >/dev/null; then
    say "clang-tidy: skipped, not installed"
    return
  fi
  if [[ ! -e "$BUILD/compile_commands.json" ]]; then
    say "clang-tidy: skipped, $BUILD has no compile_commands.json: launch/setup.sh makes it"
    return
  fi
  base="${base:-$(base_revision)}"
  if [[ -z "$base" ]]; then
    say "clang-tidy: skipped, there is no branch main to compare with: name a revision by --base"
    return
  fi
  {
    git diff -z --name-only --diff-filter=d "$base" -- '*.cpp'
    git ls-files -z --others --exclude-standard -- '*.cpp'
  } >"$LIST"
  count="$(tr -cd '\0' <"$LIST" | wc -c)"
  if ((count == 0)); then
    say "clang-tidy: no .cpp file differs from ${base:0:12}"
  elif ((count > TIDY_LIMIT)); then
    say "clang-tidy: skipped, $count files differ from ${base:0:12}, more than $TIDY_LIMIT: name a later one by --base"
  else
    run "clang-tidy, $count files" tidy
  fi
}

# A value of the build's cache.
# shellcheck disable=SC2317  # called by tidy
cached() { sed -n "s/^$1:[A-Z]*=//p" "$BUILD/CMakeCache.txt"; }

# What clang-tidy says of headers that are not ours is a count of warnings: dropped. It wants the flags of each source, which
# a build that joins them does not have: those of one that does not, configured for that alone.
# shellcheck disable=SC2317  # called by run
tidy() {
  cmake -S . -B "$COMMANDS" -G Ninja -DXTASC_UNITY=OFF "-DXTASC_CUDA=$(cached XTASC_CUDA)" -DCMAKE_BUILD_TYPE=Release \
    -DCMAKE_EXPORT_COMPILE_COMMANDS=ON "-DLIBTORCH_ROOT=$(cached LibTorch_ROOT)" >/dev/null
  cmake --build "$COMMANDS" --target xtasc_source_version >/dev/null
  xargs -0 -r -a "$LIST" -n 1 -P "$(num_cores)" clang-tidy -p "$COMMANDS" --quiet 2> >(grep -v 'warnings\? generated' >&2)
}

check_scripts() {
  if ! command -v shellcheck >/dev/null; then
    say "shellcheck: skipped, not installed"
    return
  fi
  tracked '*.sh' .ci/run >"$LIST"
  run "shellcheck" xargs -0 -r -a "$LIST" shellcheck -x
}

# Compiled in memory: nothing is left beside the files.
check_python() {
  local python
  python="$(command -v python3 || true)"
  if [[ -z "$python" ]]; then
    say "python: skipped, there is no python3"
    return
  fi
  tracked '*.py' >"$LIST"
  run "python" xargs -0 -r -a "$LIST" "$python" -W error -c '
import pathlib
import sys
failed = False
for name in sys.argv[1:]:
    try:
        compile(pathlib.Path(name).read_bytes(), name, "exec")
    except (SyntaxError, ValueError) as error:
        print(f"{name}: {error}", file=sys.stderr)
        failed = True
sys.exit(failed)'
}

while (($#)); do
  case "$1" in
    --base | --build)
      (($# > 1)) || die "$1 needs a value; launch/lint.sh --help"
      if [[ "$1" == --base ]]; then BASE="$2"; else BUILD="$(realpath "$2")"; fi
      shift 2
      ;;
    -h | --help)
      usage
      exit 0
      ;;
    *)
      printf "xtasc: error: unknown option '%s'; launch/lint.sh --help lists them\n" "$1" >&2
      exit 2
      ;;
  esac
done

cd "$XTASC_ROOT"
if ! top="$(git rev-parse --show-toplevel 2>&1)" || ! [[ "$top" -ef "$XTASC_ROOT" ]]; then
  say "lint: skipped, $XTASC_ROOT is no git checkout of its own: ${top##*fatal: }"
  exit 77
fi
if [[ -n "$BASE" ]] && ! git rev-parse --verify --quiet "$BASE^{commit}" >/dev/null; then
  die "--base $BASE: there is no such revision"
fi
LIST="$(mktemp)"
COMMANDS="$(mktemp -d)"
trap 'rm -rf "$LIST" "$COMMANDS"' EXIT

check_format
check_changed
check_scripts
check_python
exit "$FOUND"
