#!/usr/bin/env python3
"""The time of a training step on a GPU, computed from what the program counts; nothing here is measured.

    python results/bench/gpu_model.py                    from results/bench/launches_*.json, to results/bench/gpu_model.md
    python results/bench/gpu_model.py --bench PROGRAM    counts again first, by `PROGRAM step --launches` (minutes)
    python results/bench/gpu_model.py --print            to standard output instead

Method. A convolution takes its arithmetic's time or its memory's, whichever is longer, and no less than the smallest
kernel; so does an upsample, by its instructions. Every other kernel that moves 4 MiB or more takes its memory's time; one
that moves less takes the smallest kernel's. In a CUDA graph these add up. Eager, the host launches them one by one: the
longer of the two counts. Sums over ranks are left out: one GPU. Trust +-40 %.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Constant:
    value: float
    unit: str
    source: str


CONSTANTS = {
    "convolution rate": Constant(400.0, "TFLOP/s", "half of the peak below: what cuDNN may reach on such shapes; assumed"),
    "peak rate": Constant(798.0, "TFLOP/s", "a bf16 matrix product, measured on one H200 elsewhere; an H100 has the same"),
    "memory, H100": Constant(2.7, "TB/s", "80 % of the data sheet's 3.35: what a streaming kernel reaches; assumed"),
    "memory, H200": Constant(3.9, "TB/s", "80 % of the data sheet's 4.8; assumed"),
    "smallest kernel in a graph": Constant(1.8, "us", "start to start of dependent tiny kernels in a CUDA graph; assumed"),
    "host, a launch": Constant(5.5, "us", "an ATen call with autograd, C++ on one core; assumed"),
    "issue slots": Constant(132 * 128 * 1.7e9 * 0.8 / 1e12, "T instructions/s",
                            "132 multiprocessors x 128 lanes x 1.7 GHz, 80 % of them used; data sheet, assumed"),
    "upsample, forward": Constant(22.5, "instructions an output", "cuobjdump --dump-sass, sm_90, bf16"),
    "upsample, gradient": Constant(70.6, "instructions an output", "cuobjdump --dump-sass, sm_90, bf16"),
    "upsample, slots an instruction": Constant(1.35, "", "some are integer, at half rate; assumed, so that 3.5 ms come out as by hand"),
}
GPUS = ("H100", "H200")
SIZES = {  # name: (file, options of the program, goal in ms of a step in a graph on an H100)
    "Cityscapes, 8 x 128 x 256": ("launches_cityscapes.json",
                                  ["--classes", "7", "--height", "128", "--width", "256", "--set", "train.batch_size=8"], 8.0),
    "NYUv2, 6 x 288 x 384": ("launches_nyuv2.json",
                             ["--classes", "13", "--height", "288", "--width", "384", "--set", "train.batch_size=6"], 17.0),
}
# Rows of the table: causes as the program names them. What no row names is in the last one.
ROWS = {
    "convolutions": (),
    "upsample": ("upsample",),
    "batch norm": ("batch norm",),
    "bias, ReLU, max-pool": ("bias", "relu", "pooling", "convolution"),  # of a convolution: what is none itself
    "cat": ("cat",),
    "casts, gradient accumulation": ("casts", "gradient accumulation"),
}
REST, TINY = "residuals, losses, Adam, ...", "kernels below 4 MiB"
BYTES_AN_ELEMENT = 2  # bf16


def constant(name: str) -> float:
    return CONSTANTS[name].value


class Device:
    """Milliseconds on one GPU."""

    def __init__(self, gpu: str) -> None:
        self.gpu = gpu

    def memory(self, num_bytes: float) -> float:
        return num_bytes / (constant(f"memory, {self.gpu}") * 1e9)

    def smallest(self, launches: float) -> float:
        return launches * constant("smallest kernel in a graph") * 1e-3

    def convolution(self, row: dict, rate: str = "convolution rate") -> float:
        return max(row["flop"] / (constant(rate) * 1e9), self.memory(row["bytes"]), self.smallest(row["launches"]))

    def upsample(self, row: dict) -> float:
        # Forward reads a quarter of what it writes; backward writes a quarter of what it reads.
        direction = "gradient" if "gradient" in row["name"] else "forward"
        outputs = row["bytes"] / BYTES_AN_ELEMENT / 1.25 * (1.0 if direction == "forward" else 0.25)
        slots = outputs * constant(f"upsample, {direction}") * constant("upsample, slots an instruction")
        return max(slots / (constant("issue slots") * 1e9), self.memory(row["bytes"]), self.smallest(row["launches"]))


def step_times(counted: dict, gpu: str) -> dict[str, float]:
    """Milliseconds by row, then "graph", "eager" and "roofline"."""
    device = Device(gpu)
    row_of = {cause: row for row, causes in ROWS.items() for cause in causes}
    times = dict.fromkeys([*ROWS, REST, TINY], 0.0)
    convolutions = counted["launches"]["convolutions"]
    times["convolutions"] = sum(device.convolution(row) for row in convolutions)
    for row in counted["launches"]["kernels"]:
        if row["flop"] > 0:  # a convolution, counted above
            continue
        if row["cause"] == "upsample" and not row["name"].startswith("aten::"):
            times["upsample"] += device.upsample(row)
            continue
        times[row_of.get(row["cause"], REST)] += device.memory(row["large_bytes"])
        times[TINY] += device.smallest(row["launches"] - row["large_launches"])
    times["graph"] = sum(times.values())
    host = counted["launches"]["total"]["launches"] * constant("host, a launch") * 1e-3
    times["eager"] = max(times["graph"], host)
    times["roofline"] = sum(device.convolution(row, "peak rate") for row in convolutions)
    return times


def report(counts: dict[str, dict]) -> str:
    columns = [(size, gpu) for size in counts for gpu in GPUS]
    times = {column: step_times(counts[column[0]], column[1]) for column in columns}
    lines = [
        "# A training step on a GPU: computed, not measured",
        "",
        "Made by `results/bench/gpu_model.py` from the program's own counts (`xtasc-bench step --launches --precision bf16`,",
        "xtasc, resnet34); its head tells the method. Nothing of this ran on a GPU. Trust +-40 %.",
        "",
        "| counted | " + " | ".join(counts) + " |",
        "|---|" + "---|" * len(counts),
        "| kernels of a step | " + " | ".join(f"{one['launches']['total']['launches']:,}" for one in counts.values()) + " |",
        "| TFLOP, plain form / as executed | "
        + " | ".join(f"{one['work']['plain_flop'] / 1e12:.3f} / {one['work']['executed_flop'] / 1e12:.3f}"
                     for one in counts.values()) + " |",
        "| GB read and written | "
        + " | ".join(f"{one['launches']['total']['bytes'] / 1e9:.1f}" for one in counts.values()) + " |",
        "",
        "| ms, computed | " + " | ".join(f"{gpu}, {size}" for size, gpu in columns) + " |",
        "|---|" + "---|" * len(columns),
    ]
    for row in [*ROWS, REST, TINY]:
        lines.append(f"| {row} | " + " | ".join(f"{times[column][row]:.1f}" for column in columns) + " |")
    for row, name in (("graph", "**step in a CUDA graph**"), ("eager", "**step, eager**"),
                      ("roofline", "roofline: convolutions at the peak rate or memory, nothing else")):
        lines.append(f"| {name} | " + " | ".join(f"{times[column][row]:.1f}" for column in columns) + " |")
    lines += ["", "Goals, in a graph on an H100: "
              + "; ".join(f"{size}: at most {goal:.0f} ms, "
                          f"{'reached' if times[size, 'H100']['graph'] <= goal else 'not reached'} by this model"
                          for size, (_, _, goal) in SIZES.items()) + ".",
              "", "| constant | value | source |", "|---|---|---|"]
    lines += [f"| {name} | {one.value:.4g} {one.unit} | {one.source} |" for name, one in CONSTANTS.items()]
    return "\n".join(lines) + "\n"


def count_again(program: str) -> None:
    for file, options, _ in SIZES.values():
        subprocess.run([Path(program).resolve(), "step", "--launches", "--precision", "bf16", *options, "--json", file],
                       check=True, cwd=HERE)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bench", metavar="PROGRAM", help="xtasc-bench, to count again")
    parser.add_argument("--print", action="store_true", help="to standard output instead of gpu_model.md")
    arguments = parser.parse_args()
    if arguments.bench:
        count_again(arguments.bench)
    text = report({size: json.loads((HERE / file).read_text()) for size, (file, _, _) in SIZES.items()})
    if arguments.print:
        sys.stdout.write(text)
    else:
        (HERE / "gpu_model.md").write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
