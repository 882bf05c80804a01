"""DeepLab HPS, the net of LibMTL's benchmarks, in plain PyTorch: a dilated ResNet, an ASPP head a task.

Written from the project's specification alone, never from the C++. Tensor names are those of LibMTL.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from peer_resnet import Encoder
from peer_segnet import KEYS

WIDTH = 256
DISTANCES = (12, 24, 36)
WORDS = {"segmentation": "segmentation", "depth": "depth", "normals": "normal"}  # LibMTL's
LOWER = 2**32 - 1


# ---- dropout ---------------------------------------------------------------------------------------------------------
def mix(z: Tensor) -> Tensor:
    """Of integers below 2^32, in int64."""
    z = (z ^ (z >> 16)) * 0x7FEB352D & LOWER
    z = (z ^ (z >> 15)) * 0x846CA68B & LOWER
    return z ^ (z >> 16)


def kept(noise: Tensor, size: torch.Size, probability: float) -> Tensor:
    """(N, C, H, W) of bool: a function of two draws an image and of the place, pixel by pixel, channels side by side."""
    first, second = (noise.float() * 2**24).long().split(1, dim=1)
    images, channels, height, width = size
    place = torch.arange(channels * height * width, device=noise.device) * 0x9E3779B9
    value = mix(mix(place + first & LOWER) ^ second)
    return (value >= int(probability * 2**32)).view(images, height, width, channels).permute(0, 3, 1, 2)


# ---- network ---------------------------------------------------------------------------------------------------------
def conv_norm(c_in: int, size: int = 1, distance: int = 1) -> list[nn.Module]:
    conv = nn.Conv2d(c_in, WIDTH, size, padding=size // 2 * distance, dilation=distance, bias=False)
    return [conv, nn.BatchNorm2d(WIDTH), nn.ReLU()]


class Aspp(nn.Module):
    """Five views of the same maps, joined, and what is made of them; then a dropout of single values."""

    def __init__(self, c_in: int, probability: float) -> None:
        super().__init__()
        dilated = [nn.Sequential(*conv_norm(c_in, 3, distance)) for distance in DISTANCES]
        of_mean = nn.Sequential(nn.AdaptiveAvgPool2d(1), *conv_norm(c_in))
        self.convs = nn.ModuleList([nn.Sequential(*conv_norm(c_in)), *dilated, of_mean])
        self.project = nn.Sequential(*conv_norm(len(self.convs) * WIDTH))
        self.probability = probability

    def forward(self, x: Tensor, noise: Tensor | None) -> Tensor:
        views = [conv(x) for conv in self.convs]
        views[-1] = F.interpolate(views[-1], x.shape[2:], mode="bilinear", align_corners=False)
        y = self.project(torch.cat(views, dim=1))
        if not self.training or self.probability == 0:
            return y
        if noise is None:
            return F.dropout(y, self.probability)
        return torch.where(kept(noise, y.shape, self.probability), y / (1 - self.probability), 0)


class Head(nn.Sequential):
    def __init__(self, c_in: int, c_out: int, probability: float) -> None:
        super().__init__(Aspp(c_in, probability), *conv_norm(WIDTH, 3), nn.Conv2d(WIDTH, c_out, 1))

    def forward(self, x: Tensor, noise: Tensor | None) -> Tensor:
        aspp, *others = self
        y = aspp(x, noise)
        for layer in others:
            y = layer(y)
        return y


class Deeplab(nn.Module):
    """An encoder, a head a task, the trained task weights.

    noise: (N, num_draws) uniform draws for the next training step's dropout; None: torch draws for itself.
    """

    def __init__(self, options) -> None:
        super().__init__()
        self.options = options
        self.noise: Tensor | None = None
        self.num_draws = 2 * len(options.tasks)
        self.encoder = Encoder(options.encoder, dilated=True)
        channels = {"segmentation": options.num_classes, "depth": 1, "normals": 3}
        self.decoders = nn.ModuleDict({WORDS[task]: Head(self.encoder.channels[-1], channels[task], options.dropout)
                                       for task in options.tasks})
        if options.has_trained_weighting:
            self.weighting = nn.Module()
            self.weighting.log_variance = nn.Parameter(torch.zeros(len(options.tasks)))

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        x = self.encoder(image)[-1]
        predictions = {}
        for index, task in enumerate(self.options.tasks):
            noise = None if self.noise is None else self.noise[:, 2 * index : 2 * index + 2]
            y = self.decoders[WORDS[task]](x, noise)
            predictions[KEYS[task]] = F.interpolate(y, image.shape[2:], mode="bilinear", align_corners=True)
        return predictions
