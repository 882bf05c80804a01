"""XTasC-Net and the paper's nets beside it: an encoder, a decoder a task, nets that predict one task from another.

N images, C classes, H x W pixels. Source: Nakano et al. 2021, "Cross-Task Consistency Learning Framework for
Multi-Task Learning".
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from xtasc.nets.options import NetOptions
from xtasc.nets.resnet import Encoder
from xtasc.nets.tasks import channels_of, unit_vectors


def upsample(x: Tensor) -> Tensor:
    """(N, K, h, w) -> (N, K, 2h, 2w), bilinear, corners aligned."""
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True)


class ConvChain(nn.Module):
    """`count` times [conv 3x3 with bias -> batch norm, if asked -> ReLU], all of one width."""

    def __init__(self, channels_in: int, width: int, count: int, batch_norm: bool) -> None:
        super().__init__()
        self.count = count
        for k in range(1, count + 1):
            self.add_module(f"conv{k}", nn.Conv2d(channels_in if k == 1 else width, width, 3, padding=1))
            self.add_module(f"bn{k}", nn.BatchNorm2d(width) if batch_norm else nn.Identity())

    def forward(self, x: Tensor) -> Tensor:
        for k in range(1, self.count + 1):
            x = F.relu(getattr(self, f"bn{k}")(getattr(self, f"conv{k}")(x)))
        return x


class Decoder(nn.Module):
    """Five blocks from 1/32 to full size; block k > 1 also takes the encoder's layer(5 - k)."""

    def __init__(self, encoder_channels: list[int], width: int, channels_out: int) -> None:
        super().__init__()
        for k in range(1, 6):
            channels_in = encoder_channels[4] if k == 1 else width + encoder_channels[5 - k]
            self.add_module(f"block{k}", ConvChain(channels_in, width, 3, batch_norm=True))
        self.head = nn.Conv2d(width, channels_out, 1, bias=False)

    def forward(self, features: list[Tensor]) -> Tensor:
        """Encoder features -> (N, channels_out, H, W)."""
        x = upsample(self.block1(features[4]))
        for k in range(2, 6):
            x = upsample(getattr(self, f"block{k}")(torch.cat([x, features[5 - k]], dim=1)))
        return self.head(x)


class TTNet(nn.Module):
    """Task-transfer net: a small U-net whose skips are the pooled outputs, joined before the next upsample."""

    def __init__(self, channels_in: int, channels_out: int, widths: tuple[int, int, int], batch_norm: bool) -> None:
        super().__init__()
        a, b, c = widths
        self.down1 = ConvChain(channels_in, a, 2, batch_norm)
        self.down2 = ConvChain(a, b, 2, batch_norm)
        self.down3 = ConvChain(b, c, 2, batch_norm)
        self.up1 = ConvChain(c, b, 2, batch_norm)
        self.up2 = ConvChain(b + b, a, 2, batch_norm)
        self.up3 = ConvChain(a + a, a, 2, batch_norm)
        self.head = nn.Conv2d(a, channels_out, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels_in, H, W) -> (N, channels_out, H, W)."""
        half = F.max_pool2d(self.down1(x), 2)
        quarter = F.max_pool2d(self.down2(half), 2)
        eighth = F.max_pool2d(self.down3(quarter), 2)
        y = self.up1(upsample(eighth))
        y = self.up2(upsample(torch.cat([y, quarter], dim=1)))
        y = self.up3(upsample(torch.cat([y, half], dim=1)))
        return self.head(y)


def handed_over(key: str, direct: Tensor) -> Tensor:
    """What a task's transfers read of its direct prediction."""
    if key == "seg":
        return F.log_softmax(direct, dim=1)
    return unit_vectors(direct) if key == "normals" else direct


class CrossTaskNet(nn.Module):
    """Encoder, decoders and task-transfer nets, as far as the system has them.

    transfers: those that the next forward() computes.
    """

    def __init__(self, options: NetOptions) -> None:
        super().__init__()
        self.options = options
        self.encoder = Encoder(options.encoder)
        self.transfers = options.transfers
        channels = {key: channels_of(key, options.num_classes) for key in options.order}
        for key, channels_out in channels.items():
            self.add_module(f"{key}_decoder", Decoder(self.encoder.channels, options.decoder_width, channels_out))
        for a, b in self.transfers:
            ttnet = TTNet(channels[a], channels[b], options.ttnet_widths, options.ttnet_batch_norm)
            self.add_module(f"{a}_to_{b}", ttnet)
        self._initialise()

    def _initialise(self) -> None:
        for name, module in self.named_modules():
            if isinstance(module, nn.Conv2d):
                if name.startswith("encoder."):
                    nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
                else:
                    nn.init.xavier_normal_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """(N, 3, H, W) -> seg: (N, C, H, W) logits; depth: (N, 1, H, W); normals: (N, 3, H, W) of any length; and
        A_to_B as B."""
        features = self.encoder(image)
        predictions = {key: getattr(self, f"{key}_decoder")(features) for key in self.options.order}
        for a, b in self.transfers:
            predictions[f"{a}_to_{b}"] = getattr(self, f"{a}_to_{b}")(handed_over(a, predictions[a]))
        return predictions
