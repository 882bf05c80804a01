"""Compares the weighting methods in `xtasc-inspect step` with their definitions in PyTorch, in fp64.

    python tests/peer/compare_weighting.py --program build/release/bin/xtasc-inspect [--methods NAME ...]

The peer takes each task's gradient from one whole graph (no cut at the encoder), as vectors, and combines them by the
methods' definitions: projections for PCGrad, a search over the mixtures for CAGrad and MGDA, the linear system for
IMTL-G, automatic differentiation through the softmax for FAMO. The first gradients agree within 1e-7 (a search finds a
flat minimum to the root of the rounding), losses over three Adam steps on the same batch within 1e-6.

Exit code 0: all agree; 1: something does not; 77: this Python has no torch (ctest: SKIP_RETURN_CODE).
"""

from __future__ import annotations

import argparse
import math
import os
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

try:
    import torch
except ImportError:
    print("skipped: this Python has no torch")
    sys.exit(77)

from torch import Tensor, nn

from compare_step import Case, command_line, random_net, random_samples, relative, run_program, save_weights
from xtasc_peer import Options, losses, make_optimizer, task_losses

STEPS = 3
OPTIONS = Options(encoder="resnet18", lambda_1=0.2, lambda_2=0.35, decoder_width=32, ttnet_widths=(16, 32, 64))
Combine = Callable[[Tensor, Tensor], tuple[float, float]]


def both_losses(net: nn.Module, samples: dict[str, Tensor]) -> Tensor:
    """(2): L_seg and L_depth of eq. 11."""
    return torch.stack(task_losses(net.options, losses(net.options, net(samples["image"]), samples)))



# ---- the factors of two vectors --------------------------------------------------------------------------------------
def best_mixture(value: Callable[[float], float]) -> float:
    """x in [0, 1] of the smallest value of a convex function, by ternary search."""
    low, high = 0.0, 1.0
    for _ in range(120):
        a, b = low + (high - low) / 3, high - (high - low) / 3
        low, high = (low, b) if value(a) < value(b) else (a, high)
    return (low + high) / 2


def pcgrad(g1: Tensor, g2: Tensor) -> tuple[float, float]:
    conflict = min(0.0, (g1 @ g2).item())
    return 1 - conflict / (g1 @ g1).item(), 1 - conflict / (g2 @ g2).item()


def mixture_norm(g1: Tensor, g2: Tensor) -> Callable[[float], float]:
    """|x g1 + (1 - x) g2| as a function of x; from the dot products, since a search asks for it often."""
    a, b, d = (g1 @ g1).item(), (g1 @ g2).item(), (g2 @ g2).item()
    return lambda x: math.sqrt(x * x * a + 2 * x * (1 - x) * b + (1 - x) ** 2 * d)


def cagrad(g1: Tensor, g2: Tensor, c: float = 0.4) -> tuple[float, float]:
    g0 = (g1 + g2) / 2
    norm, radius = mixture_norm(g1, g2), c * g0.norm().item()
    along1, along2 = (g1 @ g0).item(), (g2 @ g0).item()
    x = best_mixture(lambda y: y * along1 + (1 - y) * along2 + radius * norm(y))
    pull = radius / (x * g1 + (1 - x) * g2).norm().item()
    return 2 * (0.5 + pull * x) / (1 + c * c), 2 * (0.5 + pull * (1 - x)) / (1 + c * c)


def mgda(g1: Tensor, g2: Tensor) -> tuple[float, float]:
    x = best_mixture(mixture_norm(g1, g2))
    return x, 1 - x


def mgda_l2(g1: Tensor, g2: Tensor) -> tuple[float, float]:
    n1, n2 = g1.norm().item(), g2.norm().item()
    x, y = mgda(g1 / n1, g2 / n2)
    return x / n1, y / n2


def imtl_g(g1: Tensor, g2: Tensor) -> tuple[float, float]:
    u = g1 / g1.norm() - g2 / g2.norm()
    a2 = ((g1 @ u) / ((g1 - g2) @ u)).item()
    return 1 - a2, a2


