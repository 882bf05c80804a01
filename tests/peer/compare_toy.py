"""Compares some training steps of three tasks with PyTorch, in fp64, for every weighting method, on one and two ranks.

    python tests/peer/compare_toy.py --program build/release/tests/toy_step [--ranks 1,2] [--methods NAME ...]

The network is tests/toy's: no encoder that all share, and a convolution that all tasks share behind their own branches.
The peer is written from the definitions alone: its gradients are torch.autograd's, whole vectors, and it combines them
by projections (PCGrad, in every order that could have been drawn), by a search over the simplex that Newton's method
finishes (CAGrad, MGDA), by a linear system of the vectors (IMTL-G), and by differentiating through the method (GradNorm,
FAMO, uncertainty, IMTL-L). Losses, first gradients, and the weights after three Adam steps agree within 1e-9.

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

TASKS = ("seg", "depth", "flow")
PAIRS = tuple(itertools.permutations(TASKS, 2))
LAMBDAS = {"seg": 0.1, "depth": 0.2, "flow": 0.2}
STEPS, RATE, TOLERANCE = 3, 1e-3, 1e-9
EPOCH_MEANS = torch.tensor([[2.0, 2.4, 1.9], [3.0, 2.5, 2.8]], dtype=torch.float64)  # of the last epoch, the one before
GRADIENT_METHODS = ("pcgrad", "cagrad", "mgda", "imtl_g", "imtl")


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


def task_losses(w: dict[str, Tensor], image: Tensor, targets: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    """(9) terms and (3) L_i."""
    p = predictions(w, image)
    known = {t: targets[t] != 255 if t == "seg" else targets[t] > 0 for t in TASKS}
    terms = {t: held_to(t, p[t], targets[t], known[t]) for t in TASKS}
    for a, b in PAIRS:
        direct = p[b].detach().argmax(1) if b == "seg" else p[b].detach()
        terms[f"{a}_to_{b}"] = held_to(b, p[f"{a}_to_{b}"], direct, known[b])
    of_tasks = [(1 - LAMBDAS[t]) * terms[t] + LAMBDAS[t] / 2 * sum(terms[f"{t}_to_{b}"] for b in TASKS if b != t)
                for t in TASKS]
    return torch.stack(list(terms.values())), torch.stack(of_tasks)


# ---- factors of three gradients --------------------------------------------------------------------------------------
def on_simplex(value: Callable[[Tensor], Tensor]) -> Tensor:
    """x of the simplex where a convex function is smallest: a grid that closes in, then Newton's method on the face."""
    best, radius = torch.full((3,), 1 / 3, dtype=torch.float64), 1.0
    for _ in range(24):
        steps = torch.linspace(-radius, radius, 21, dtype=torch.float64)
        grid = torch.cartesian_prod(best[0] + steps, best[1] + steps)
        grid = torch.cat([grid, 1 - grid.sum(1, keepdim=True)], 1).clamp_min(0)
        grid = torch.cat([grid, best[None]]) / torch.cat([grid, best[None]]).sum(1, keepdim=True)
        best = grid[torch.stack([value(x) for x in grid]).argmin()]
        radius *= 0.45
    face = [i for i in range(3) if best[i] > 1e-5]
    directions = [torch.eye(3, dtype=torch.float64)[i] - torch.eye(3, dtype=torch.float64)[face[0]] for i in face[1:]]
    x = torch.zeros(3, dtype=torch.float64).index_copy(0, torch.tensor(face), best[face] / best[face].sum())
    if directions:
        basis = torch.stack(directions)
        for _ in range(30):
            gradient = basis @ torch.autograd.functional.jacobian(value, x)
            hessian = basis @ torch.autograd.functional.hessian(value, x) @ basis.T
            x = x - torch.linalg.solve(hessian, gradient) @ basis
    return x


def pcgrad(g: Tensor, orders: tuple[tuple[int, ...], ...]) -> Tensor:
    """(3, 3): row i is what is left of g_i, as a mixture of all."""
    mixtures = torch.eye(3, dtype=torch.float64)
    for i, order in enumerate(orders):
        for j in order:
            conflict = ((mixtures[i] @ g) @ g[j]).clamp_max(0) / (g[j] @ g[j])
            mixtures[i, j] -= conflict
    return mixtures.sum(0)


