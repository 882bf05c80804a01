"""The project's random streams and what is drawn from them: the one thing that the peer takes from the C++, so that both
draw alike.

Source: src/core/random.cpp.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence

import torch
from torch import Tensor

from peer_nets import Transfer

BITS = 2**64 - 1
GOLDEN = 0x9E3779B97F4A7C15
DROPOUT, TRANSFERS = 10, 11  # what a stream is for


def mix(z: int) -> int:
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 & BITS
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB & BITS
    return z ^ (z >> 31)


def random_stream(seed: int, purpose: int, epoch: int, index: int) -> Iterator[int]:
    """Uniform 64-bit values without end: SplitMix64."""
    state = mix(seed + GOLDEN & BITS)
    for key in (purpose, epoch, index):
        state = mix(state ^ mix(key + GOLDEN & BITS))
    while True:
        state = state + GOLDEN & BITS
        yield mix(state)


def below(stream: Iterator[int], bound: int) -> int:
    """Uniform over 0 .. bound - 1: draws from the largest multiple of `bound` on are thrown away."""
    limit = BITS - BITS % bound
    return next(value for value in stream if value < limit) % bound


def hash_name(name: str) -> int:
    """FNV-1a."""
    result = 0xCBF29CE484222325
    for byte in name.encode():
        result = (result ^ byte) * 0x100000001B3 & BITS
    return result


def draw_noise(seed: int, step: int, samples: Iterable[int], count: int) -> Tensor:
    """(N, count) float64, uniform in [0, 1): a stream a sample."""
    streams = (random_stream(seed, DROPOUT, step, sample) for sample in samples)
    return torch.tensor([[(next(stream) >> 11) * 2.0**-53 for _ in range(count)] for stream in streams],
                        dtype=torch.float64)


def draw_transfers(seed: int, step: int, transfers: Sequence[Transfer], count: int) -> list[Transfer]:
    """`count` of each source's transfers, those of scheme sample in a step; in the order of `transfers`."""
    drawn = set()
    for source, group in itertools.groupby(transfers, key=lambda pair: pair[0]):
        left = list(group)
        stream = random_stream(seed, TRANSFERS, step, hash_name(source))
        drawn |= {left.pop(below(stream, len(left))) for _ in range(count)}
    return [pair for pair in transfers if pair in drawn]
