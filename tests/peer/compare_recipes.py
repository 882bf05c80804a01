"""Compares 50 training steps by each optimizer, schedule and form of a step with PyTorch's own, in fp64.

    python tests/peer/compare_recipes.py --program build/release/tests/toy_step [--cases NAME ...]

The network and its losses are those of compare_toy.py. Adam, AdamW, SGD, clip_grad_norm_ and the schedulers are
torch.optim's and torch.nn.utils', none of them written again here. A batch in pieces (train.accumulate) is the loss of
the pieces' predictions put together again, so that batch norm alone sees that they are pieces. Losses of all steps and
the weights after them agree within 1e-9.

Exit code 0: all agree; 1: something does not; 77: this Python has no torch (ctest: SKIP_RETURN_CODE).
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field

try:
    import torch
except ImportError:
    print("skipped: this Python has no torch")
    sys.exit(77)

from torch import Tensor
from torch.optim import lr_scheduler

from compare_toy import TASKS, relative, task_losses

STEPS, STEPS_AN_EPOCH, RATE, TOLERANCE = 50, 5, 1e-3, 1e-9


@dataclass(frozen=True)
class Case:
    """What toy_step is told of [train], and on how many ranks."""

    train: dict[str, object] = field(default_factory=dict)
    method: str = "equal"
    ranks: int = 1

    def of(self, key: str, default: object) -> object:
        return self.train.get(key, default)


CASES = {
    "adam_step": Case({"weight_decay": 0.05, "lr_step": 2, "lr_gamma": 0.7, "warmup_steps": 7}),
    "adamw_poly": Case({"optimizer": "adamw", "weight_decay": 0.05, "betas": [0.8, 0.95], "schedule": "poly",
                        "poly_power": 2.0, "warmup_steps": 7}, "uncertainty"),
    "sgd_cosine": Case({"optimizer": "sgd", "weight_decay": 0.05, "learning_rate": 0.02, "schedule": "cosine",
                        "warmup_steps": 7}, "uncertainty"),
    "sgd_clip": Case({"optimizer": "sgd", "momentum": 0.0, "learning_rate": 0.02, "schedule": "constant",
                      "warmup_steps": 7, "clip_norm": 0.5}),
    "pieces": Case({"accumulate": 3}, "uncertainty"),
    "all_on_ranks": Case({"accumulate": 2, "optimizer": "adamw", "weight_decay": 0.05, "schedule": "cosine",
                          "warmup_steps": 7, "clip_norm": 0.5}, "imtl_l", ranks=2),
}
LONG_CASES = {
    "adamw": Case({"optimizer": "adamw", "weight_decay": 0.05}),
    "sgd": Case({"optimizer": "sgd", "weight_decay": 0.05, "learning_rate": 0.02}),
    "sgd_plain": Case({"optimizer": "sgd", "momentum": 0.0, "learning_rate": 0.02}),
    "cosine": Case({"schedule": "cosine"}),
    "poly": Case({"schedule": "poly"}),
    "clip": Case({"clip_norm": 0.5}),
    "pieces_of_sgd": Case({"accumulate": 3, "optimizer": "sgd", "learning_rate": 0.02}, "uncertainty"),
    "pieces_on_ranks": Case({"accumulate": 3, "optimizer": "sgd", "learning_rate": 0.02}, "uncertainty", ranks=2),
}


def make_optimizer(case: Case, weights: list[Tensor], own: Tensor) -> torch.optim.Optimizer:
    """own: what the weighting method trains, without weight decay."""
    groups = [{"params": weights, "weight_decay": case.of("weight_decay", 0.0)}, {"params": [own], "weight_decay": 0.0}]
    rate = case.of("learning_rate", RATE)
    if case.of("optimizer", "adam") == "sgd":
        return torch.optim.SGD(groups, lr=rate, momentum=case.of("momentum", 0.9))
    kind = torch.optim.AdamW if case.of("optimizer", "adam") == "adamw" else torch.optim.Adam
    return kind(groups, lr=rate, betas=case.of("betas", [0.9, 0.99]))


def make_schedulers(case: Case, optimizer: torch.optim.Optimizer) -> list[tuple[int, lr_scheduler.LRScheduler]]:
    """Each with the number of steps after which it is told."""
    warmup, schedule = case.of("warmup_steps", 0), case.of("schedule", "step")
    rising = lr_scheduler.LinearLR(optimizer, 1 / warmup, total_iters=warmup - 1) if warmup else None
    if schedule == "step":
        falling = lr_scheduler.StepLR(optimizer, case.of("lr_step", 80), case.of("lr_gamma", 0.5))
        return [(STEPS_AN_EPOCH, falling)] + ([(1, rising)] if rising else [])
    left = STEPS - warmup
    falling = {"cosine": lambda: lr_scheduler.CosineAnnealingLR(optimizer, left),
               "poly": lambda: lr_scheduler.PolynomialLR(optimizer, left, case.of("poly_power", 0.9)),
               "constant": lambda: lr_scheduler.ConstantLR(optimizer, 1.0)}[schedule]()
    return [(1, lr_scheduler.SequentialLR(optimizer, [rising, falling], [warmup]) if rising else falling)]


def pieces(count: int, images: int) -> list[slice]:
    """Consecutive, sizes differing by at most one."""
    ends = [images * k // count for k in range(count + 1)]
    return [slice(a, b) for a, b in zip(ends, ends[1:])]


def run_peer(case: Case, given: dict[str, Tensor]) -> tuple[list[Tensor], dict[str, Tensor]]:
    weights = {k[8:]: v.clone().requires_grad_() for k, v in given.items() if k.startswith("weight0.")}
    own = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    optimizer = make_optimizer(case, list(weights.values()), own)
    schedulers = make_schedulers(case, optimizer)
    parts = pieces(case.of("accumulate", 1), len(given["image"]))
    targets = {t: given["target." + t] for t in TASKS}
    totals = []
    for step in range(STEPS):
        terms, losses = task_losses(weights, given["image"], targets, parts)
        total = {"equal": lambda: losses.sum(), "uncertainty": lambda: (0.5 * torch.exp(-own) * losses + own).sum(),
                 "imtl_l": lambda: (torch.exp(own) * losses - own).sum()}[case.method]()
        optimizer.zero_grad()
        total.backward()
        if case.of("clip_norm", 0.0) > 0:
            torch.nn.utils.clip_grad_norm_(weights.values(), case.of("clip_norm", 0.0))
        optimizer.step()
        for every, scheduler in schedulers:
            if (step + 1) % every == 0:
                scheduler.step()
        totals.append(torch.cat([terms, total.view(1)]).detach())
    return totals, weights


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", required=True, help="toy_step")
    every = CASES | LONG_CASES
    default = every if os.environ.get("XTASC_TESTS") == "long" else CASES
    parser.add_argument("--cases", nargs="+", choices=every, default=list(default), help="these only")
    arguments = parser.parse_args()
    environment = os.environ | {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
                                "OMP_NUM_THREADS": "1"}
    torch.set_num_threads(1)
    wrong = 0
    print(f"{'worst deviation':24}{'losses':>12}{'weights':>12}")
    with tempfile.TemporaryDirectory(prefix="xtasc-recipes-") as name:
        for ranks in sorted({every[word].ranks for word in arguments.cases}):
            command = ["mpirun", "--quiet", "-np", str(ranks), "--oversubscribe", "--bind-to", "none"] if ranks > 1 else []
            command += [arguments.program]
            for word in arguments.cases:
                case = every[word]
                if case.ranks == ranks:
                    command += [f"{name}/{word}.pt", str(STEPS), "model.system=toy", f"weighting.method={case.method}",
                                "run.threads=1", *(f"train.{key}={value}" for key, value in case.train.items()), "--"]
            result = subprocess.run(command[:-1], capture_output=True, text=True, check=False, env=environment, timeout=900)
            if result.returncode != 0:
                print(f"{ranks} rank(s), exit code {result.returncode}: {result.stderr.strip()[-2000:]}")
                return 1
        for word in arguments.cases:
            case = every[word]
            found = torch.load(f"{name}/{word}.pt", weights_only=True)
            totals, weights = run_peer(case, found)
            losses = max(relative(found[f"loss.{i}"], totals[i]) for i in range(STEPS))
            # The trunk's bias has no influence, as batch norm follows: Adam makes steps of its rounding.
            names = [name for name in weights if name != "trunk.conv.bias"]
            moved = [torch.cat([tensors[prefix + name].detach().flatten() for name in names])
                     for prefix, tensors in (("weight.", found), ("", weights))]
            deviation = relative(*moved)
            broken = not (losses < TOLERANCE and deviation < TOLERANCE)
            wrong += broken
            print(f"{word:24}{losses:>12.1e}{deviation:>12.1e}{'  BROKEN' if broken else ''}", flush=True)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
