"""XTasC-Net, its losses and its training step in plain PyTorch: the peer that the C++ program is compared with.

Written from the project's specification alone, never from the C++. Notation: N images, C classes, H x W pixels, T tasks
in the order of Options.tasks. Parameter names are those of the project's weights files.

Source: Nakano et al. 2021, "Cross-Task Consistency Learning Framework for Multi-Task Learning".
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import peer_segnet
from peer_adamt import AdaMt, alsw_weights, draw_noise
from peer_deeplab import Deeplab
from peer_losses import losses, unit_vectors
from peer_resnet import Encoder
from peer_tasks import KEYS, Transfer, channels_of, draw_transfers, transfers_of

SYSTEMS = ("xtasc", "align", "base_mt", "base_st_seg", "base_st_depth")  # and base_st of any task
ALONE = {"base_st_seg": ("segmentation",), "base_st_depth": ("depth",)}  # systems whose word says their task
NETS = {**peer_segnet.NETS, "adamt": AdaMt, "deeplab": Deeplab}


@dataclass(frozen=True)
class Options:
    """What decides the network, the loss and the optimizer."""

    system: str = "xtasc"
    tasks: tuple[str, ...] = ("segmentation", "depth")
    transfer: str = "pairs"  # or ring, sample
    transfer_pairs: tuple[str, ...] = ()  # "seg>depth", in the place of transfer
    transfers_per_task: int = 1  # of sample
    cross_stitch: str = "mtan"
    adamt_attention: str = "shared"  # or per_slot
    dropout: float = 0.5
    height: int = 32  # of the images, for AdaMT-Net's attention
    width: int = 64
    batch_size: int = 3  # slots of per_slot
    encoder: str = "resnet34"
    num_classes: int = 7
    decoder_width: int = 128
    ttnet_widths: tuple[int, int, int] = (64, 128, 256)
    ttnet_batch_norm: bool = False
    depth: str = "L1"
    transferred_depth: str = "L1"
    transferred_segmentation: str = "cross"
    soft_target: bool = False
    label_smoothing: float = 0.0
    lambda_1: float = 0.01
    lambda_2: float = 0.01
    lambda_3: float | None = None  # None: as lambda_2
    weighting: str = "equal"
    learning_rate: float = 1e-4
    optimizer: str = "adam"  # or adamw, sgd
    weight_decay: float = 0.0  # of the network
    momentum: float = 0.9  # of sgd
    clip_norm: float = 0.0  # of the network's gradient; 0: any
    weight_seg: float = 1.0  # of the distillation
    weight_depth: float = 1.0
    weight_normals: float = 1.0
    adaptor_learning_rate: float = 0.1
    adaptor_weight_decay: float = 5e-4
    teacher_batch_norm: str = "evaluate"  # or train
    seed: int = 1

    @property
    def is_open(self) -> bool:
        return self.system in NETS

    @property
    def order(self) -> list[str]:
        """The tasks' keys."""
        return [KEYS[task] for task in ALONE.get(self.system, self.tasks)]

    @property
    def transfers(self) -> list[Transfer]:
        """All that the net has."""
        if self.system not in ("xtasc", "align"):
            return []
        return transfers_of(self.order, self.transfer, self.transfer_pairs)

    @property
    def lambdas(self) -> tuple[float, float, float]:
        """By the task's place."""
        return self.lambda_1, self.lambda_2, self.lambda_2 if self.lambda_3 is None else self.lambda_3

    @property
    def has_trained_weighting(self) -> bool:
        return self.weighting == "uncertainty" and len(self.order) > 1


# ---- network ---------------------------------------------------------------------------------------------------------
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


class Net(nn.Module):
    """Encoder, decoders and task-transfer nets, as far as the system has them; and the trained task weights.

    transfers: those that the next forward() computes.
    """

    def __init__(self, options: Options) -> None:
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
        if options.has_trained_weighting:
            self.weighting = nn.Module()
            self.weighting.log_variance = nn.Parameter(torch.zeros(len(channels)))  # in the tasks' order
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


def make_net(options: Options) -> nn.Module:
    """The network of a system."""
    return NETS[options.system](options) if options.is_open else Net(options)


def biases_before_batch_norm(net: nn.Module) -> set[str]:
    """Names of the convolution biases that a batch norm cancels: their true gradient is zero."""
    names = peer_segnet.biases_before_batch_norm(net)
    for name, module in net.named_modules():
        if isinstance(module, ConvChain):
            for k in range(1, module.count + 1):
                if isinstance(getattr(module, f"bn{k}"), nn.BatchNorm2d):
                    names.add(f"{name}.conv{k}.bias")
    return names


# ---- objective -------------------------------------------------------------------------------------------------------
def task_losses(options: Options, parts: dict[str, Tensor]) -> list[Tensor]:
    """Eq. 11 for any number of tasks: each with the mean over the predictions that were made from it in this step."""
    result = []
    for key, share in zip(options.order, options.lambdas):
        made = [parts[f"{a}_to_{b}"] for a, b in options.transfers if a == key]
        count = options.transfers_per_task if options.transfer == "sample" else len(made)
        result.append((1 - share) * parts[key] + share / count * sum(made) if made else parts[key])
    return result


def total_loss(options: Options, parts: dict[str, Tensor], log_variance: Tensor | None) -> Tensor:
    """The tasks' losses, their weighting, then the distillation."""
    tasks = task_losses(options, parts)
    if log_variance is not None:  # Kendall et al. 2018, with s added whole as in the authors' code
        tasks = [0.5 * torch.exp(-s) * task + s for s, task in zip(log_variance, tasks)]
    tasks += distillation_losses(options, parts)
    return sum(tasks[1:], start=tasks[0])


