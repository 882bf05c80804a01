"""The training step in plain PyTorch: the peer that the C++ program is compared with.

Written from the project's specification alone, never from the C++. Notation: N images, C classes, H x W pixels, T tasks
in the order of Options.tasks. Parameter names are those of the project's weights files.

Source: Nakano et al. 2021, "Cross-Task Consistency Learning Framework for Multi-Task Learning".
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

import peer_nets
from peer_losses import losses
from peer_nets import NETS, NetOptions, alsw_weights
from peer_random import draw_noise, draw_transfers


@dataclass(frozen=True)
class Options(NetOptions):
    """What decides the network, the loss and the optimizer."""

    transfers_per_task: int = 1  # of sample
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
    def lambdas(self) -> tuple[float, float, float]:
        """By the task's place."""
        return self.lambda_1, self.lambda_2, self.lambda_2 if self.lambda_3 is None else self.lambda_3

    @property
    def has_trained_weighting(self) -> bool:
        return self.weighting == "uncertainty" and len(self.order) > 1


def make_net(options: Options) -> nn.Module:
    """The network of a system, with the trained task weights where it has some."""
    return peer_nets.make_net(options, options.has_trained_weighting)


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
        tasks = [torch.where(task > 0, 0.5 * torch.exp(-s) * task + s, task)  # 0: the batch has no labels of it
                 for s, task in zip(log_variance, tasks)]
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


def make_optimizer(net: nn.Module, betas: tuple[float, float] | None = None, **form: object) -> torch.optim.Optimizer:
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


def run_steps(net: nn.Module, samples: dict[str, Tensor], steps: int, autocast: bool = False) -> dict[str, Tensor]:
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
