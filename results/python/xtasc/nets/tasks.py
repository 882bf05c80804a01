"""The tasks, and which of them predict each other: what the networks have in common."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor

KEYS = {"segmentation": "seg", "depth": "depth", "normals": "normals"}
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


def unit_vectors(x: Tensor) -> Tensor:
    """(N, 3, H, W) over the length of its vectors, which is at least 1e-12."""
    return F.normalize(x, dim=1, eps=1e-12)
