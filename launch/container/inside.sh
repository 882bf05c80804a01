#!/usr/bin/env bash
# What is done inside of a container: the steps that Dockerfile, apptainer.def and prove.sh share.
set -euo pipefail

readonly HOME_OF_BUNDLE=/opt/xtasc STARTER=/usr/local/bin/with-xtasc

usage() {
  cat <<TEXT
Usage: launch/container/inside.sh install|check [--quick]

Run as root inside of an image (Debian 12 or newer, also one without compiler and Python) that has a bundle
(launch/bundle.sh --with-mpi, or --thin) in $HOME_OF_BUNDLE.

  install   makes $STARTER, which runs a command with the bundle's programs on the path, and starts each of them;
            of a thin bundle without a torch at hand only the former
  check     trains on generated scenes with two ranks, tabulates, and runs the self-test on two ranks: on the CPU.
            --quick leaves out the self-test
TEXT
}

die() {
  printf 'xtasc: error: %s\n' "$*" >&2
  exit 1
}

install_starter() {
  local missing
  for missing in bin/xtasc-train env.sh NOTICE; do
    [[ -e "$HOME_OF_BUNDLE/$missing" ]] \
      || die "there is no $HOME_OF_BUNDLE/$missing: a bundle of launch/bundle.sh --with-mpi or --thin is needed there"
  done
  cat >"$STARTER" <<TEXT
#!/usr/bin/env bash
# with-xtasc COMMAND...: with the bundle's programs and mpirun on the path; without a command a shell.
source $HOME_OF_BUNDLE/env.sh || exit 1
exec "\${@:-bash}"
TEXT
  chmod 755 "$STARTER"
  if [[ -e "$HOME_OF_BUNDLE/lib/libtorch_cpu.so" || -n "${XTASC_TORCH:-}" ]]; then
    local program
    for program in "$HOME_OF_BUNDLE"/bin/xtasc-*; do
      "$STARTER" "$program" --version
    done
    "$STARTER" mpirun --version | head -n 1
  else
    echo "xtasc: a thin bundle: mount torch and set XTASC_TORCH where the container is run"
  fi
}

# Two ranks, also where there is one core, and where root's are not welcome.
ranks() { "$STARTER" mpirun -np 2 --oversubscribe --bind-to none "$@"; }

check() {
  local folder
  folder="$(mktemp -d)"
  # shellcheck disable=SC2064  # the folder of now
  trap "rm -rf '$folder'" EXIT
  cd "$folder"
  export OMP_NUM_THREADS=1 CUDA_VISIBLE_DEVICES=
  "$STARTER" xtasc-preprocess scenes --train 16 --val 4 --seed 1 --size 64x96 --output scenes.h5
  ranks xtasc-train --config "$HOME_OF_BUNDLE/share/xtasc/configs/scenes.toml" --set data.pack=scenes.h5 \
    --set run.output=runs --set run.device=cpu --set run.precision=fp32 --set model.encoder=resnet18 \
    --set train.epochs=1 --set train.batch_size=4
  "$STARTER" xtasc-predict --run runs --split val --output predictions
  "$STARTER" xtasc-tabulate runs
  [[ "${1:-}" == --quick ]] || ranks xtasc-inspect selftest --device cpu --timeout 1800  # an image is built on any machine
  echo "xtasc: this container trains"
}

case "${1:-}" in
  install) install_starter ;;
  check) check "${2:-}" ;;
  -h | --help) usage ;;
  *)
    usage >&2
    exit 2
    ;;
esac
