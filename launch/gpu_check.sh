#!/usr/bin/env bash
# All that only a GPU can show, in one command on a machine with one or more, into one folder of results/gpu.
# A step that fails does not keep the others from running. Not run on a GPU yet.
set -euo pipefail
# shellcheck source=launch/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

usage() {
  cat <<TEXT
Usage: launch/gpu_check.sh [--device cuda|cpu] [--steps NAME,...] [--output DIR] [--bin DIR] [--timeout SECONDS]

Writes text and JSON of each step, and report.txt and report.json of all, with date, card, driver and program:

  selftest_N      xtasc-inspect selftest on one rank, on two (which share a GPU where there is one) and on every GPU
  memcheck        the same on one rank under compute-sanitizer; skipped where that is not installed
  bench_*         steps in bf16, tf32 and fp32 at the sizes of Cityscapes and NYUv2, plain and as CUDA graphs
  peer_*          the same in bf16 beside PyTorch: eager, as a CUDA graph, compiled; skipped where python3 has no torch
  kernels         our own kernels under ncu, speed of light and time; skipped where that is not installed
  resume[_graph]  generated scenes: stopped by SIGUSR2 and resumed, against an unbroken run, bit for bit

  --device cpu    the same on the processor, with small nets: tries this script, tells nothing of a GPU
  --steps LIST    only steps whose names begin with one of these, e.g. selftest,bench_nyuv2
  --output DIR    the report's folder; must not exist (default results/gpu/DATE-CARD)
  --bin DIR       the programs (default build/release/bin; in a bundle its own)
  --timeout S     for each command (default 1800)
  --help          this text

Exit code 1 when a step failed; the last line names it.
TEXT
}

DEVICE=cuda
STEPS=""
REPORT=""
BIN="$XTASC_ROOT/build/release/bin"
if [[ ! -d "$BIN" && -x "$XTASC_ROOT/../../bin/xtasc-inspect" ]]; then
  BIN="$XTASC_ROOT/../../bin" # a bundle's
fi
LIMIT=1800
ROWS=()    # "name outcome seconds reason", one a step
FAILED=()  # names

limited() { timeout --kill-after=30 "$LIMIT" "$@"; }

is_wanted() { # NAME
  local prefix
  [[ -z "$STEPS" ]] && return 0
  for prefix in ${STEPS//,/ }; do
    [[ "$1" == "$prefix"* ]] && return 0
  done
  return 1
}

# step NAME COMMAND...: its output goes to NAME.txt; exit code 77 means skipped. The last line says why it did not pass.
step() {
  local name="$1" start=$SECONDS code=0 outcome reason=""
  shift
  is_wanted "$name" || return 0
  say "$name"
  "$@" >"$REPORT/$name.txt" 2>&1 || code=$?
  case "$code" in
    0) outcome=passed ;;
    77) outcome=skipped ;;
    *)
      outcome=failed
      FAILED+=("$name")
      ;;
  esac
  if ((code)); then
    reason="$(grep -v '^ *$' "$REPORT/$name.txt" | tail -n 1) (exit code $code)"
  fi
  ROWS+=("$name $outcome $((SECONDS - start)) $reason")
  say "$name: $outcome in $((SECONDS - start)) s${reason:+: $reason}"
}

# ---- the steps -------------------------------------------------------------------------------------------------------
selftest() { # RANKS
  local options=(--device "$DEVICE" --json "$REPORT/selftest_$1.json" --scratch "$SCRATCH")
  if [[ "$DEVICE" == cuda ]] && (($1 > GPUS)); then
    options+=(--share-gpu)
  fi
  ranks_command "$1"
  limited "${RANKS_COMMAND[@]}" "$BIN/xtasc-inspect" selftest "${options[@]}"
}

# Sets TOOL to the path of a program of CUDA's toolkit, which is nothing to a processor.
find_tool() { # NAME
  if [[ "$DEVICE" == cpu ]]; then
    echo "needs a GPU"
    return 77
  fi
  if ! TOOL="$(PATH="$PATH:/usr/local/cuda/bin" command -v "$1")"; then
    echo "$1 is not installed"
    return 77
  fi
}

memcheck() {
  local TOOL
  find_tool compute-sanitizer || return
  limited "$TOOL" --tool memcheck --error-exitcode 9 \
    "$BIN/xtasc-inspect" selftest --device cuda --timeout "$LIMIT" --scratch "$SCRATCH"
}

bench() { # NAME PRECISION GRAPH OPTION...
  local json="$REPORT/$1.json" precision="$2" graph="$3"
  shift 3
  limited "$BIN/xtasc-bench" step --device "$DEVICE" --precision "$precision" --set train.cuda_graph="$graph" \
    --json "$json" "$@" "${BENCH_SIZE[@]}" || return
  if [[ "$DEVICE" == cuda && "$graph" == true ]] && ! grep -q '"cuda_graph": true' "$json"; then
    echo "the steps were not captured as a CUDA graph: the log above says why"
    return 1
  fi
}

