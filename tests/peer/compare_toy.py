"""Compares some training steps of three tasks with PyTorch, in fp64, for every weighting method, on one and two ranks.

    python tests/peer/compare_toy.py --program build/release/tests/toy_step [--ranks 1,2] [--methods NAME ...]

The network is tests/toy's: no encoder that all share, and a convolution that all tasks share behind their own branches.
The peer is written from the definitions alone: its gradients are torch.autograd's, whole vectors, which it combines as
toy_factors.py says; the other methods are differentiated. Losses, first gradients, and the weights after three Adam steps
agree within 1e-9.

Exit code 0: all agree; 1: something does not; 77: this Python has no torch (ctest: SKIP_RETURN_CODE).
"""

from __future__ import annotations

import argparse
import itertools
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

try:
    import torch
except ImportError:
    print("skipped: this Python has no torch")
    sys.exit(77)

from torch import Tensor
from torch.nn.functional import batch_norm, conv2d, cross_entropy, relu

from toy_factors import factors, gradvac, sdmgrad

TASKS = ("seg", "depth", "flow")
PAIRS = tuple(itertools.permutations(TASKS, 2))
LAMBDAS = {"seg": 0.1, "depth": 0.2, "flow": 0.2}
STEPS, RATE, TOLERANCE = 3, 1e-3, 1e-9
EPOCH_MEANS = torch.tensor([[2.0, 2.4, 1.9], [3.0, 2.5, 2.8]], dtype=torch.float64)  # of the last epoch, the one before
GRAM_METHODS = ("pcgrad", "cagrad", "mgda", "imtl_g", "imtl", "fairgrad", "nash", "aligned", "gradvac", "upgrad", "sdmgrad")
VECTOR_METHODS = ("db_mtl", "moco", "excess_mtl", "graddrop")
GRADIENT_METHODS = GRAM_METHODS + VECTOR_METHODS
WEIGHTED_HEADS = ("nash", "upgrad", "moco", "excess_mtl")
MAX_NORM = {"fairgrad": 1.0, "nash": 1.0, "sdmgrad": 1.0}
OF_LOSSES = ("fixed", "si", "gls", "stch", "uw_so")
SETTINGS = {"stch": ["weighting.warm_up_epochs=1", "weighting.mu=0.7"], "fixed": ["weighting.weights=[0.3, 1.5, 0.9]"],
            "uw_so": ["weighting.temperature=2.0"]}


# ---- the network and its losses --------------------------------------------------------------------------------------
def predictions(w: dict[str, Tensor], image: Tensor) -> dict[str, Tensor]:
    def conv(x: Tensor, name: str) -> Tensor:
        return conv2d(x, w[name + ".weight"], w[name + ".bias"], padding=1)

    shared = relu(batch_norm(conv(image, "trunk.conv"), None, None, w["trunk.norm.weight"], w["trunk.norm.bias"], True))
    found = {t: conv(relu(conv(relu(conv(shared, t + "_branch")), "mixer")), t + "_head") for t in TASKS}
    for a, b in PAIRS:
        found[f"{a}_to_{b}"] = conv(found[a].log_softmax(1) if a == "seg" else found[a], f"{a}_to_{b}")
    return found


def held_to(task: str, prediction: Tensor, target: Tensor, known: Tensor) -> Tensor:
    if task == "seg":
        return cross_entropy(prediction, target.masked_fill(~known, 255), ignore_index=255)
    means = [(p - t).abs()[k].mean() for p, t, k in zip(prediction, target, known) if k.any()]
    return torch.stack(means).mean()


def task_losses(w: dict[str, Tensor], image: Tensor, targets: dict[str, Tensor],
                pieces: list[slice] | None = None) -> tuple[Tensor, Tensor]:
    """(9) terms and (3) L_i. pieces: of the images, each of which the network sees by itself."""
    found = [predictions(w, image[piece]) for piece in pieces or [slice(None)]]
    p = {name: torch.cat([one[name] for one in found]) for name in found[0]}
    known = {t: targets[t] != 255 if t == "seg" else targets[t] > 0 for t in TASKS}
    terms = {t: held_to(t, p[t], targets[t], known[t]) for t in TASKS}
    for a, b in PAIRS:
        direct = p[b].detach().argmax(1) if b == "seg" else p[b].detach()
        terms[f"{a}_to_{b}"] = held_to(b, p[f"{a}_to_{b}"], direct, known[b])
    of_tasks = [(1 - LAMBDAS[t]) * terms[t] + LAMBDAS[t] / 2 * sum(terms[f"{t}_to_{b}"] for b in TASKS if b != t)
                for t in TASKS]
    return torch.stack(list(terms.values())), torch.stack(of_tasks)


