"""Draws networks from their own descriptions: an SVG a system, of what `xtasc-inspect model --layers` prints.

    python docs/draw_architectures.py --program build/release/bin/xtasc-inspect --output docs/architectures [SYSTEM ...]

A box is a group of convolutions of one name and size, as wide as it is deep in layers and as high as it has channels;
its place from left to right is its way down and up again. Blue: reached by the losses of all tasks; orange and green: of
one. Sizes, channels and what is shared are read off the description; what stands here is which names lie in one line, and
which lines read each other's maps.
"""

from __future__ import annotations

import argparse
import html
import itertools
import math
import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

SYSTEMS = ("xtasc", "segnet", "stan", "mtan", "kd4mtl", "dense", "cross_stitch", "adamt", "deeplab")
SIZE = (128, 256)
SHARED, OF_TASKS, TRANSFER = "#4477aa", ("#ee7733", "#228833", "#aa3377"), "#888888"
COLUMN, LANE, MARGIN, TITLE = 74, 92, 150, 64
OF_MEAN = 0  # shrunk: one pixel an image
# Lines that read each other's maps at each size, by the beginnings of their names; src/model/nets has the networks.
ATTENTION = ("block", "conv_block", "att", "block_att")
READ = {"mtan": ATTENTION, "stan": ATTENTION, "kd4mtl": ATTENTION, "segnet": ("block", "conv_block"), "dense": ("block", "block_t")}
STITCHED = {"cross_stitch": "block_t"}  # a learned mixture of these lines' maps in front of each next block


@dataclass
class Group:
    """Convolutions that are drawn as one box."""

    lane: str
    name: str
    part: str
    is_shared: bool
    shrunk: int
    channels: list[int] = field(default_factory=list)  # of each convolution
    kernels: set[str] = field(default_factory=set)
    num_layers: int = 0
    num_parameters: int = 0


def layers_of(program: str, system: str) -> tuple[list[dict[str, str]], int]:
    """The convolutions, and the scalars that are of none."""
    tasks = ["--set", 'model.tasks=["segmentation"]'] if system == "stan" else []
    text = subprocess.run([program, "model", "--set", f"model.system={system}", *tasks, "--layers", *map(str, SIZE)],
                          capture_output=True, text=True, check=True).stdout
    header, *rows = [re.split(r"\s{2,}", line.strip()) for line in text.splitlines() if line.strip()]
    others = sum(int(row[-1]) for row in rows if row[0] == "of no convolution")
    return [dict(zip(header, row)) for row in rows if row[0] not in ("all", "of no convolution")], others


def lane_of(name: str) -> str:
    """Where a layer stands among the others: its name without its number and without which way it goes."""
    first, *rest = name.split(".")
    lane = re.sub(r"(encoder|decoder)_(?=block|att)|_(enc|dec)$", "", first)
    if first == "decoders":  # DeepLab's heads
        return f"{first}.{rest[0]}"
    is_of_task = lane in ("att", "block_t") and rest and rest[0].isdigit()
    return f"{lane} {int(rest[0]) + 1}" if is_of_task else lane


def groups_of(layers: list[dict[str, str]]) -> list[Group]:
    groups: dict[tuple[str, str, int], Group] = {}
    for layer in layers:
        height = int(layer["output"].split(" x ")[0])
        shrunk = SIZE[0] // height if height > 1 else OF_MEAN
        parts = layer["layer"].split(".")
        name = ".".join(parts[:2] if len(parts) > 2 else parts[:1])
        way = re.match("[a-z]*", parts[1])[0] if layer["part"] == "transfer nets" else ""  # "down", "up", "head"
        if parts[0] == "decoders":
            way = parts[3] if parts[2] == "0" else ""  # "convs", "project"
        key = (lane_of(layer["layer"]), layer["part"] + way, shrunk)
        group = groups.setdefault(key, Group(key[0], name, layer["part"], layer["tasks"] == "all", key[2]))
        group.channels.append(int(layer["out"]))
        group.kernels.add(layer["kernel"])
        group.num_layers += 1
        group.num_parameters += int(layer["parameters"])
    return list(groups.values())


