"""The peer's networks: those of the Python package (results/python), and what only training adds to them.

Sources: Li and Bilen 2020 (KD4MTL), Jha et al. 2020 (ALSW).
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

sys.path.append(str(Path(__file__).resolve().parents[3] / "results/python"))
from xtasc import nets
from xtasc.nets import NETS, NetOptions
from xtasc.nets.adamt import DECODERS, AdaMt
from xtasc.nets.crosstask import ConvChain
from xtasc.nets.segnet import Kd4mtl, Mtan
from xtasc.nets.tasks import Transfer, unit_vectors

__all__ = ["NETS", "NetOptions", "Transfer", "alsw_weights", "biases_before_batch_norm", "make_net", "unit_vectors"]


def make_net(options: NetOptions, has_trained_weighting: bool) -> nn.Module:
    """The network of a system; with the trained task weights, in the tasks' order."""
    net = Student(options) if options.system == "kd4mtl" else nets.make_net(options)
    if has_trained_weighting:
        net.weighting = nn.Module()
        net.weighting.log_variance = nn.Parameter(torch.zeros(len(options.order)))
    return net


def unit(x: Tensor) -> Tensor:
    """(N, K, H, W) over the norm of its K channels."""
    return x / torch.sqrt((x * x).sum(dim=1, keepdim=True) + 1e-6)


class Student(Kd4mtl):
    """KD4MTL while it learns from a frozen STAN a task: its teachers, no part of its state."""

    def __init__(self, options: NetOptions) -> None:
        super().__init__(options)
        self.teachers: dict[str, Mtan] = {}  # nn.Module registers nothing that is in a dict
        self.features: dict[str, tuple[Tensor, Tensor]] = {}

    def set_teachers(self, states: dict[str, dict[str, Tensor]]) -> None:
        """states: a task's key -> its STAN's tensors by name."""
        own = next(self.parameters())
        for key, task in zip(self.keys, self.options.tasks):
            teacher = Mtan(replace(self.options, system="stan", tasks=(task,)))
            missing = teacher.load_state_dict(states[key], strict=False).missing_keys
            missing = [name for name in missing if not name.endswith("num_batches_tracked")]
            if missing:
                raise ValueError(f"the teacher of '{key}' lacks {missing[0]}")
            teacher.train(self.options.teacher_batch_norm == "train")
            for module in teacher.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.momentum = 0.0  # in either mode the running statistics stay
            self.teachers[key] = teacher.to(own).requires_grad_(False)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Student:
        for teacher in self.teachers.values():
            teacher._apply(fn, recurse)
        return super()._apply(fn, recurse)

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        features = self.attend(image)
        self.features = dict(zip(self.keys, features))
        return self.predict([x for _, x in features])

    def distillation_losses(self, image: Tensor) -> dict[str, Tensor]:
        """distillation_KEY a task, of the maps that forward() kept of this image: it lets them go."""
        kept, self.features = self.features, {}
        result = {}
        for key, student in kept.items():
            with torch.no_grad():
                teacher = self.teachers[key].attend(image)[0]
            adaptor = getattr(self, f"adaptor_{key}")
            adapted = (adaptor.conv1(student[0]), adaptor.conv2(student[1]))
            result[f"distillation_{key}"] = sum(
                ((unit(a.to(image.dtype)) - unit(b.to(image.dtype))) ** 2).sum(dim=1).mean()
                for a, b in zip(adapted, teacher))
        return result


def alsw_weights(net: AdaMt, task_losses: list[Tensor]) -> Tensor:
    """(T), they sum to 1: each task's share of the mean absolute gradients of its decoder's first convolution."""
    first = [getattr(net, DECODERS[key]).dec_block1.conv1[0].weight for key in net.keys]
    means = torch.stack([torch.autograd.grad(loss, weight, retain_graph=True)[0].abs().mean()
                         for loss, weight in zip(task_losses, first)])
    total = means.sum()
    return torch.where(total > 0, means / total, 1 / len(means))


def biases_before_batch_norm(net: nn.Module) -> set[str]:
    """Names of the convolution biases that a batch norm cancels: their true gradient is zero."""
    names = set()
    for name, module in net.named_modules():
        children = list(module.named_children()) if isinstance(module, nn.Sequential) else []
        for (number, layer), (_, behind) in zip(children, children[1:]):
            if isinstance(layer, nn.Conv2d) and isinstance(behind, nn.BatchNorm2d):
                names.add(f"{name}.{number}.bias")
        if isinstance(module, ConvChain):
            for k in range(1, module.count + 1):
                if isinstance(getattr(module, f"bn{k}"), nn.BatchNorm2d):
                    names.add(f"{name}.conv{k}.bias")
    return names