# ---- training --------------------------------------------------------------------------------------------------------
class Trainer:
    """Steps by one method. What was drawn is taken from what the program says: rlw's weights, pcgrad's orders."""

    def __init__(self, method: str, given: dict[str, Tensor]) -> None:
        self.method = method
        self.w = {k[8:]: v.clone().requires_grad_() for k, v in given.items() if k.startswith("weight0.")}
        self.image = given["image"]
        self.targets = {t: given["target." + t] for t in TASKS}
        self.optimizer = torch.optim.Adam(self.w.values(), lr=RATE, betas=(0.9, 0.99))
        self.shared = torch.cat([torch.full((v.numel(),), k.startswith(("trunk", "mixer"))) for k, v in self.w.items()])
        one = method == "gradnorm"
        self.s = torch.full((3,), 1.0 if one else 0.0, dtype=torch.float64, requires_grad=True)
        own = {"famo": {"lr": 0.025, "weight_decay": 0.001}, "gradnorm": {"lr": RATE}}
        self.kept: dict[str, Tensor] = {}  # by methods that keep more than one number a task
        self.steps = 0
        self.own_optimizer = torch.optim.Adam([self.s], betas=(0.9, 0.999) if method in own else (0.9, 0.99),
                                              **own.get(method, {"lr": RATE}))

    def losses(self) -> tuple[Tensor, Tensor]:
        return task_losses(self.w, self.image, self.targets)

    def vectors(self, losses: Tensor) -> Tensor:
        """(3, D): each task's gradient of everything."""
        rows = []
        for loss in losses:
            found = torch.autograd.grad(loss, list(self.w.values()), retain_graph=True, allow_unused=True)
            rows.append(torch.cat([(torch.zeros_like(v) if f is None else f).flatten()
                                   for f, v in zip(found, self.w.values())]))
        return torch.stack(rows)

    def set_gradient(self, vector: Tensor) -> None:
        for v, piece in zip(self.w.values(), vector.split([v.numel() for v in self.w.values()])):
            v.grad = piece.view_as(v).clone()

    def weights(self, losses: Tensor, told: Tensor) -> Tensor:
        """(3), the factors of the losses."""
        s = self.s.detach()
        if self.method == "uncertainty":
            return 0.5 * torch.exp(-s)
        if self.method in ("imtl_l", "imtl"):
            return torch.exp(s)
        if self.method == "gradnorm":
            return s.clone()
        if self.method == "dwa":
            return 3 * (EPOCH_MEANS[0] / EPOCH_MEANS[1] / 2).softmax(0)
        if self.method == "rlw":
            assert abs(told.sum() - 1) < 1e-12 and (told > 0).all(), told
            return told
        if self.method == "toy_halves":
            return torch.tensor([1.0, 0.5, 0.25], dtype=torch.float64)
        if self.method == "famo":
            z = s.softmax(0)
            return z / (losses + 1e-8) / (z / (losses + 1e-8)).sum()
        if self.method == "db_mtl":
            return 1 / (losses + 1e-8)
        if self.method == "uw_so":
            return (1 / (losses + 1e-8) / 2.0).softmax(0)
        if self.method in OF_LOSSES:
            given = losses.clone().requires_grad_()
            return torch.autograd.grad(self.total(given, torch.ones(3)), given)[0]
        return torch.ones(3, dtype=torch.float64)

    def total(self, losses: Tensor, weights: Tensor) -> Tensor:
        if self.method == "uncertainty":
            return (weights * losses + self.s).sum()
        if self.method in ("imtl_l", "imtl"):
            return (weights * losses - self.s).sum()
        if self.method == "famo":
            z, d = self.s.softmax(0), losses + 1e-8
            return (z * d.log()).sum() / (z / d).sum()
        if self.method == "fixed":
            return (torch.tensor([0.3, 1.5, 0.9], dtype=torch.float64) * losses).sum()
        if self.method == "si":
            return losses.log().sum()
        if self.method == "gls":
            return losses.prod() ** (1 / 3)
        if self.method == "stch":
            return 3 * 0.7 * ((losses / EPOCH_MEANS[0]) ** (1 / 0.7)).sum().log()
        if self.method == "db_mtl":
            return (losses + 1e-8).log().sum()
        return (weights * losses).sum()

    def vector_method(self, g: Tensor, losses: Tensor, found: Tensor) -> tuple[Tensor, Tensor]:
        """What becomes of the shared gradients (3, D), and the factors (3). \\param found  the gradient, for what was drawn"""
        root = (self.steps + 1) ** 0.5
        if self.method == "db_mtl":
            old = self.kept.get("average")
            self.kept["average"] = g = g if old is None else 0.9 * old + 0.1 * g
            return g, g.norm(dim=1).max() / (g.norm(dim=1) + 1e-8)
        if self.method == "moco":
            wanted = losses[:, None] * g / (g.norm(dim=1, keepdim=True) + 1e-8)
            y = self.kept.get("y", torch.zeros_like(g))
            self.kept["y"] = y = y - 0.5 / root * (y - wanted)
            w = self.kept.get("w", torch.full((3,), 1 / 3, dtype=torch.float64))
            self.kept["w"] = w = (w - 0.1 / root * (y @ y.T @ w)).softmax(0)
            return y, w
        if self.method == "excess_mtl":
            self.kept["s"] = s = self.kept.get("s", torch.zeros_like(g)) + g**2
            excess = (g**2 / (s + 1e-7).sqrt()).sum(1)
            first = self.kept.setdefault("first", excess)
            w = self.kept.get("w", torch.ones(3, dtype=torch.float64)) * (0.01 * excess / first).exp()
            self.kept["w"] = w = 3 * w / w.sum()
            return g, w
        keeps_positive = (found - g.clamp_min(0).sum(0)).abs() <= (found - g.clamp_max(0).sum(0)).abs()
        has_both = (g > 0).any(0) & (g < 0).any(0)
        share = (1 + g.sum(0) / (g.abs().sum(0) + 1e-8)) / 2  # what was drawn must look like draws of these shares
        excess = (keeps_positive.double() - share)[has_both].sum() / (share * (1 - share))[has_both].sum().sqrt()
        assert abs(excess) < 5, excess
        return torch.where(keeps_positive, g.clamp_min(0), g.clamp_max(0)), torch.ones(3, dtype=torch.float64)

    def move_own(self, losses: Tensor, g: Tensor) -> None:
        """The method's own values, by differentiating the method."""
        if self.method in ("uncertainty", "imtl_l", "imtl"):
            sign, scale = (1, 0.5) if self.method == "uncertainty" else (-1, 1.0)
            objective = (scale * torch.exp(-sign * self.s) * losses + sign * self.s).sum()
        elif self.method == "gradnorm":
            layer = torch.cat([torch.full((v.numel(),), k == "mixer.weight") for k, v in self.w.items()])
            norms = self.s * g[:, layer].norm(dim=1)
            rates = losses / EPOCH_MEANS[1]
            target = norms.detach().mean() * (rates / rates.mean()) ** 0.16
            objective = (norms - target).abs().sum()
        elif self.method == "famo":
            after = self.losses()[1].detach()
            objective = (self.s.softmax(0) * ((losses + 1e-8).log() - (after + 1e-8).log())).sum()
        else:
            return
        self.own_optimizer.zero_grad()
        objective.backward()
        self.own_optimizer.step()
        if self.method == "gradnorm":
            with torch.no_grad():
                self.s.clamp_min_(1e-3)
                self.s.mul_(3 / self.s.sum())

    def gram_factors(self, seen: Tensor, fits: Callable[[Tensor], float]) -> Tensor:
        """(3). \\param fits  how far factors are from what the program says, which tells the order that was drawn"""
        if self.method == "sdmgrad":
            a, self.kept["w"] = sdmgrad(seen, self.kept.get("w", torch.full((3,), 1 / 3, dtype=torch.float64)))
            return a
        orders = itertools.product(*(itertools.permutations([j for j in range(3) if j != i]) for i in range(3)))
        if self.method == "gradvac":
            # Several orders may give the same factors, and other targets for the next step: all of them are kept.
            known = self.kept.get("targets", torch.zeros(1, 3, 3, dtype=torch.float64))
            found = [gradvac(seen, one, targets) for one, targets in itertools.product(orders, known)]
            best = min(fits(a) for a, _ in found)
            self.kept["targets"] = torch.stack([targets for a, targets in found if fits(a) <= best + 1e-10]).unique(dim=0)
            return min(found, key=lambda one: fits(one[0]))[0]
        kind = "imtl_g" if self.method == "imtl" else self.method
        return min((factors(kind, seen, one) for one in (orders if kind == "pcgrad" else [()])), key=fits)

    def combined(self, g: Tensor, losses: Tensor, told: Callable[[Tensor], float], found: Tensor,
                 over_all: bool) -> Tensor:
        """(D). \\param g  (3, D), weights included"""
        mask = self.shared | over_all
        a = torch.ones(3, dtype=torch.float64)
        shared = g.clone()
        if self.method in VECTOR_METHODS:
            shared[:, mask], a = self.vector_method(g[:, mask], losses, found[mask])
        else:
            a = self.gram_factors(g[:, mask], told)
        heads = a @ g if self.method in WEIGHTED_HEADS else g.sum(0)
        result = a @ shared
        limit = MAX_NORM.get(self.method, float("inf"))
        result = result * min(1.0, limit / result[mask].norm().item())
        return torch.where(mask, result, heads)

    def step(self, told: Tensor, found: Tensor, over_all: bool) -> tuple[Tensor, Tensor]:
        """\\returns terms with the total, and the gradient (D)."""
        terms, losses = self.losses()
        detached = losses.detach()
        weights = self.weights(detached, told)
        plain = self.vectors(losses)
        g = weights[:, None] * plain
        gradient = g.sum(0)
        if self.method in GRADIENT_METHODS:
            gradient = self.combined(g, detached, lambda a: (weights * a - told).abs().max().item(), found, over_all)
        if self.method == "famo":
            gradient = gradient * min(1.0, 1.0 / gradient.norm().item())
        self.set_gradient(gradient)
        total = self.total(detached, weights).detach()
        self.optimizer.step()
        self.move_own(detached, plain)
        self.steps += 1
        return torch.cat([terms.detach(), total.view(1)]), gradient