# ---- training --------------------------------------------------------------------------------------------------------
def flat(gradients: tuple[Tensor | None, ...], parameters: list[Tensor]) -> Tensor:
    """One vector; zeros where a task does not reach a parameter."""
    return torch.cat([(torch.zeros_like(p) if g is None else g).flatten() for g, p in zip(gradients, parameters)])


def set_gradient(parameters: list[Tensor], vector: Tensor) -> None:
    for p, piece in zip(parameters, vector.split([p.numel() for p in parameters])):
        p.grad = piece.view_as(p).clone()


def run_gradient_method(net: nn.Module, samples: dict[str, Tensor], combine: Combine, over_all: bool) -> dict[str, Tensor]:
    named = dict(net.named_parameters())
    parameters = list(named.values())
    shared = torch.cat([torch.full((p.numel(),), n.startswith("encoder.")) for n, p in named.items()])
    own = torch.cat([torch.full((p.numel(),), n.startswith("weighting.")) for n, p in named.items()])
    optimizer = make_optimizer(net)
    outputs: dict[str, Tensor] = {}
    totals = []
    for step in range(STEPS):
        tasks = both_losses(net, samples)
        if net.options.has_trained_weighting:
            s = net.weighting.log_variance
            tasks = 0.5 * torch.exp(-s) * tasks + s
        reached = (torch.autograd.grad(t, parameters, retain_graph=True, allow_unused=True) for t in tasks)
        g1, g2 = (flat(gradients, parameters) for gradients in reached)
        among = ~own if over_all else shared
        a1, a2 = combine(g1[among], g2[among])
        combined = a1 * g1 + a2 * g2
        set_gradient(parameters, torch.where(among, combined, g1 + g2))
        if step == 0:
            outputs = {f"grad.{name}": p.grad.clone() for name, p in named.items()}
        totals.append(tasks.detach().sum())
        optimizer.step()
    return outputs | {"losses": torch.stack(totals)}


def run_famo(net: nn.Module, samples: dict[str, Tensor]) -> dict[str, Tensor]:
    named = dict(net.named_parameters())
    logits = torch.zeros(2, dtype=torch.float64, requires_grad=True)
    optimizer = make_optimizer(net)
    logits_optimizer = torch.optim.Adam([logits], lr=0.025, weight_decay=0.001)
    outputs: dict[str, Tensor] = {}
    totals = []
    for step in range(STEPS):
        before = both_losses(net, samples) + 1e-8
        shares = logits.softmax(0).detach()
        total = (shares * before.log()).sum() / (shares / before).sum().detach()
        optimizer.zero_grad()
        total.backward()
        gradients = [p.grad for p in net.parameters() if p.grad is not None]
        norm = torch.sqrt(sum((g**2).sum() for g in gradients))
        for g in gradients:  # to the norm itself: torch's clip_grad_norm_ divides by norm + 1e-6
            g.mul_(min(1.0, 1.0 / norm.item()))
        if step == 0:
            outputs = {f"grad.{name}": p.grad.clone() for name, p in named.items()}
        totals.append(total.detach())
        optimizer.step()
        after = both_losses(net, samples).detach() + 1e-8  # moves the running statistics, which training does not see
        logits_optimizer.zero_grad()
        (logits.softmax(0) * (before.detach().log() - after.log())).sum().backward()
        logits_optimizer.step()
    return outputs | {"losses": torch.stack(totals)}


NADIR = (2.5, 0.4)


def run_stch(net: nn.Module, samples: dict[str, Tensor]) -> dict[str, Tensor]:
    """Behind the warm-up, whose nadir the program reads from W.pt; mu = 1."""
    named = dict(net.named_parameters())
    optimizer = make_optimizer(net)
    outputs: dict[str, Tensor] = {}
    totals = []
    for step in range(STEPS):
        tasks = both_losses(net, samples)
        total = 2 * torch.logsumexp(torch.log(tasks / torch.tensor(NADIR, dtype=torch.float64)), 0)
        optimizer.zero_grad()
        total.backward()
        if step == 0:
            outputs = {f"grad.{name}": p.grad.clone() for name, p in named.items()}
        totals.append(total.detach())
        optimizer.step()
    return outputs | {"losses": torch.stack(totals)}


