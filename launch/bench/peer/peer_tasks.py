"""The tasks, and which of them predict each other: what the peer's networks, losses and steps have in common."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from peer_random import TRANSFERS, below, hash_name, random_stream

KEYS = {"segmentation": "seg", "depth": "depth", "normals": "normals"}
TRUTHS = {"seg": "label", "depth": "depth", "normals": "normals"}  # what holds a task's truth among the samples
Transfer = tuple[str, str]  # the keys of the task that a prediction is made from, and of the one that it is for


def channels_of(key: str, num_classes: int) -> int:
    """Channels of a task's prediction."""
    return {"seg": num_classes, "depth": 1, "normals": 3}[key]


def transfers_of(keys: Sequence[str], scheme: str, pairs: Sequence[str]) -> list[Transfer]:
    """All that a net has, by the source's place among the keys, then the target's.

    scheme: pairs, ring or sample. pairs: "seg>depth", in the scheme's place; empty: none.
    """
    chosen = set(itertools.permutations(keys, 2))
    if pairs:
        chosen = {tuple(pair.split(">")) for pair in pairs}
    elif scheme == "ring":
        chosen = set(zip(keys, [*keys[1:], keys[0]]))
    return [pair for pair in itertools.permutations(keys, 2) if pair in chosen]


def draw_transfers(seed: int, step: int, transfers: Sequence[Transfer], count: int) -> list[Transfer]:
    """`count` of each source's transfers, those of scheme sample in a step; in the order of `transfers`."""
    drawn = set()
    for source, group in itertools.groupby(transfers, key=lambda pair: pair[0]):
        left = list(group)
        stream = random_stream(seed, TRANSFERS, step, hash_name(source))
        drawn |= {left.pop(below(stream, len(left))) for _ in range(count)}
    return [pair for pair in transfers if pair in drawn]
