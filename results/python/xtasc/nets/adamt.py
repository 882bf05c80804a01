"""AdaMT-Net: an encoder of densely joined blocks, a decoder with attention a task.

Tensor names are those of the 2021 code.

Source: Jha et al. 2020, "AdaMT-Net: An Adaptive Weight Learning Based Multi-Task Learning Model for Scene
Understanding".
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from xtasc.nets.options import NetOptions
from xtasc.nets.tasks import KEYS, channels_of

ENCODER_CHANNELS = (64, 128, 256, 512)
DECODER_CHANNELS = (256, 128, 64, 32)
DECODERS = {"seg": "decoder_segmt", "depth": "decoder_depth", "normals": "decoder_normals"}


def conv_norm(c_in: int, c_out: int, activation: nn.Module) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(c_in, c_out, 3, padding=1), nn.BatchNorm2d(c_out), activation)


def pool(x: Tensor, times: int) -> Tensor:
    for _ in range(times):
        x = F.max_pool2d(x, 2)
    return x


class Dropout(nn.Module):
    """Drops whole channels by draws that somebody else made, or by torch's own where there are none."""

    def __init__(self, probability: float, first: int, channels: int) -> None:
        super().__init__()
        self.probability = probability
        self.draws = slice(first, first + channels)  # its columns of the noise

    def forward(self, x: Tensor, noise: Tensor | None) -> Tensor:
        if not self.training or self.probability == 0:
            return x
        if noise is None:
            return F.dropout2d(x, self.probability)
        kept = (noise[:, self.draws] >= self.probability).to(x.dtype)
        return x * (kept / (1 - self.probability))[:, :, None, None]


class EncoderBlock(nn.Module):
    def __init__(self, c_in: int, c_out: int) -> None:
        super().__init__()
        self.conv1 = conv_norm(c_in, c_out, nn.ReLU())
        self.conv2 = conv_norm(c_out, c_out, nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        return self.conv2(self.conv1(x))


class Encoder(nn.Module):
    """Four blocks, densely joined: the block before drops channels on its way into the next, those before it do not."""

    def __init__(self, dropout: float) -> None:
        super().__init__()
        self.drops = nn.ModuleList()
        for k, channels in enumerate(ENCODER_CHANNELS):
            self.add_module(f"enc_block{k + 1}", EncoderBlock(sum(ENCODER_CHANNELS[:k]) or 3, channels))
            self.drops.append(Dropout(dropout, sum(ENCODER_CHANNELS[:k]), channels))
        self.bottleneck = nn.Conv2d(sum(ENCODER_CHANNELS), 1024, 1)

    def forward(self, image: Tensor, noise: Tensor | None) -> tuple[Tensor, list[Tensor]]:
        """(N, 1024, H/16, W/16); and what each block gave, from (N, 64, H, W) to (N, 512, H/8, W/8)."""
        given: list[Tensor] = []
        x = image
        for k, drop in enumerate(self.drops):
            given.append(getattr(self, f"enc_block{k + 1}")(x))
            x = torch.cat([pool(drop(given[k], noise), 1), *(pool(given[j], k + 1 - j) for j in reversed(range(k)))],
                          dim=1)
        return self.bottleneck(x), given


class DecoderBlock(nn.Module):
    def __init__(self, c_in: int, width: int, shape: tuple[int, int, int], drop: Dropout) -> None:
        """shape: slots, height and width of the attention's factors."""
        super().__init__()
        slots, *size = shape
        self.W = nn.Parameter(torch.rand(slots, width, *size))
        self.conv1 = conv_norm(c_in, width, nn.Sigmoid())
        self.conv2 = conv_norm(width, width, nn.Sigmoid())
        self.drop = drop

    def forward(self, x: Tensor, skip: Tensor, noise: Tensor | None) -> Tensor:
        x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True)
        first = self.conv1(torch.cat([x, skip], dim=1))
        second = self.conv2(first)
        factors = self.W
        if len(self.W) not in (1, len(x)):
            factors = self.W[torch.arange(len(x), device=x.device) % len(self.W)]
        attention = factors.to(first.dtype) * first * second
        return self.drop(torch.cat([second, attention], dim=1), noise)


class Decoder(nn.Module):
    def __init__(self, options: NetOptions, first_draw: int, channels_out: int) -> None:
        super().__init__()
        slots = options.batch_size if options.adamt_attention == "per_slot" else 1
        channels = 1024
        for k, width in enumerate(DECODER_CHANNELS):
            shape = (slots, options.height >> (3 - k), options.width >> (3 - k))
            drop = Dropout(options.dropout, first_draw, 2 * width)
            block = DecoderBlock(channels + ENCODER_CHANNELS[3 - k], width, shape, drop)
            self.add_module(f"dec_block{k + 1}", block)
            channels = 2 * width
            first_draw += channels
        self.final_conv = nn.Conv2d(channels, channels_out, 1, bias=False)

    def forward(self, x: Tensor, skips: list[Tensor], noise: Tensor | None) -> Tensor:
        for k in range(4):
            x = getattr(self, f"dec_block{k + 1}")(x, skips[3 - k], noise)
        return self.final_conv(x)


class AdaMt(nn.Module):
    """An encoder, a decoder a task.

    noise: (N, num_draws) uniform draws for the next training step's dropout; None: torch draws for itself.
    """

    def __init__(self, options: NetOptions) -> None:
        super().__init__()
        self.options = options
        self.keys = [KEYS[task] for task in options.tasks]
        self.noise: Tensor | None = None
        self.encoder = Encoder(options.dropout)
        self.num_draws = sum(ENCODER_CHANNELS)
        for key in self.keys:
            decoder = Decoder(options, self.num_draws, channels_of(key, options.num_classes))
            self.add_module(DECODERS[key], decoder)
            self.num_draws += 2 * sum(DECODER_CHANNELS)

    def keep_first_slot(self) -> None:
        """Of `per_slot` the factors of the first place in a batch, for every image: as a net that was trained predicts."""
        for module in self.modules():
            if isinstance(module, DecoderBlock):
                module.W = nn.Parameter(module.W.detach()[:1].clone())

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        x, skips = self.encoder(image, self.noise)
        return {key: getattr(self, DECODERS[key])(x, skips, self.noise) for key in self.keys}


def attention_of(tensors: dict[str, Tensor]) -> tuple[int, int, int] | None:
    """Slots of the attention, height and width of the images that weights are for; None: they are no AdaMT-Net's."""
    whole = next((value for name, value in tensors.items() if name.endswith(".dec_block4.W")), None)
    return None if whole is None or whole.dim() != 4 else (whole.shape[0], whole.shape[2], whole.shape[3])