def distillation_losses(options: Options, parts: dict[str, Tensor]) -> list[Tensor]:
    """What each task's teacher adds to the total; nothing where there are no teachers."""
    return [getattr(options, f"weight_{name}") * parts[f"distillation_{name}"]
            for name in options.order if f"distillation_{name}" in parts]


# ---- training step ---------------------------------------------------------------------------------------------------
def parameter_groups(net: nn.Module) -> list[dict[str, object]]:
    """The network; KD4MTL's adaptors, with a rate and a weight decay of their own; the trained task weights."""
    named = list(net.named_parameters())
    own = [p for name, p in named if not name.startswith(("adaptor_", "weighting."))]
    groups: list[dict[str, object]] = [{"params": own, "weight_decay": net.options.weight_decay}]
    if net.options.system == "kd4mtl":
        groups.append({"params": [p for name, p in named if name.startswith("adaptor_")],
                       "lr": net.options.adaptor_learning_rate, "weight_decay": net.options.adaptor_weight_decay})
    if net.options.has_trained_weighting:
        groups.append({"params": [net.weighting.log_variance]})
    return groups


def make_optimizer(net: Net, betas: tuple[float, float] | None = None, **form: object) -> torch.optim.Optimizer:
    """betas: None: of XTasC-Net and what it is compared with directly others than of the rest. form: of the class."""
    options, groups = net.options, parameter_groups(net)
    if options.optimizer == "sgd":
        if options.system == "kd4mtl":
            raise SystemExit("the peer has one optimizer, and kd4mtl's adaptors have Adam beside sgd")
        form.pop("capturable", None)  # it always is
        return torch.optim.SGD(groups, lr=options.learning_rate, momentum=options.momentum, **form)
    own = not options.is_open and not options.system.startswith("base_st")
    betas = betas or ((0.9, 0.99) if own else (0.9, 0.999))
    if options.optimizer == "adamw":
        # AdamW's decay is 0.01 where a group names none, and the adaptors' Adam is no AdamW.
        if options.system == "kd4mtl":
            raise SystemExit("the peer has one optimizer, and kd4mtl's adaptors have Adam beside adamw")
        return torch.optim.AdamW(groups, lr=options.learning_rate, betas=betas, eps=1e-8, weight_decay=0.0, **form)
    return torch.optim.Adam(groups, lr=options.learning_rate, betas=betas, eps=1e-8, **form)


def clip_gradient(net: nn.Module) -> None:
    """The network's, to options.clip_norm: not the adaptors', nor the task weights'."""
    if net.options.clip_norm > 0:
        torch.nn.utils.clip_grad_norm_(parameter_groups(net)[0]["params"], net.options.clip_norm)


def run_steps(net: Net, samples: dict[str, Tensor], steps: int, autocast: bool = False) -> dict[str, Tensor]:
    """The outputs that `xtasc-inspect step` promises: of the first step, and after `steps` Adam steps.

    net: KD4MTL has its teachers already.
    samples: image (N, 3, H, W), of the net's dtype, and what losses() takes as truths.
    autocast: bfloat16 by torch's rules, losses in float32.
    """
    optimizer = make_optimizer(net)
    net.train()
    outputs: dict[str, Tensor] = {}
    totals = []
    options, image = net.options, samples["image"]
    log_variance = net.weighting.log_variance if options.has_trained_weighting else None
    for step in range(max(steps, 1)):
        if options.system in ("adamt", "deeplab"):
            net.noise = draw_noise(options.seed, step, range(len(image)), net.num_draws).to(image.device)
        if options.transfers and options.transfer == "sample":
            net.transfers = draw_transfers(options.seed, step, options.transfers, options.transfers_per_task)
        with torch.autocast(image.device.type, dtype=torch.bfloat16, enabled=autocast):
            predictions = net(image)
            distilled = net.distillation_losses(image) if options.system == "kd4mtl" else {}
        predictions = {name: value.to(image.dtype) for name, value in predictions.items()}
        parts = losses(options, predictions, samples) | distilled
        if options.weighting == "alsw":
            tasks = [parts[name] for name in options.order]
            total = torch.dot(alsw_weights(net, tasks), torch.stack(tasks))
        else:
            total = total_loss(options, parts, log_variance)
        optimizer.zero_grad()
        total.backward()
        for parameter in net.parameters():
            if parameter.grad is None:  # of a transfer that was not drawn: Adam goes on there too
                parameter.grad = torch.zeros_like(parameter)
        clip_gradient(net)
        if step == 0:
            outputs |= {name: value.detach() for name, value in predictions.items()}
            outputs |= {f"loss.{name}": value.detach() for name, value in parts.items()}
            outputs["loss.total"] = total.detach()
            outputs |= {f"grad.{name}": value.grad.clone() for name, value in net.named_parameters()}
        if steps > 0:
            optimizer.step()
            totals.append(total.detach())
    if steps > 0:
        outputs["losses"] = torch.stack(totals)
        outputs |= {
            f"weight.{name}": value.detach().clone()
            for name, value in net.state_dict().items()
            if not name.endswith("num_batches_tracked")
        }
    return outputs


def num_parameters(module: nn.Module) -> int:
    """Trainable parameters."""
    return sum(math.prod(p.shape) for p in module.parameters() if p.requires_grad)
