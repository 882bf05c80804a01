"""DeepLab HPS, the net of LibMTL's benchmarks: a dilated ResNet, an ASPP head a task. Tensor names are LibMTL's."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from xtasc.nets.options import NetOptions
from xtasc.nets.resnet import Encoder
from xtasc.nets.tasks import KEYS, channels_of

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
    """An encoder, a head a task.

    noise: (N, num_draws) uniform draws for the next training step's dropout; None: torch draws for itself.
    """

    def __init__(self, options: NetOptions) -> None:
        super().__init__()
        self.options = options
        self.noise: Tensor | None = None
        self.num_draws = 2 * len(options.tasks)
        self.encoder = Encoder(options.encoder, dilated=True)
        c_in = self.encoder.channels[-1]
        channels = {task: channels_of(KEYS[task], options.num_classes) for task in options.tasks}
        self.decoders = nn.ModuleDict({WORDS[task]: Head(c_in, c_out, options.dropout) for task, c_out in channels.items()})

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        x = self.encoder(image)[-1]
        predictions = {}
        for index, task in enumerate(self.options.tasks):
            noise = None if self.noise is None else self.noise[:, 2 * index : 2 * index + 2]
            y = self.decoders[WORDS[task]](x, noise)
            predictions[KEYS[task]] = F.interpolate(y, image.shape[2:], mode="bilinear", align_corners=True)
        return predictions
