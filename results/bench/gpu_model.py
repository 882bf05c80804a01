#!/usr/bin/env python3
"""A training step's time on a GPU, computed from what the program counts. Nothing here is measured on a GPU.

    xtasc-bench step --launches --precision bf16 --json cityscapes.json
    xtasc-bench step --launches --precision bf16 --height 288 --width 384 --classes 13 --set train.batch_size=6 \\
        --json nyuv2.json
    python3 results/bench/gpu_model.py cityscapes.json nyuv2.json [--output results/bench/gpu_model.md]

Each kernel takes the longer of its arithmetic and its memory traffic, and a start beside that; kernels follow one another.
A recorded step (CUDA graph) is their sum. A plain step is that or what the host needs to ask for them, whichever is longer.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Card:
    """Rates that passes and convolutions of this kind reach, not peaks."""

    name: str
    bytes_per_second: float  # estimate: four fifths of the peak of 3.35 (H100) and 4.8 TB/s (H200)
    roofline_bytes_per_second: float


CARDS = (Card("H100", 2.7e12, 3.35e12), Card("H200", 3.9e12, 4.3e12))
CONVOLUTION_FLOPS = 400e12  # estimate: half of what a large bf16 product reached on an H200
ROOFLINE_FLOPS = 790e12  # a large bf16 product, measured on an H200 by others
START_IN_GRAPH = 1.8e-6  # s between two short kernels of a graph: estimate
HOST_A_LAUNCH = 5.5e-6  # s of the host for one ATen call that launches a kernel: estimate


def seconds_on(card: Card, kernel: dict) -> float:
    work = max(kernel["flop"] / CONVOLUTION_FLOPS, kernel["bytes"] / card.bytes_per_second)
    return work + kernel["launches"] * START_IN_GRAPH


def model_of(card: Card, counts: dict) -> dict[str, float]:
    """Seconds of one step."""
    kernels = counts["kernels"]
    graph = sum(seconds_on(card, kernel) for kernel in kernels)
    convolutions = sum(seconds_on(card, kernel) for kernel in kernels if kernel["flop"] > 0)
    total = counts["total"]
    return {
        "convolutions": convolutions,
        "passes": sum(k["bytes"] for k in kernels if k["flop"] == 0) / card.bytes_per_second,
        "starts": sum(k["launches"] for k in kernels if k["flop"] == 0) * START_IN_GRAPH,
        "graph": graph,
        "host": total["launches"] * HOST_A_LAUNCH,
        "eager": max(graph, total["launches"] * HOST_A_LAUNCH),
        "roofline": max(total["flop"] / ROOFLINE_FLOPS, total["bytes"] / card.roofline_bytes_per_second),
    }


ROWS = (("convolutions", "convolutions, their starts included"), ("passes", "memory traffic of all other kernels"),
        ("starts", "their starts"), ("graph", "**recorded step (CUDA graph)**"), ("host", "the host's launches"),
        ("eager", "**plain step**"), ("roofline", "roofline of the same kernels"))


def report(files: list[dict]) -> str:
    columns = [(card, run) for run in files for card in CARDS]
    titles = [f"{card.name}, {run['size']}" for card, run in columns]
    models = [model_of(card, run["launches"]) for card, run in columns]
    lines = ["# A training step on a GPU: computed, not measured", "",
             "Made by `results/bench/gpu_model.py` from the counts of `xtasc-bench step --launches`; constants and their sources",
             "stand at its top. Trust it to 40 %.", "",
             "| ms | " + " | ".join(titles) + " |", "|---|" + "---|" * len(titles)]
    for key, name in ROWS:
        lines.append(f"| {name} | " + " | ".join(f"{1e3 * model[key]:.2f}" for model in models) + " |")
    lines.append("| launches | " + " | ".join(str(run["launches"]["total"]["launches"]) for _, run in columns) + " |")
    lines.append("| TFLOP, plain form | " + " | ".join(f"{run['plain_flop'] / 1e12:.3f}" for _, run in columns) + " |")
    lines.append("| TFLOP, as computed | " +
                 " | ".join(f"{run['launches']['total']['flop'] / 1e12:.3f}" for _, run in columns) + " |")
    lines.append("| GB moved | " + " | ".join(f"{run['launches']['total']['bytes'] / 1e9:.2f}" for _, run in columns) + " |")
    for run in files:
        lines += ["", f"By cause, {run['size']}, H100:", "", "| cause | launches | GB | ms in a graph |", "|---|---|---|---|"]
        causes: dict[str, list[float]] = {}
        for kernel in run["launches"]["kernels"]:
            one = causes.setdefault(kernel["cause"], [0, 0.0, 0.0])
            one[0] += kernel["launches"]
            one[1] += kernel["bytes"] / 1e9
            one[2] += 1e3 * seconds_on(CARDS[0], kernel)
        for cause, (launches, gigabytes, ms) in sorted(causes.items(), key=lambda item: -item[1][2]):
            lines.append(f"| {cause} | {launches} | {gigabytes:.2f} | {ms:.2f} |")
    return "\n".join(lines) + "\n"


def load(path: Path) -> dict:
    result = json.loads(path.read_text())
    found = result["result"] if "launches" not in result else result
    return {"launches": found["launches"], "plain_flop": found["work"]["plain_flop"], "size": path.stem}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("counts", nargs="+", type=Path, help="JSON of xtasc-bench step --launches")
    parser.add_argument("--output", type=Path, help="a Markdown file; to the terminal without it")
    options = parser.parse_args()
    text = report([load(path) for path in options.counts])
    if options.output:
        options.output.write_text(text)
    else:
        print(text, end="")


if __name__ == "__main__":
    main()