def factors(method: str, g: Tensor, orders: tuple[tuple[int, ...], ...]) -> Tensor:
    """(3), from the vectors (3, D)."""
    gram = g @ g.T
    if method == "pcgrad":
        return pcgrad(g, orders)
    if method == "cagrad":
        mean, c = g.mean(0), 0.4
        radius = c * mean.norm()
        x = on_simplex(lambda x: x @ (g @ mean) + radius * (x @ gram @ x).sqrt())
        return (1 + 3 * radius / (x @ g).norm() * x) / (1 + c * c)
    if method == "mgda":
        return on_simplex(lambda x: x @ gram @ x)
    u = g / g.norm(dim=1, keepdim=True)  # IMTL-G, as its paper has it
    d, v = g[0] - g[1:], u[0] - u[1:]
    rest = (g[0] @ v.T) @ torch.linalg.inv(d @ v.T)
    return torch.cat([1 - rest.sum().view(1), rest])


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
        return torch.ones(3, dtype=torch.float64)

    def total(self, losses: Tensor, weights: Tensor) -> Tensor:
        if self.method == "uncertainty":
            return (weights * losses + self.s).sum()
        if self.method in ("imtl_l", "imtl"):
            return (weights * losses - self.s).sum()
        if self.method == "famo":
            z, d = self.s.softmax(0), losses + 1e-8
            return (z * d.log()).sum() / (z / d).sum()
        return (weights * losses).sum()

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

    def step(self, told: Tensor, over_all: bool) -> tuple[Tensor, Tensor]:
        """\\returns terms with the total, and the gradient (D)."""
        terms, losses = self.losses()
        detached = losses.detach()
        weights = self.weights(detached, told)
        plain = self.vectors(losses)
        g = weights[:, None] * plain
        gradient = g.sum(0)
        if self.method in GRADIENT_METHODS:
            seen = g if over_all else g[:, self.shared]
            kind = "imtl_g" if self.method == "imtl" else self.method
            choices = [factors(kind, seen, orders) for orders in itertools.product(*(
                itertools.permutations([j for j in range(3) if j != i]) for i in range(3)))] if kind == "pcgrad" else [
                    factors(kind, seen, ())]
            a = min(choices, key=lambda one: (weights * one - told).abs().max().item())
            gradient = torch.where(self.shared | over_all, a @ g, gradient)
        if self.method == "famo":
            gradient = gradient * min(1.0, 1.0 / gradient.norm().item())
        self.set_gradient(gradient)
        total = self.total(detached, weights).detach()
        self.optimizer.step()
        self.move_own(detached, plain)
        return torch.cat([terms.detach(), total.view(1)]), gradient


def relative(found: Tensor, expected: Tensor) -> float:
    return ((found - expected).norm() / expected.norm()).item()


def compare(found: dict[str, Tensor], method: str, over_all: bool) -> dict[str, float]:
    trainer = Trainer(method, found)
    worst = {"losses": 0.0, "gradient": 0.0, "weights": 0.0}
    for i in range(STEPS):
        losses, gradient = trainer.step(found[f"weights.{i}"], over_all)
        worst["losses"] = max(worst["losses"], relative(found[f"loss.{i}"], losses))
        if i == 0:
            worst["gradient"] = relative(torch.cat([found["grad." + name].flatten() for name in trainer.w]), gradient)
    # The trunk's bias has no influence, as batch norm follows: Adam makes steps of its rounding.
    names = [name for name in trainer.w if name != "trunk.conv.bias"]
    both = [torch.cat([one.detach().flatten() for one in tensors])
            for tensors in ((found["weight." + name] for name in names), (trainer.w[name] for name in names))]
    worst["weights"] = relative(*both)
    return worst


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", required=True, help="toy_step")
    parser.add_argument("--ranks", default="1,2", help="numbers of ranks")
    methods = ("equal", "uncertainty", "gradnorm", "dwa", "rlw", "imtl_l", "famo", "toy_halves", *GRADIENT_METHODS)
    parser.add_argument("--methods", nargs="+", choices=methods, default=methods, help="these only")
    arguments = parser.parse_args()
    environment = os.environ | {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    wrong = 0
    print(f"{'worst deviation':24}{'losses':>12}{'gradient':>12}{'weights':>12}")
    with tempfile.TemporaryDirectory(prefix="xtasc-toy-") as name:
        output = Path(name) / "O.pt"
        cases = [(m, over_all, int(ranks)) for m in arguments.methods for over_all in (False, True)
                 for ranks in arguments.ranks.split(",") if not over_all or (m in GRADIENT_METHODS and ranks == "1")]
        for method, over_all, ranks in cases:
            command = ["mpirun", "--quiet", "-np", str(ranks), "--oversubscribe", "--bind-to", "none"] if ranks > 1 else []
            command += [arguments.program, str(output), str(STEPS), "model.system=toy", f"weighting.method={method}"]
            command += ["weighting.parameters=all"] if over_all else []
            result = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=120)
            if result.returncode != 0:
                print(f"{method}: exit code {result.returncode}: {result.stderr.strip()[-2000:]}")
                return 1
            worst = compare(torch.load(output, weights_only=True), method, over_all)
            broken = any(not value < TOLERANCE for value in worst.values())
            wrong += broken
            print(f"{method + (' all' if over_all else ''):17}{ranks} rank{'s' if ranks > 1 else ' '}"
                  + "".join(f"{value:>12.1e}" for value in worst.values()) + ("  BROKEN" if broken else ""), flush=True)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
