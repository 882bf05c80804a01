"""Holds the peer's parameter counts to the specification's table (they agree with the paper's #P)."""

from __future__ import annotations

import sys
from pathlib import Path

try:
    import torch
except ImportError:
    print("skipped: this Python has no torch")
    sys.exit(77)

sys.path.append(str(Path(__file__).resolve().parents[2] / "launch/bench/peer"))
from xtasc_peer import Options, make_net, num_parameters

# encoder, classes: encoder alone, seg decoder, depth decoder, TTNet s->d, TTNet d->s, XTasC-Net, direct only
TABLE = {
    ("resnet18", 7): (11_176_512, 3_250_688, 3_249_920, 1_885_568, 1_882_496, 21_445_184, 17_677_120),
    ("resnet34", 7): (21_284_672, 3_250_688, 3_249_920, 1_885_568, 1_882_496, 31_553_344, 27_785_280),
    ("resnet34", 13): (21_284_672, 3_251_456, 3_249_920, 1_889_024, 1_882_880, 31_557_952, 27_786_048),
    ("resnet34", 19): (21_284_672, 3_252_224, 3_249_920, 1_892_480, 1_883_264, 31_562_560, 27_786_816),
    ("resnet50", 7): (23_508_032, 6_568_448, 6_567_680, 1_885_568, 1_882_496, 40_412_224, 36_644_160),
    ("resnet101", 7): (42_500_160, 6_568_448, 6_567_680, 1_885_568, 1_882_496, 59_404_352, 55_636_288),
    ("resnet152", 7): (58_143_808, 6_568_448, 6_567_680, 1_885_568, 1_882_496, 75_048_000, 71_279_936),
}

TASKS = ("segmentation", "depth", "normals")
# ResNet34, 13 classes, the three tasks: of XTasC-Net by scheme or pairs, and of its direct part
THREE = {
    "pairs": (42_346_816, 31_036_224),
    "sample": (42_346_816, 31_036_224),
    "ring": (31_036_224 + 3 * 1_881_472 + 576 * (13 + 1 + 3) + 64 * (1 + 3 + 13), 31_036_224),
    "normals>seg": (31_036_224 + 1_881_472 + 576 * 3 + 64 * 13, 31_036_224),
}

# system, tasks: of 7 and of 13 classes; those of the public code without what no prediction depends on
OF_TASKS = {
    ("segnet", ("segmentation",)): (24_980_679, 24_981_069),
    ("segnet", ("depth",)): (24_980_289, 24_980_289),
    ("segnet", ("segmentation", "depth")): (25_017_672, 25_018_062),
    ("stan", ("segmentation",)): (38_185_415, 38_185_805),
    ("stan", ("depth",)): (38_185_025, 38_185_025),
    ("mtan", ("segmentation", "depth")): (41_206_984, 41_207_374),
    ("kd4mtl", ("segmentation", "depth")): (41_206_984 + 2 * 266_240, 41_207_374 + 2 * 266_240),  # and its adaptors
    ("dense", ("segmentation", "depth")): (90_796_893 - 41_109, 90_800_757 - 44_583),
    ("cross_stitch", ("segmentation", "depth")): (49_960_986, 49_961_376),
    ("segnet", ("normals",)): (24_980_419, 24_980_419),
    # with three "logsigma" in the public code
    ("mtan", TASKS): (44_228_686 - 3, 44_229_076 - 3),
    ("kd4mtl", TASKS): (44_228_686 - 3 + 3 * 266_240, 44_229_076 - 3 + 3 * 266_240),
    ("dense", TASKS): (123_740_131 - 3 - 41_109, 123_743_995 - 3 - 44_583),
    ("cross_stitch", TASKS): (74_941_417 - 3, 74_941_807 - 3),
}

# AdaMT-Net per_slot, by classes: batch size, height, width; encoder, seg decoder, depth decoder without attention; all
ADAMT = {
    7: ((8, 128, 256), (6_705_472, 5_486_848, 5_486_464, 49_136_064)),
    13: ((4, 288, 384), (6_705_472, 5_487_232, 5_486_464, 70_763_328)),
}


# DeepLab HPS with ResNet-50, classes: encoder, segmentation's head, depth's head, both tasks and all three
DEEPLAB = {
    7: (23_508_032, 16_127_239, 16_125_697, 55_760_968, 71_887_179),
    13: (23_508_032, 16_128_781, 16_125_697, 55_762_510, 71_888_721),
}


def counts(encoder: str, num_classes: int) -> tuple[int, ...]:
    """The table's columns for one row, counted in nets without data."""
    with torch.device("meta"):
        net = make_net(Options(system="xtasc", encoder=encoder, num_classes=num_classes))
        direct = make_net(Options(system="base_mt", encoder=encoder, num_classes=num_classes))
    parts = (net.encoder, net.seg_decoder, net.depth_decoder, net.seg_to_depth, net.depth_to_seg, net, direct)
    return tuple(num_parameters(part) for part in parts)


def counts_of_three(scheme: str) -> tuple[int, ...]:
    chosen = {"transfer_pairs": (scheme,)} if ">" in scheme else {"transfer": scheme}
    with torch.device("meta"):
        return tuple(num_parameters(make_net(Options(system=system, tasks=TASKS, num_classes=13, **chosen)))
                     for system in ("xtasc", "base_mt"))


def adamt_counts(options: Options) -> tuple[int, ...]:
    with torch.device("meta"):
        net = make_net(options)
    attention = {part: sum(p.numel() for name, p in part.named_parameters() if name.endswith(".W"))
                 for part in (net.encoder, net.decoder_segmt, net.decoder_depth)}
    return *(num_parameters(part) - size for part, size in attention.items()), num_parameters(net)


def deeplab_counts(num_classes: int) -> tuple[int, ...]:
    with torch.device("meta"):
        both, all_three = (make_net(Options(system="deeplab", encoder="resnet50", num_classes=num_classes, tasks=tasks))
                           for tasks in (("segmentation", "depth"), ("segmentation", "depth", "normals")))
    parts = (both.encoder, both.decoders["segmentation"], both.decoders["depth"], both, all_three)
    return tuple(num_parameters(part) for part in parts)


def main() -> int:
    wrong = 0
    for (encoder, num_classes), expected in TABLE.items():
        found = counts(encoder, num_classes)
        wrong += found != expected
        verdict = "as expected" if found == expected else f"{found}, not {expected}"
        print(f"{encoder:9} {num_classes:2} classes: {verdict}")
    for scheme, expected in THREE.items():
        found = counts_of_three(scheme)
        wrong += found != expected
        print(f"three tasks, {scheme}: {'as expected' if found == expected else f'{found}, not {expected}'}")
    for (system, tasks), expected in OF_TASKS.items():
        with torch.device("meta"):
            found = tuple(num_parameters(make_net(Options(system=system, tasks=tasks, num_classes=classes)))
                          for classes in (7, 13))
        wrong += found != expected
        print(f"{system} ({', '.join(tasks)}): {'as expected' if found == expected else f'{found}, not {expected}'}")
    for num_classes, ((batch_size, height, width), expected) in ADAMT.items():
        found = adamt_counts(Options(system="adamt", adamt_attention="per_slot", num_classes=num_classes,
                                     batch_size=batch_size, height=height, width=width))
        wrong += found != expected
        print(f"adamt     {num_classes:2} classes: {'as expected' if found == expected else f'{found}, not {expected}'}")
    for num_classes, expected in DEEPLAB.items():
        found = deeplab_counts(num_classes)
        wrong += found != expected
        print(f"deeplab   {num_classes:2} classes: {'as expected' if found == expected else f'{found}, not {expected}'}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