peer() { # NAME OPTION...
  local name="$1" compiled=--peer-compiled python="${XTASC_PYTHON:-python3}"
  shift
  if [[ -z "${XTASC_PYTHON:-}" && -x "$XTASC_ROOT/.venv/bin/python" ]]; then
    python="$XTASC_ROOT/.venv/bin/python"
  fi
  if ! "$python" -c 'import torch' 2>/dev/null; then
    echo "$python has no torch: set XTASC_PYTHON"
    return 77
  fi
  [[ "$DEVICE" == cuda ]] || compiled=--peer
  XTASC_PYTHON="$python" bench "$name" bf16 "$([[ "$DEVICE" == cuda ]] && echo true || echo false)" \
    "$compiled" "$@"
}

kernels() {
  local TOOL
  find_tool ncu || return
  # A step has some 520 of them.
  limited "$TOOL" --clock-control none --section SpeedOfLight --csv --launch-count 600 \
    --kernel-name 'regex:upsample|norm_|epilogue|fused_losses|fused_gradients|augment|finite' \
    "$BIN/xtasc-bench" step --device cuda --precision bf16 --rounds 1 || return
  local kernel
  for kernel in augment_kernel norm_sums_kernel epilogue_kernel epilogue_gradient_kernel upsample_gradient_kernel; do
    if ! grep -q "$kernel" "$REPORT/kernels.txt"; then
      echo "ncu saw no $kernel"
      return 1
    fi
  done
}

# A run in a folder of its own, on the ranks of RANKS_COMMAND.
train_command() { # GRAPH FOLDER
  TRAIN_COMMAND=("${RANKS_COMMAND[@]}" "$BIN/xtasc-train" --config "$XTASC_ROOT/configs/scenes.toml"
    --set data.pack="$SCRATCH/scenes.h5" --set run.device="$DEVICE" --set train.cuda_graph="$1" --set run.output="$2"
    --set train.epochs="$EPOCHS" "${TRAIN_SIZE[@]}")
}

