"""The convolutional part of torchvision's ResNets, by its tensor names; also dilated."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

# name: (bottleneck blocks?, blocks in each of the four stages)
ENCODERS = {
    "resnet18": (False, (2, 2, 2, 2)),
    "resnet34": (False, (3, 4, 6, 3)),
    "resnet50": (True, (3, 4, 6, 3)),
    "resnet101": (True, (3, 4, 23, 3)),
    "resnet152": (True, (3, 8, 36, 3)),
}


class ResidualBlock(nn.Module):
    """torchvision's BasicBlock (two 3x3) or Bottleneck (1x1, 3x3 with the stride, 1x1 four times as wide)."""

    def __init__(self, channels_in: int, planes: int, stride: int, bottleneck: bool,
                 dilations: tuple[int, int] = (1, 1)) -> None:
        """dilations: of the 3x3 convolution that has the stride, and of the one behind it."""
        super().__init__()
        channels_out = planes * (4 if bottleneck else 1)
        with_stride, behind = dilations
        if bottleneck:
            shapes = [(channels_in, planes, 1, 1, 1), (planes, planes, 3, stride, with_stride),
                      (planes, channels_out, 1, 1, 1)]
        else:
            shapes = [(channels_in, planes, 3, stride, with_stride), (planes, planes, 3, 1, behind)]
        self.num_convs = len(shapes)
        for k, (c_in, c_out, size, step, dilation) in enumerate(shapes, start=1):
            self.add_module(f"conv{k}", nn.Conv2d(c_in, c_out, size, step, padding=size // 2 * dilation,
                                                  dilation=dilation, bias=False))
            self.add_module(f"bn{k}", nn.BatchNorm2d(c_out))
        self.downsample = None
        if stride != 1 or channels_in != channels_out:
            self.downsample = nn.Sequential(
                nn.Conv2d(channels_in, channels_out, 1, stride, bias=False), nn.BatchNorm2d(channels_out)
            )

    def forward(self, x: Tensor) -> Tensor:
        y = x
        for k in range(1, self.num_convs + 1):
            y = getattr(self, f"bn{k}")(getattr(self, f"conv{k}")(y))
            if k < self.num_convs:
                y = F.relu(y)
        return F.relu(y + (x if self.downsample is None else self.downsample(x)))


class Encoder(nn.Module):
    """ResNet without its classifier. Dilated: layer3 and layer4 keep the size, and read at twice and four times the
    distance; a stage's first convolution of 3x3, where the stride was, at that of the stage before."""

    def __init__(self, name: str, dilated: bool = False) -> None:
        super().__init__()
        bottleneck, blocks = ENCODERS[name]
        self.conv1 = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        channels = 64
        self.channels = [64]
        distance = 1
        for stage, (planes, count) in enumerate(zip((64, 128, 256, 512), blocks), start=1):
            layers = []
            before, stride = distance, 2 if stage > 1 else 1
            if dilated and stage > 2:
                distance, stride = 2 * distance, 1
            for block in range(count):
                of_block = (before if block == 0 else distance, distance)
                layers.append(ResidualBlock(channels, planes, stride if block == 0 else 1, bottleneck, of_block))
                channels = planes * (4 if bottleneck else 1)
            self.add_module(f"layer{stage}", nn.Sequential(*layers))
            self.channels.append(channels)

    def forward(self, image: Tensor) -> list[Tensor]:
        """(N, 3, H, W) -> [layer0 (N, 64, H/2, W/2), layer1 (1/4), layer2 (1/8), layer3 (1/16), layer4 (1/32)]; dilated
        layer3 and layer4 at 1/8."""
        features = [F.relu(self.bn1(self.conv1(image)))]
        x = F.max_pool2d(features[0], 3, stride=2, padding=1)
        for stage in range(1, 5):
            x = getattr(self, f"layer{stage}")(x)
            features.append(x)
        return features
