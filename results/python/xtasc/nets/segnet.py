"""SegNet and the networks that are made of it: SegNet, STAN, MTAN, KD4MTL, Dense, Cross-Stitch.

Tensor names are those of https://github.com/lorenmt/mtan.

Sources: Badrinarayanan et al. 2017 (SegNet), Liu et al. 2019 (MTAN, STAN, Dense), Misra et al. 2016 (Cross-Stitch),
Li and Bilen 2020 (KD4MTL).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from xtasc.nets.options import NetOptions
from xtasc.nets.tasks import KEYS, channels_of

CHANNELS = (64, 128, 256, 512, 512)


def conv_norm_relu(*widths: int) -> nn.Sequential:
    """[conv 3x3 with bias -> batch norm -> ReLU] from each width to the next."""
    layers: list[nn.Module] = []
    for c_in, c_out in zip(widths, widths[1:]):
        layers += [nn.Conv2d(c_in, c_out, 3, padding=1), nn.BatchNorm2d(c_out), nn.ReLU()]
    return nn.Sequential(*layers)


def attention(c_in: int, c_out: int) -> nn.Sequential:
    """[1x1 -> batch norm -> ReLU -> 1x1 -> batch norm -> sigmoid]"""
    return nn.Sequential(nn.Conv2d(c_in, c_out, 1), nn.BatchNorm2d(c_out), nn.ReLU(),
                         nn.Conv2d(c_out, c_out, 1), nn.BatchNorm2d(c_out), nn.Sigmoid())


def narrow_of(stage: int) -> int:
    """Channels that a stage on the way up gives."""
    return CHANNELS[max(stage - 1, 0)]


def pool(x: Tensor) -> tuple[Tensor, Tensor]:
    return F.max_pool2d(x, 2, return_indices=True)


class SegNets(nn.Module):
    """What they share: heads of two convolutions with nothing between, initial values."""

    uniform = False  # initial values of the convolutions: xavier normal or uniform

    def __init__(self, options: NetOptions) -> None:
        super().__init__()
        self.options = options
        self.keys = [KEYS[task] for task in options.tasks]

    def finish(self) -> None:
        for t, key in enumerate(self.keys):
            channels_out = channels_of(key, self.options.num_classes)
            head = nn.Sequential(nn.Conv2d(64, 64, 3, padding=1), nn.Conv2d(64, channels_out, 1))
            self.add_module("pred_task" if len(self.keys) == 1 else f"pred_task{t + 1}", head)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                (nn.init.xavier_uniform_ if self.uniform else nn.init.xavier_normal_)(module.weight)
                nn.init.zeros_(module.bias)

    def predict(self, features: list[Tensor]) -> dict[str, Tensor]:
        """A map (N, 64, H, W) a task -> its prediction."""
        heads = [self.pred_task] if len(self.keys) == 1 else [getattr(self, f"pred_task{t + 1}")
                                                              for t in range(len(self.keys))]
        return {key: head(x) for key, head, x in zip(self.keys, heads, features)}


class SegNet(SegNets):
    """One SegNet, a head a task."""

    def __init__(self, options: NetOptions) -> None:
        super().__init__(options)
        self.add_trunk()
        self.finish()

    def add_trunk(self) -> None:
        def kept(width: int, stage: int) -> nn.Sequential:
            block = conv_norm_relu(width, width)
            return block if stage < 2 else nn.Sequential(block, conv_norm_relu(width, width))

        self.encoder_block = nn.ModuleList(conv_norm_relu((3, *CHANNELS)[i], CHANNELS[i]) for i in range(5))
        self.conv_block_enc = nn.ModuleList(kept(CHANNELS[i], i) for i in range(5))
        self.decoder_block = nn.ModuleList(conv_norm_relu(CHANNELS[i], narrow_of(i)) for i in range(5))
        self.conv_block_dec = nn.ModuleList(kept(narrow_of(i), i) for i in range(5))

    def trunk(self, x: Tensor) -> tuple[list[Tensor], list[Tensor], list[Tensor], list[Tensor]]:
        """Of each stage: behind its first and second block on the way down; unpooled and at last on the way up."""
        first, second, indices = [], [], []
        for i in range(5):
            first.append(self.encoder_block[i](x))
            second.append(self.conv_block_enc[i](first[i]))
            x, index = pool(second[i])
            indices.append(index)
        unpooled, last = [x] * 5, [x] * 5
        for i in reversed(range(5)):
            unpooled[i] = F.max_unpool2d(x, indices[i], 2)
            x = last[i] = self.conv_block_dec[i](self.decoder_block[i](unpooled[i]))
        return first, second, unpooled, last

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        return self.predict([self.trunk(image)[3][0]] * len(self.keys))


class Mtan(SegNet):
    """SegNet, and a task's attention over each of its stages; STAN with a single task."""

    def __init__(self, options: NetOptions) -> None:
        SegNets.__init__(self, options)
        self.add_trunk()
        tasks = range(len(self.keys))
        self.encoder_att = nn.ModuleList(
            nn.ModuleList(attention(CHANNELS[i] * (1 if i == 0 else 2), CHANNELS[i]) for i in range(5)) for _ in tasks)
        self.decoder_att = nn.ModuleList(
            nn.ModuleList(attention(CHANNELS[i] + narrow_of(i), narrow_of(i)) for i in range(5)) for _ in tasks)
        self.encoder_block_att = nn.ModuleList(
            conv_norm_relu(CHANNELS[i], CHANNELS[min(i + 1, 4)]) for i in range(5))
        self.decoder_block_att = nn.ModuleList(conv_norm_relu(CHANNELS[i], narrow_of(i)) for i in range(5))
        self.finish()

    def attend(self, image: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Of each task: the map between its ways down and up (N, 512, H/32, W/32), and what its head reads."""
        first, second, unpooled, last = self.trunk(image)
        features = []
        for t in range(len(self.keys)):
            x = None
            for i in range(5):
                mask = self.encoder_att[t][i](first[i] if x is None else torch.cat([first[i], x], dim=1))
                x = F.max_pool2d(self.encoder_block_att[i](mask * second[i]), 2)
            deepest = x
            for i in reversed(range(5)):
                x = self.decoder_block_att[i](F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True))
                x = self.decoder_att[t][i](torch.cat([unpooled[i], x], dim=1)) * last[i]
            features.append((deepest, x))
        return features

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        return self.predict([x for _, x in self.attend(image)])


class Adaptor(nn.Module):
    """A student's two maps into its teacher's channels."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(512, 512, 1, bias=False)
        self.conv2 = nn.Conv2d(64, 64, 1, bias=False)


class Kd4mtl(Mtan):
    """MTAN, and the adaptors through which its maps were held to those of a STAN a task: no prediction needs them."""

    def __init__(self, options: NetOptions) -> None:
        super().__init__(options)
        for key in self.keys:
            self.add_module(f"adaptor_{key}", Adaptor())


def encoder_blocks(joined: int = 1) -> nn.ModuleList:
    """Two convolutions in the first two stages, three in the others; `joined` nets' maps enter those after the first."""
    return nn.ModuleList(
        conv_norm_relu(3 if i == 0 else joined * CHANNELS[i - 1], *[CHANNELS[i]] * (2 if i < 2 else 3)) for i in range(5))


def decoder_blocks(joined: int = 1) -> nn.ModuleList:
    return nn.ModuleList(
        [conv_norm_relu(joined * 64, joined * 64, 64)] +
        [conv_norm_relu(joined * CHANNELS[i], *[narrow_of(i)] * (2 if i < 2 else 3)) for i in range(1, 5)])


class Dense(SegNets):
    """A shared SegNet, and one a task whose blocks read the shared net's map beside their own."""

    uniform = True

    def __init__(self, options: NetOptions) -> None:
        super().__init__(options)
        self.encoder_block = encoder_blocks()
        self.decoder_block = decoder_blocks()
        self.decoder_block[0] = nn.Identity()  # dead in the public code: no parameters here
        self.encoder_block_t = nn.ModuleList(encoder_blocks(2) for _ in self.keys)
        self.decoder_block_t = nn.ModuleList(decoder_blocks(2) for _ in self.keys)
        self.finish()

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        shared, indices, x = [], [], image
        for i in range(5):
            x, index = pool(self.encoder_block[i](x))
            shared.append(x)
            indices.append(index)
        unpooled = [x] * 5
        for i in reversed(range(5)):
            unpooled[i] = F.max_unpool2d(x, indices[i], 2)
            x = self.decoder_block[i](unpooled[i])
        features = []
        for t in range(len(self.keys)):
            own, y = [], image
            for i in range(5):
                y, index = pool(self.encoder_block_t[t][i](y if i == 0 else torch.cat([y, shared[i - 1]], dim=1)))
                own.append(index)
            for i in reversed(range(5)):
                y = self.decoder_block_t[t][i](torch.cat([F.max_unpool2d(y, own[i], 2), unpooled[i]], dim=1))
            features.append(y)
        return self.predict(features)


class CrossStitch(SegNets):
    """A SegNet a task; what a block reads is a learned mixture of all tasks' maps."""

    uniform = True

    def __init__(self, options: NetOptions) -> None:
        super().__init__(options)
        tasks = len(self.keys)
        if options.cross_stitch == "mtan":
            self.cs_unit_encoder = nn.Parameter(torch.ones(4, tasks))
            self.cs_unit_decoder = nn.Parameter(torch.ones(5, tasks))
        else:
            first = torch.full((tasks, tasks), 0.1 / (tasks - 1)).fill_diagonal_(0.9)[:, :, None]
            self.cs_unit_encoder = nn.ParameterList(first.repeat(1, 1, c) for c in CHANNELS[:4])
            self.cs_unit_decoder = nn.ParameterList(first.repeat(1, 1, c) for c in CHANNELS[::-1])
        self.encoder_block_t = nn.ModuleList(encoder_blocks() for _ in self.keys)
        self.decoder_block_t = nn.ModuleList(decoder_blocks() for _ in self.keys)
        self.finish()

    def mix(self, factors: Tensor, maps: list[Tensor]) -> list[Tensor]:
        if factors.dim() == 1:
            return [sum(a * x for a, x in zip(factors, maps))] * len(maps)
        return [sum(a[:, None, None] * x for a, x in zip(row, maps)) for row in factors]

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        maps = [image] * len(self.keys)
        indices: list[list[Tensor]] = []
        for i in range(5):
            if i > 0:
                maps = self.mix(self.cs_unit_encoder[i - 1], maps)
            pooled = [pool(blocks[i](x)) for blocks, x in zip(self.encoder_block_t, maps)]
            maps = [x for x, _ in pooled]
            indices.append([index for _, index in pooled])
        for step, i in enumerate(reversed(range(5))):
            maps = self.mix(self.cs_unit_decoder[step], maps)
            maps = [blocks[i](F.max_unpool2d(x, index, 2))
                    for blocks, x, index in zip(self.decoder_block_t, maps, indices[i])]
        return self.predict(maps)


NETS = {"segnet": SegNet, "stan": Mtan, "mtan": Mtan, "kd4mtl": Kd4mtl, "dense": Dense, "cross_stitch": CrossStitch}
