#!/usr/bin/env bash
# Set-up, then the tests. Further arguments go to ctest: launch/test.sh -R pack, launch/test.sh --preset asan -L base.
set -euo pipefail
# shellcheck source=launch/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

case "${1:-}" in
  -h | --help)
    echo "Usage: launch/test.sh [--long] [--preset NAME] [arguments of ctest, e.g. -R NAME, -L LABEL, --rerun-failed]"
    echo "  --long   also what is slow: the peer's whole matrix, every Slurm scenario, faults that have to be waited for"
    echo "Labels: base (seconds), torch, toy, mpi, peer, programs, slurm, source, gpu; long"
    exit 0
    ;;
esac

preset="$(preset_of "$@")"
arguments=()
while (($#)); do
  case "$1" in
    --long)
      export XTASC_TESTS=long
      arguments+=(-C long)
      ;;
    --preset) shift ;;
    --preset=*) ;;
    *) arguments+=("$1") ;;
  esac
  (($#)) && shift
done

"$XTASC_ROOT/launch/setup.sh" --preset "$preset" --for-tests
cd "$XTASC_ROOT"
# Each test says how many cores it wants; the others share what is left, one thread each.
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}"
exec ctest --preset "$preset" --parallel "$(num_cores)" "${arguments[@]}"