def cases() -> dict[str, tuple[list[str], Callable[[nn.Module, dict[str, Tensor]], dict[str, Tensor]]]]:
    def of(combine: Combine, over_all: bool = False) -> Callable[[nn.Module, dict[str, Tensor]], dict[str, Tensor]]:
        return lambda net, samples: run_gradient_method(net, samples, combine, over_all)

    everywhere = "weighting.parameters=all"
    return {
        "pcgrad": (["weighting.method=pcgrad"], of(pcgrad)),
        "pcgrad_all": (["weighting.method=pcgrad", everywhere], of(pcgrad, True)),
        "pcgrad_uncertainty": (["weighting.method=pcgrad", "weighting.losses=uncertainty", everywhere], of(pcgrad, True)),
        "cagrad": (["weighting.method=cagrad"], of(cagrad)),
        "mgda": (["weighting.method=mgda"], of(mgda)),
        "mgda_l2_all": (["weighting.method=mgda", "weighting.normalisation=l2", everywhere], of(mgda_l2, True)),
        "imtl_g": (["weighting.method=imtl_g"], of(imtl_g)),
        "famo": (["weighting.method=famo"], run_famo),
        "stch": (["weighting.method=stch"], run_stch),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", required=True, help="xtasc-inspect")
    # The toy's peer (compare_toy.py) has every method, for three tasks: here a witness of each closed form of two.
    default = list(cases()) if os.environ.get("XTASC_TESTS") == "long" else ["cagrad", "mgda_l2_all", "imtl_g", "pcgrad_uncertainty", "stch"]
    parser.add_argument("--methods", nargs="+", choices=list(cases()), default=default, help="these only")
    arguments = parser.parse_args()
    wrong = 0
    print(f"{'worst deviation':16}{'gradient':>12}{'losses':>12}")
    with tempfile.TemporaryDirectory(prefix="xtasc-peer-") as name:
        folder = Path(name)
        config = folder / "peer.toml"
        config.write_text('[run]\nname = "peer"\n')
        for method in arguments.methods:
            settings, run_peer = cases()[method]
            options = replace(OPTIONS, weighting="uncertainty" if method.endswith("_uncertainty") else "equal")
            net = random_net(options)
            samples = random_samples(OPTIONS.num_classes, (32, 64))
            save_weights(net, "dict", folder / "W.pt")
            if method == "stch":
                torch.save(torch.load(folder / "W.pt") | {"weighting.nadir": torch.tensor(NADIR, dtype=torch.float64)}, folder / "W.pt")
            torch.save(samples, folder / "S.pt")
            samples = {k: v.double() if v.is_floating_point() else v for k, v in samples.items()}
            expected = run_peer(net.double().train(), samples)
            case = Case(method, replace(OPTIONS, weighting="equal"), steps=STEPS)
            command = command_line(arguments.program, config, case, folder, ranks=1)
            for setting in settings:
                command += ["--set", setting]
            result = run_program(command, 1)
            if result.returncode != 0:
                print(f"{method}: exit code {result.returncode}: {result.stderr.strip()[-2000:]}")
                return 1
            found = torch.load(folder / "O.pt")
            gradients = [n for n in expected if n.startswith("grad.")]
            one_vector = [torch.cat([tensors[n].flatten() for n in gradients]) for tensors in (found, expected)]
            gradient = relative(*one_vector)
            loss = relative(found["losses"], expected["losses"])
            broken = gradient > 1e-7 or loss > 1e-6
            wrong += broken
            print(f"{method:16}{gradient:>12.1e}{loss:>12.1e}{'  BROKEN' if broken else ''}", flush=True)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