def relative(found: Tensor, expected: Tensor) -> float:
    return ((found - expected).norm() / expected.norm()).item()


def compare(found: dict[str, Tensor], method: str, over_all: bool) -> dict[str, float]:
    trainer = Trainer(method, found)
    worst = {"losses": 0.0, "gradient": 0.0, "weights": 0.0}
    for i in range(STEPS):
        given = torch.cat([found[f"grad.{i}.{name}"].flatten() for name in trainer.w])
        losses, gradient = trainer.step(found[f"weights.{i}"], given, over_all)
        worst["losses"] = max(worst["losses"], relative(found[f"loss.{i}"], losses))
        if i == 0:
            worst["gradient"] = relative(given, gradient)
    # The trunk's bias has no influence, as batch norm follows: Adam makes steps of its rounding.
    names = [name for name in trainer.w if name != "trunk.conv.bias"]
    both = [torch.cat([one.detach().flatten() for one in tensors])
            for tensors in ((found["weight." + name] for name in names), (trainer.w[name] for name in names))]
    worst["weights"] = relative(*both)
    return worst


def path_of(folder: str, method: str, over_all: bool, ranks: int) -> Path:
    """Where a net's steps are written."""
    return Path(folder) / f"{method}{' all' if over_all else ''} on {ranks}.pt"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", required=True, help="toy_step")
    parser.add_argument("--ranks", default="1,2", help="numbers of ranks")
    methods = ("equal", "uncertainty", "gradnorm", "dwa", "rlw", "imtl_l", "famo", "toy_halves", *OF_LOSSES,
               *GRADIENT_METHODS)
    parser.add_argument("--methods", nargs="+", choices=methods, default=methods, help="these only")
    arguments = parser.parse_args()
    environment = os.environ | {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    wrong = 0
    print(f"{'worst deviation':24}{'losses':>12}{'gradient':>12}{'weights':>12}")
    with tempfile.TemporaryDirectory(prefix="xtasc-toy-") as name:
        cases = [(m, over_all, int(ranks)) for m in arguments.methods for over_all in (False, True)
                 for ranks in arguments.ranks.split(",") if not over_all or (m in GRAM_METHODS and ranks == "1")]
        for ranks, of_ranks in itertools.groupby(sorted(cases, key=lambda case: case[2]), key=lambda case: case[2]):
            command = ["mpirun", "--quiet", "-np", str(ranks), "--oversubscribe", "--bind-to", "none"] if ranks > 1 else []
            command += [arguments.program]
            for method, over_all, _ in of_ranks:
                command += [str(path_of(name, method, over_all, ranks)), str(STEPS), "model.system=toy",
                            f"weighting.method={method}", *SETTINGS.get(method, []),
                            *(["weighting.parameters=all"] if over_all else []), "--"]
            result = subprocess.run(command[:-1], capture_output=True, text=True, check=False, env=environment, timeout=900)
            if result.returncode != 0:
                print(f"{ranks} rank(s), exit code {result.returncode}: {result.stderr.strip()[-2000:]}")
                return 1
        for method, over_all, ranks in cases:
            worst = compare(torch.load(path_of(name, method, over_all, ranks), weights_only=True), method, over_all)
            broken = any(not value < TOLERANCE for value in worst.values())
            wrong += broken
            print(f"{method + (' all' if over_all else ''):17}{ranks} rank{'s' if ranks > 1 else ' '}"
                  + "".join(f"{value:>12.1e}" for value in worst.values()) + ("  BROKEN" if broken else ""), flush=True)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
