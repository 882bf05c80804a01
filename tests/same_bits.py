"""Do two builds compute the same numbers, to the last bit? What a rebuilding that is to move none is held to.

    python tests/same_bits.py OLD/bin NEW/bin                 every case, about an hour on two cores
    python tests/same_bits.py OLD/bin NEW/bin --only bf16     cases whose names have this word; may be repeated
    python tests/same_bits.py OLD/bin NEW/bin --list          their names

Each build packs the same generated scenes and trains every system, with every weighting method that it takes, with two
encoders, in three precisions, on one and on two ranks, and some with nets wide enough for every fast form: two epochs of
two or three steps, with all their losses, measures and, at the end, weights, buffers and the optimizer's state. Compared are the lines of metrics.jsonl without the clock's, every
tensor of the last checkpoint, the packs' digests, and the run's id. What only the new build writes into metrics.jsonl is
no number that moved: it is named at the end. Bits are a processor's own: both builds run here.

Exit code 1 where a case differs; 0 otherwise. Python with torch.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import torch

SMALL = ["model.decoder_width=8", "model.ttnet_widths=[8,8,8]", "train.batch_size=4", "train.epochs=2",
         "evaluate.batch_size=3", "run.device=cpu", "run.threads=1"]
ENCODERS = ("resnet18", "resnet50")
PRECISIONS = ("fp64", "fp32", "bf16")
SINGLE = ("base_st_seg", "base_st_depth")
JOINT = ("base_mt", "align", "xtasc")
METHODS = ("equal", "uncertainty", "gradnorm", "dwa", "rlw", "pcgrad", "cagrad", "mgda", "imtl_l", "imtl_g", "imtl",
           "famo")
# Beyond the grid, with XTasC-Net on resnet18 in fp32: what else decides which code computes.
OTHERS = {"plain forms": ["train.rewrites=false"], "norms in transfer nets": ["model.ttnet_batch_norm=true"],
          "recomputed": ["train.activation_checkpointing=true"], "kl": ["loss.transferred_segmentation=kl"],
          "ssim": ["loss.transferred_depth=ssim"], "mse": ["loss.depth=MSE"]}
# The fast forms want channels in lines of a register and a few hundred tiles: what the narrow nets above never meet.
WIDE = ["model.encoder=resnet18", "model.decoder_width=64", "model.ttnet_widths=[32,64,128]", "train.batch_size=8"]
CLOCKS = ("seconds", "images_per_second", "machine", "digest")  # the last is over the others


def cases() -> dict[str, tuple[int, list[str]]]:
    """Name -> number of ranks and assignments."""
    nets = [(system, "equal") for system in SINGLE] + list(itertools.product(JOINT, METHODS))
    found = {}
    for (system, method), encoder, precision, ranks in itertools.product(nets, ENCODERS, PRECISIONS, (1, 2)):
        found[f"{system} {encoder} {method} {precision} on {ranks}"] = (
            ranks, [f"model.system={system}", f"model.encoder={encoder}", f"weighting.method={method}",
                    f"run.precision={precision}"])
    for name, assignments in OTHERS.items():
        found[f"xtasc resnet18 equal fp32 on 1, {name}"] = (1, ["model.encoder=resnet18", *assignments])
    for (system, method), precision, ranks in itertools.product(
        (("xtasc", "uncertainty"), ("align", "pcgrad"), ("base_mt", "gradnorm")), PRECISIONS, (1, 2)):
        found[f"wide {system} {method} {precision} on {ranks}"] = (
            ranks, [f"model.system={system}", f"weighting.method={method}", f"run.precision={precision}", *WIDE])
    return found


class Build:
    """The programs of one build, with a folder of its own."""

    def __init__(self, programs: pathlib.Path, scratch: pathlib.Path) -> None:
        self.programs = programs.resolve()
        self.scratch = scratch
        scratch.mkdir()
        self.pack = scratch / "scenes.h5"
        self.wide_pack = scratch / "wide.h5"
        self.config = scratch / "config.toml"
        self.config.touch()
        for pack, size in ((self.pack, "32x64"), (self.wide_pack, "64x128")):
            self.run(["xtasc-preprocess", "scenes", "--train", "12", "--val", "5", "--seed", "3", "--size", size,
                      "--output", str(pack)])

    def run(self, command: list[str], launcher: tuple[str, ...] = ()) -> str:
        done = subprocess.run([*launcher, str(self.programs / command[0]), *command[1:]], capture_output=True, text=True,
                              check=False, timeout=600, cwd=self.scratch)
        if done.returncode != 0:
            sys.exit(f"{' '.join(command)}: exit code {done.returncode}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
        return done.stdout

    def pack_text(self) -> str:
        """What `info` says of the pack, its digest among it, but for when it was packed."""
        text = self.run(["xtasc-preprocess", "info", str(self.pack)]).replace(str(self.scratch), "")
        return re.sub(r"packed \S+ by", "packed by", text)

    def trained(self, name: str, ranks: int, assignments: list[str]) -> dict[str, object]:
        """What a case ends with, by name: numbers, and digests of tensors."""
        output = self.scratch / hashlib.sha1(name.encode()).hexdigest()[:12]
        pack = self.wide_pack if name.startswith("wide") else self.pack
        words = [*SMALL, *assignments, f"data.pack={pack}", f"run.output={output}"]
        launcher = ("mpirun", "--quiet", "-np", str(ranks), "--oversubscribe", "--bind-to", "none") if ranks > 1 else ()
        self.run(["xtasc-train", "--config", str(self.config), *[word for one in words for word in ("--set", one)]], launcher)
        folder = next(output.rglob("metrics.jsonl")).parent
        found: dict[str, object] = {"run id": folder.name}
        for index, line in enumerate((folder / "metrics.jsonl").read_text().splitlines()):
            found |= {f"epoch {index}, {key}": value for key, value in json.loads(line).items() if key not in CLOCKS}
        for file in ("weights.pt", "state.pt"):
            found |= tensors_of(torch.load(folder / "checkpoint/last" / file, weights_only=True), file)
        shutil.rmtree(output)
        return found


def tensors_of(value: object, name: str) -> dict[str, object]:
    if isinstance(value, torch.Tensor):
        data = value.contiguous().flatten().view(torch.uint8).numpy().tobytes() if value.numel() else b""
        return {name: f"{value.dtype} {tuple(value.shape)} {hashlib.sha256(data).hexdigest()[:16]}"}
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, (list, tuple)):
        items = enumerate(value)
    else:
        return {name: value}
    return {key: one for inner, part in items for key, one in tensors_of(part, f"{name}: {inner}").items()}


def added(old: dict[str, object], new: dict[str, object]) -> set[str]:
    """The keys of metrics.jsonl that the new build alone writes."""
    keys = [{name.partition(", ")[2] for name in found if name.startswith("epoch ")} for found in (old, new)]
    return keys[1] - keys[0]


def difference(old: dict[str, object], new: dict[str, object], beside: set[str]) -> str:
    """The first, or nothing; not in the keys `beside` of metrics.jsonl."""
    for name in [*old, *(name for name in new if name not in old and name.partition(", ")[2] not in beside)]:
        if old.get(name) != new.get(name):
            return f"{name}: {old.get(name, 'nothing')}, now {new.get(name, 'nothing')}"
    return ""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("old", type=pathlib.Path, help="folder of the programs of before")
    parser.add_argument("new", type=pathlib.Path, help="folder of the programs of now")
    parser.add_argument("--only", action="append", default=[], metavar="WORD", help="cases whose names have all of these")
    parser.add_argument("--list", action="store_true", help="print the names")
    arguments = parser.parse_args()
    chosen = {name: case for name, case in cases().items() if all(word in name for word in arguments.only)}
    if not chosen:
        parser.error(f"no case has {' and '.join(arguments.only)} in its name")
    if arguments.list:
        print("\n".join(chosen))
        return 0
    os.environ.update(OMP_NUM_THREADS="1", OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")
    with tempfile.TemporaryDirectory(prefix="xtasc-same-bits-") as scratch:
        builds = [Build(programs, pathlib.Path(scratch) / name)
                  for name, programs in (("old", arguments.old), ("new", arguments.new))]
        old, new = (build.pack_text() for build in builds)
        faults = ["pack"] if old != new else []
        print(f"other  pack: {old}now {new}" if faults else "same   pack")
        beside: set[str] = set()
        for name, (ranks, assignments) in chosen.items():
            old, new = (build.trained(name, ranks, assignments) for build in builds)
            beside |= added(old, new)
            fault = difference(old, new, added(old, new))
            print(f"{'other' if fault else 'same '}  {name}{': ' if fault else ''}{fault}", flush=True)
            faults += [name] if fault else []
    if beside:
        print(f"written by the new build alone, in metrics.jsonl: {', '.join(sorted(beside))}")
    print(f"{len(chosen) + 1 - len(faults)} of {len(chosen) + 1} have the same bits")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