resume() { # GRAPH
  local folder="$SCRATCH/resume_$1" pid code=0 file
  ranks_command "$(ranks_here 2)"
  if [[ ! -e "$SCRATCH/scenes.h5" ]]; then
    "$BIN/xtasc-preprocess" scenes "${SCENES[@]}" --seed 1 --output "$SCRATCH/scenes.h5" || return
  fi
  train_command "$1" "$folder/unbroken"
  limited "${TRAIN_COMMAND[@]}" || return
  train_command "$1" "$folder/stopped"
  "${TRAIN_COMMAND[@]}" & # not limited: timeout would not pass the signal on; run.stall_seconds holds
  pid=$!
  while [[ -z "$(compgen -G "$folder/stopped/*/metrics.jsonl")" ]] && kill -0 "$pid" 2>/dev/null; do
    sleep 0.05
  done
  kill -USR2 "$pid" 2>/dev/null || true # mpirun passes it on to the ranks
  wait "$pid" || code=$?
  if ((code != 85)); then
    echo "the run that was to be stopped ended with exit code $code, not 85"
    return 1
  fi
  limited "${TRAIN_COMMAND[@]}" || return
  for file in weights.pt state.pt; do
    cmp "$folder"/unbroken/*/checkpoint/last/"$file" "$folder"/stopped/*/checkpoint/last/"$file" || return
  done
  if [[ "$DEVICE" == cuda && "$1" == true ]] && grep -q 'steps stay plain' "$REPORT/resume_graph.txt"; then
    echo "the steps were not captured as a CUDA graph: the log above says why"
    return 1
  fi
  echo "stopped and resumed: weights and optimizer have the bits of the unbroken run"
  if [[ "$1" == true && -d "$SCRATCH/resume_false/unbroken" ]]; then
    cmp "$SCRATCH"/resume_false/unbroken/*/checkpoint/last/weights.pt "$folder"/unbroken/*/checkpoint/last/weights.pt \
      && echo "as CUDA graphs and plain: the same bits" || echo "as CUDA graphs and plain: other bits (no failure)"
  fi
}

all_steps() {
  local precision ranks
  for ranks in $(printf '%s\n' 1 2 "$GPUS" | sort -nu); do
    ((ranks == 0)) || step "selftest_$ranks" selftest "$ranks"
  done
  step memcheck memcheck
  for precision in bf16 tf32 fp32; do
    step "bench_cityscapes_$precision" bench "bench_cityscapes_$precision" "$precision" false
    step "bench_cityscapes_${precision}_graph" bench "bench_cityscapes_${precision}_graph" "$precision" true
    step "bench_nyuv2_$precision" bench "bench_nyuv2_$precision" "$precision" false "${NYUV2[@]}"
    step "bench_nyuv2_${precision}_graph" bench "bench_nyuv2_${precision}_graph" "$precision" true "${NYUV2[@]}"
  done
  step peer_cityscapes peer peer_cityscapes
  step peer_nyuv2 peer peer_nyuv2 "${NYUV2[@]}"
  step kernels kernels
  step resume resume false
  step resume_graph resume true
}

# ---- the report ------------------------------------------------------------------------------------------------------
json_text() {
  local text="${1//\\/\\\\}"
  text="${text//\"/\\\"}"
  printf '"%s"' "${text//[$'\t\r\n']/ }"
}

write_report() {
  local row name outcome seconds reason comma=""
  {
    printf '%-8s%s\n' date "$DATE" card "$CARD" driver "$DRIVER" GPUs "$GPUS" device "$DEVICE" program "$PROGRAM"
    echo
    for row in "${ROWS[@]}"; do
      read -r name outcome seconds reason <<<"$row"
      printf '%-8s %-32s %6s s  %s\n' "$outcome" "$name" "$seconds" "$reason"
    done
  } >"$REPORT/report.txt"
  {
    printf '{"date": %s, "card": %s, "driver": %s, "gpus": %s, "device": %s, "program": %s, "steps": [' \
      "$(json_text "$DATE")" "$(json_text "$CARD")" "$(json_text "$DRIVER")" "$GPUS" "$(json_text "$DEVICE")" \
      "$(json_text "$PROGRAM")"
    for row in "${ROWS[@]}"; do
      read -r name outcome seconds reason <<<"$row"
      printf '%s\n  {"name": "%s", "outcome": "%s", "seconds": %s, "reason": %s}' \
        "$comma" "$name" "$outcome" "$seconds" "$(json_text "$reason")"
      comma=,
    done
    printf '\n]}\n'
  } >"$REPORT/report.json"
}

card_and_driver() {
  CARD=cpu DRIVER=none GPUS=0
  if [[ "$DEVICE" == cuda ]]; then
    GPUS="$(num_gpus)"
    ((GPUS > 0)) || die "no GPU is to be seen here (nvidia-smi -L, /dev/nvidia*, CUDA_VISIBLE_DEVICES)"
    CARD="$(nvidia-smi --query-gpu=name --format=csv,noheader 2>/dev/null | head -n 1)" || CARD=""
    DRIVER="$(nvidia-smi --query-gpu=driver_version --format=csv,noheader 2>/dev/null | head -n 1)" || DRIVER=""
    CARD="${CARD:-unknown card}" DRIVER="${DRIVER:-unknown}"
  fi
}

sizes() {
  NYUV2=(--classes 13 --height 288 --width 384 --set train.batch_size=6)
  BENCH_SIZE=(--rounds 20)
  SCENES=(--train 480 --val 64)
  TRAIN_SIZE=()
  EPOCHS=12 # an epoch takes a second or less, and the stop must come before the last
  if [[ "$DEVICE" == cpu ]]; then
    local net=(--set model.encoder=resnet18 --set model.decoder_width=8 --set 'model.ttnet_widths=[8,8,8]')
    NYUV2=(--classes 13)
    BENCH_SIZE=(--height 32 --width 64 --rounds 1 --set train.batch_size=2 "${net[@]}")
    SCENES=(--train 32 --val 7 --size 32x64)
    TRAIN_SIZE=(--set train.batch_size=4 --set run.threads=1 "${net[@]}")
    EPOCHS=2
  fi
}

main() {
  while (($#)); do
    case "$1" in
      --device) DEVICE="${2:?--device wants cuda or cpu}"; shift ;;
      --steps) STEPS="${2:?--steps wants names}"; shift ;;
      --output) REPORT="${2:?--output wants a folder}"; shift ;;
      --bin) BIN="${2:?--bin wants a folder}"; shift ;;
      --timeout) LIMIT="${2:?--timeout wants seconds}"; shift ;;
      -h | --help)
        usage
        exit 0
        ;;
      *)
        printf "xtasc: error: unknown option '%s'; launch/gpu_check.sh --help lists them\n" "$1" >&2
        exit 2
        ;;
    esac
    shift
  done
  [[ "$DEVICE" == cuda || "$DEVICE" == cpu ]] || die "--device is cuda or cpu, found '$DEVICE'"
  [[ -x "$BIN/xtasc-inspect" ]] || die "there is no $BIN/xtasc-inspect: run launch/setup.sh first, or name --bin"
  DATE="$(date -u +%FT%TZ)"
  PROGRAM="$("$BIN/xtasc-inspect" --version)"
  card_and_driver
  sizes
  REPORT="${REPORT:-$XTASC_ROOT/results/gpu/${DATE%%T*}-$(tr -cs '[:alnum:]\n' - <<<"$CARD")}"
  [[ ! -e "$REPORT" ]] || die "'$REPORT' exists: name another folder by --output"
  mkdir -p "$REPORT"
  SCRATCH="$(mktemp -d)"
  trap 'rm -rf "$SCRATCH"' EXIT

  all_steps
  ((${#ROWS[@]})) || die "--steps $STEPS names no step; launch/gpu_check.sh --help lists them"
  write_report
  say "report: $REPORT"
  if ((${#FAILED[@]})); then
    die "${#FAILED[@]} of ${#ROWS[@]} steps failed: ${FAILED[*]}"
  fi
  say "no step of ${#ROWS[@]} failed"
}

main "$@"
