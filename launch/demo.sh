#!/usr/bin/env bash
# The main job in small: set-up, generated scenes, four systems trained on two ranks (one where there is one GPU), a
# picture and a table.
# Run again after an interruption, it goes on where it stopped. Options of launch/setup.sh are accepted.
set -euo pipefail
# shellcheck source=launch/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

readonly PACK=data/scenes.h5
readonly CONFIG=configs/scenes.toml
readonly RUNS=results/runs/demo
readonly SYSTEMS=(base_st_seg base_st_depth base_mt xtasc)

case "${1:-}" in
  -h | --help)
    echo "Usage: launch/demo.sh [options of launch/setup.sh]"
    echo "Trains ${SYSTEMS[*]} on generated scenes (a few minutes on two cores); results land in $RUNS."
    exit 0
    ;;
esac

"$XTASC_ROOT/launch/setup.sh" "$@"
cd "$XTASC_ROOT"
bin="build/$(preset_of "$@")/bin"
ranks="$(ranks_here 2)"

if [[ ! -e "$PACK" ]]; then
  say "packing generated scenes into $PACK"
  mkdir -p "$(dirname "$PACK")"
  "$bin/xtasc-preprocess" scenes --train 480 --val 64 --seed 1 --output "$PACK" \
    || die "packing failed: the line above says why; then run launch/demo.sh again."
fi

for system in "${SYSTEMS[@]}"; do
  say "training $system on $ranks rank$( ((ranks == 1)) || echo s)"
  mpirun_ranks "$ranks" "$bin/xtasc-train" --config "$CONFIG" \
    --set run.output="$RUNS/$system" --set model.system="$system" \
    || die "training $system stopped: the line above says why; launch/demo.sh again goes on from its last checkpoint."
done

say "predicting validation scenes"
"$bin/xtasc-predict" --run "$RUNS/xtasc" --pack "$PACK" --split val --samples 0,1,2,3 --output "$RUNS/prediction" \
  || die "prediction failed: the line above says why."

echo
"$bin/xtasc-tabulate" "$RUNS" --output "$RUNS/table" --title "Generated scenes" \
  || die "no table: the line above says why."
echo
say "picture: $XTASC_ROOT/$RUNS/prediction/panel.png"
say "runs:    $XTASC_ROOT/$RUNS"
