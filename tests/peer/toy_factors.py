"""Factors of three gradients by every weighting method that combines them, from the whole vectors: for compare_toy.py.

Nothing here knows the program's formulas: PCGrad and GradVac turn the vectors themselves, CAGrad and MGDA are searched on
the simplex and finished by Newton's method, IMTL-G is its paper's linear system, FairGrad and Nash-MTL are found by
bisection of one factor after the other, Aligned-MTL by singular vectors, UPGrad by projection onto the dual cone.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import torch
from torch import Tensor


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
    if method in ("fairgrad", "nash"):
        return 3 * fair(gram, 2.0) if method == "fairgrad" else fair(gram, 1.0)
    if method == "aligned":
        u, s, _ = torch.linalg.svd(g, full_matrices=False)
        return s.min() * (u / s) @ u.sum(0)
    if method == "upgrad":
        return sum(onto_dual_cone(g, t) for t in range(3)) / 3
    u = g / g.norm(dim=1, keepdim=True)  # IMTL-G, as its paper has it
    d, v = g[0] - g[1:], u[0] - u[1:]
    rest = (g[0] @ v.T) @ torch.linalg.inv(d @ v.T)
    return torch.cat([1 - rest.sum().view(1), rest])


def fair(gram: Tensor, alpha: float) -> Tensor:
    """w with (M w)_t = w_t^(-1/alpha): one after the other by bisection, until nothing moves."""
    m, w = gram.tolist(), [1.0 / gram[t, t].item() ** 0.5 for t in range(3)]
    for _ in range(2000):
        before = list(w)
        for t in range(3):
            rest = sum(m[t][k] * w[k] for k in range(3) if k != t)
            low, high = -80.0, 80.0
            for _ in range(120):
                x = 0.5 * (low + high)
                low, high = (low, x) if m[t][t] * math.exp(x) + rest > math.exp(-x / alpha) else (x, high)
            w[t] = math.exp(low)
        if max(abs(a / b - 1) for a, b in zip(w, before)) < 1e-14:
            break
    return torch.tensor(w, dtype=torch.float64)


def onto_dual_cone(g: Tensor, t: int) -> Tensor:
    """The mixture of all that is nearest to g_t and has no negative product with any: by what is orthogonal to it."""
    for size in range(4):
        for face in itertools.combinations(range(3), size):
            mixture = torch.eye(3, dtype=torch.float64)[t]
            if face:
                on = g[list(face)]
                mixture[list(face)] += torch.linalg.solve(on @ on.T, -on @ g[t])
            added = mixture - torch.eye(3, dtype=torch.float64)[t]
            if (added > -1e-12).all() and (g @ (mixture @ g) > -1e-9 * (g * g).sum()).all():
                return mixture
    raise AssertionError("no face holds the projection")


def gradvac(g: Tensor, orders: tuple[tuple[int, ...], ...], targets: Tensor) -> tuple[Tensor, Tensor]:
    """(3) factors and (3, 3) the targets of the next step."""
    mixtures, targets = torch.eye(3, dtype=torch.float64), targets.clone()
    for i, order in enumerate(orders):
        for j in order:
            mine, h = mixtures[i] @ g, targets[i, j].clone()
            phi = (mine @ g[j]) / (mine.norm() * g[j].norm())
            if phi < h:
                mixtures[i, j] += mine.norm() * (h * (1 - phi**2).sqrt() - phi * (1 - h**2).sqrt()) / (
                    g[j].norm() * (1 - h**2).sqrt())
            targets[i, j] = 0.5 * h + 0.5 * phi
    return mixtures.sum(0), targets


def sdmgrad(g: Tensor, w: Tensor) -> tuple[Tensor, Tensor]:
    """(3) factors and (3) the shares of the next step."""
    m = g @ g.T / g.norm(dim=1).mean() ** 2
    velocity = torch.zeros(3, dtype=torch.float64)
    for _ in range(20):
        velocity = 0.5 * velocity + m @ w + 0.3 * m.mean(1)
        y = w - 10.0 * velocity
        low, high = y.min() - 1, y.max()  # what all lose, so that what is left of them adds up to 1
        for _ in range(200):
            middle = (low + high) / 2
            low, high = (middle, high) if (y - middle).clamp_min(0).sum() > 1 else (low, middle)
        w = (y - low).clamp_min(0)
    return 3 * (w + 0.1) / 1.3, w