def column_of(group: Group, deepest: int) -> int:
    down = int(math.log2(group.shrunk))
    if group.part == "encoder":
        return down
    head = 1 if group.lane.startswith("pred_task") else 0
    return 2 * deepest + 1 - down + head


def color_of(group: Group, lanes: list[str]) -> str:
    if group.part == "transfer nets":
        return TRANSFER
    if group.is_shared:
        return SHARED
    number = re.search(r"(\d+)$", group.lane)
    own = [lane for lane in lanes if re.match(r"(decoders?[._])?(seg|depth|normal)", lane)]
    index = int(number[1]) - 1 if number else own.index(group.lane) if group.lane in own else 0
    return OF_TASKS[index % len(OF_TASKS)]


def text_of(channels: list[int]) -> str:
    """Of each convolution, those alike behind each other as one: "2 \u00d7 128, 64"."""
    runs = [(out, len(list(same))) for out, same in itertools.groupby(channels)]
    return ", ".join(f"{count} \u00d7 {out}" if count > 1 else str(out) for out, count in runs)


def is_in(lane: str, beginnings: tuple[str, ...]) -> bool:
    return re.sub(r" \d+$", "", lane) in beginnings


def source_of(lane: str, lanes: list[str]) -> str | None:
    """The line whose end a line begins with, where it is another."""
    number = re.search(r"(\d*)$", lane)[1]
    if lane.startswith("pred_task"):
        wanted = [f"{name} {number or 1}" for name in ("att", "block_t")] + ["conv_block", "block"]
    elif "_to_" in lane:
        wanted = [f"{lane.split('_to_')[0]}_decoder"]
    elif lane.startswith("adaptor_"):
        own = [other for other in lanes if other.startswith("adaptor_")]
        wanted = [f"att {own.index(lane) + 1}"]
    else:
        wanted = ["encoder"] if "encoder" in lanes and lane != "encoder" else []
    return next((name for name in wanted if name in lanes), None)


def drawing(system: str, groups: list[Group], others: int) -> str:
    lanes = list(dict.fromkeys(group.lane for group in groups))
    deepest = max(int(math.log2(group.shrunk)) for group in groups if group.shrunk != OF_MEAN)
    columns = {id(group): column_of(group, deepest) for group in groups if group.shrunk != OF_MEAN}
    for lane in lanes:  # a transfer net reads what the decoders give, and goes down and up by itself
        transfer = [group for group in groups if group.lane == lane and group.part == "transfer nets"]
        columns |= {id(group): 2 * deepest + 3 + place for place, group in enumerate(transfer)}
        head = [group for group in groups if group.lane == lane and lane.startswith("decoders.")]  # all at one size
        columns |= {id(group): deepest + 1 + place for place, group in enumerate(head)}
    width = MARGIN + (max(columns.values()) + 1) * COLUMN + 20
    height = TITLE + len(lanes) * LANE + 50
    total = sum(group.num_parameters for group in groups) + others
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" '
           f'font-size="11">', f'<rect width="{width}" height="{height}" fill="white"/>',
           f'<text x="16" y="26" font-size="17">{html.escape(system)}: {total:,} parameters, 7 classes'
           f'{f", {others:,} of them in no convolution" if others else ""}</text>']
    center = {lane: TITLE + row * LANE + LANE / 2 for row, lane in enumerate(lanes)}
    ends = {lane: sorted(columns[id(group)] for group in groups if group.lane == lane) for lane in lanes}

    def line(x1: float, y1: float, x2: float, y2: float) -> None:
        out.append(f'<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}" stroke="#888"/>')

    for column in range(max(columns.values()) + 1):
        x = MARGIN + column * COLUMN
        read = [center[lane] for lane in lanes if column in ends[lane] and is_in(lane, READ.get(system, ()))]
        if len(read) > 1 and column in ends["block"]:
            line(x + (COLUMN - 14) / 2, min(read), x + (COLUMN - 14) / 2, max(read))
        stitched = [center[group.lane] for group in groups if group.is_shared and columns[id(group)] == column
                    and is_in(group.lane, (STITCHED.get(system, ""),))]
        if len(stitched) > 1:
            line(x + COLUMN - 7, min(stitched), x + COLUMN - 7, max(stitched))
            out.extend(f'<circle cx="{x + COLUMN - 7}" cy="{y}" r="4" fill="white" stroke="#444"/>' for y in stitched)
    for lane in lanes:
        source = source_of(lane, lanes)
        if source is not None:
            line(MARGIN + (ends[source][-1] + 1) * COLUMN - 14, center[source], MARGIN + ends[lane][0] * COLUMN, center[lane])
    for row, lane in enumerate(lanes):
        y = TITLE + row * LANE + LANE / 2
        own = sorted((columns[id(group)], index, group) for index, group in enumerate(groups) if group.lane == lane)
        out.append(f'<text x="16" y="{y + 4}">{html.escape(lane)}</text>')
        first, last = own[0][0], own[-1][0]
        out.append(f'<line x1="{MARGIN + first * COLUMN}" x2="{MARGIN + (last + 0.8) * COLUMN}" y1="{y}" y2="{y}" '
                   'stroke="#bbb"/>')
        for column, _, group in own:
            box = 10 + 46 * math.log2(max(*group.channels, 2)) / 10
            x = MARGIN + column * COLUMN
            kernels = ", ".join(sorted(kernel.replace(" ", "") for kernel in group.kernels))
            out.append(f'<rect x="{x}" y="{y - box / 2}" width="{COLUMN - 14}" height="{box}" rx="3" '
                       f'fill="{color_of(group, lanes)}"><title>{html.escape(group.name)}: {group.num_layers} '
                       f"convolutions {kernels}, {group.num_parameters:,} parameters</title></rect>")
            text = text_of(group.channels)
            small = ' font-size="9"' if len(text) > 9 else ""
            out.append(f'<text x="{x + (COLUMN - 14) / 2}" y="{y + 4}" fill="white" text-anchor="middle"{small}>{text}</text>')
            size = "mean" if group.shrunk == OF_MEAN else f"1/{group.shrunk}"
            out.append(f'<text x="{x + (COLUMN - 14) / 2}" y="{y + 40}" fill="#666" text-anchor="middle">{size}</text>')
    if "pred_task" in lanes:  # a single task, which nothing is shared with
        legend = [(OF_TASKS[0], "of one task")]
    else:
        legend = [(SHARED, "reached by all tasks"), (OF_TASKS[0], "of one task"), (OF_TASKS[1], "of another")]
    if any(group.part == "transfer nets" for group in groups):
        legend.append((TRANSFER, "adaptor for a teacher" if "adaptor_seg" in lanes else "task-transfer net"))
    for index, (color, text) in enumerate(legend):
        x = 16 + index * 150
        out.append(f'<rect x="{x}" y="{height - 26}" width="12" height="12" fill="{color}"/>')
        out.append(f'<text x="{x + 18}" y="{height - 16}">{text}</text>')
    out.append(f'<text x="{16 + len(legend) * 150}" y="{height - 16}">a box: convolutions \u00d7 channels, below it the '
               f'size{"; a circle: a mixture of all tasks" if system in STITCHED else ""}</text></svg>')
    return "\n".join(out) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("systems", nargs="*", default=SYSTEMS, metavar="SYSTEM")
    parser.add_argument("--program", default="build/release/bin/xtasc-inspect")
    parser.add_argument("--output", type=Path, default=Path("docs/architectures"))
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    for system in arguments.systems:
        path = arguments.output / f"{system}.svg"
        layers, others = layers_of(arguments.program, system)
        path.write_text(drawing(system, groups_of(layers), others), encoding="utf-8")
        print(path)


if __name__ == "__main__":
    main()
