"""The lower bound as published: a network log u(x) = -log lambda(x) (Yang and Mandt 2022).

Algorithm 1: of k symbols, C_k = max_y mean_i exp(-beta rho(x_i, y)) / u(x_i), found by gradient
ascent from the best of the symbols; one step of Adam on

    -E log u(X) - E C_k / alpha - log alpha + 1,

a lower bound of -E log u - log E C_k that is unbiased in C_k; alpha follows E C_k.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from rdbench.distortions import SquaredError
from rdbench.estimators.csiszar_dual.atoms import cut_short
from rdbench.estimators.csiszar_dual.mixture import back
from rdbench.fitting.samples import draws_for_bounds
from rdbench.fitting.splits import split
from rdbench.inference.scaling import fit_scaling
from rdbench.inference.supremum import Tilted, ascend
from rdbench.types import DualBound, Monitor, Refusal, Unsupported, View

_RATE, _CLIP = 5e-4, 100.0
_WIDTH, _WIDEST = 100, 1000  # of a hidden layer: per dimension, and at most
_STARTS, _FOLLOWED, _STEP, _STANDS = 10, 1000, 1e-2, 1e-6
_KEPT, _LARGEST_CHANGE, _APART = 0.2, 1.0, 10.0
_SAMPLES = 2  # C_k a step
_JUDGED = 60  # C_k of the claim
_WARM = 10_000
"""Draws that give centre and scale."""


def fit(
    view: View,
    betas: Sequence[float],
    generator: Generator,
    monitor: Monitor,
    steps: int,
    batch: int,
) -> Iterator[DualBound | Refusal]:
    """A network of its own for every slope.

    Args:
        view: the problem, squared error on R^d.
        betas: slopes.
        generator: of the weights.
        monitor: may end the fit.
        steps: of Adam, times the effort.
        batch: k.

    Raises:
        Unsupported: all draws are equal.
    """
    draws = split(view, generator)
    warm = draws_for_bounds(view, _WARM)
    if len(warm) < 2 or bool((warm == warm[0]).all()):
        raise Unsupported("all draws to fit to are equal")
    scaling = fit_scaling(warm, view.distortion)
    most = max(1, round(steps * monitor.effort))
    for rung, given in enumerate(betas):
        beta = scaling.beta(given)
        net = _network(view.dim, generator)
        monitor.count(parameters=sum(p.numel() for p in net.parameters()))
        adam = torch.optim.Adam(net.parameters(), lr=_RATE)
        log_alpha: float | None = None
        before = 0.0
        whole = True
        for step in range(most):
            if not monitor.advance((rung + step / most) / len(betas)):
                whole = False
                break
            for group in adam.param_groups:
                group["lr"] = _RATE * 0.2 ** _stage(step / most)
            parts = [scaling.forward(draws.sample(batch)) for _ in range(_SAMPLES)]
            log_us = [_log_u(net, x) for x in parts]
            log_cs = [
                _log_c_of(x, u, _largest(x, u.detach(), beta), beta)
                for x, u in zip(parts, log_us, strict=True)
            ]
            log_c = torch.logsumexp(torch.stack(log_cs), 0) - math.log(_SAMPLES)
            if log_alpha is None:
                log_alpha = before = float(log_c.detach())
            elif abs(log_alpha - before) <= _APART:
                mix = torch.tensor([log_alpha + math.log(_KEPT), before + math.log1p(-_KEPT)])
                log_alpha = float(torch.logsumexp(mix, 0))
            held = log_c.clamp(before - _LARGEST_CHANGE, before + _LARGEST_CHANGE)
            before = float(held.detach())
            loss = torch.cat(log_us).mean() + torch.exp(held - log_alpha) + log_alpha - 1.0
            adam.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(net.parameters(), _CLIP)
            adam.step()
            monitor.count(gradient_steps=1)
        found = _bound(net, beta, [scaling.forward(draws.claim(batch)) for _ in range(_JUDGED)])
        found = back(found, given, scaling)
        yield found if whole else cut_short(found)


def _stage(done: float) -> int:
    """How often the learning rate has been cut: at 1/2, 3/4 and 7/8."""
    return sum(done >= end for end in (0.5, 0.75, 0.875))


def _network(dim: int, generator: Generator) -> torch.nn.Sequential:
    """Three hidden layers, Glorot's uniform weights, no biases at first."""
    width = min(_WIDTH * dim, _WIDEST)
    sizes = (dim, width, width, width, 1)
    layers: list[torch.nn.Module] = []
    for a, b in itertools.pairwise(sizes):
        layer = torch.nn.Linear(a, b, dtype=torch.float32, device=generator.device)
        reach = math.sqrt(6.0 / (a + b))
        with torch.no_grad():
            layer.weight.uniform_(-reach, reach, generator=generator)
            layer.bias.zero_()
        layers += [layer, torch.nn.SELU()]
    return torch.nn.Sequential(*layers[:-1])


def _log_u(net: torch.nn.Module, x: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
    found: Tensor = net(x.float())[:, 0].double()
    return found


def _log_c_of(
    x: Float[Tensor, "n d"], log_u: Float[Tensor, " n"], y: Float[Tensor, " d"], beta: float
) -> Tensor:
    spent = (x - y).square().sum(1)
    return torch.logsumexp(-beta * spent - log_u, 0) - math.log(len(x))


def _largest(
    x: Float[Tensor, "n d"], log_u: Float[Tensor, " n"], beta: float
) -> Float[Tensor, " d"]:
    """y of the largest c that Adam finds from the best symbols."""
    among = torch.logsumexp(-beta * torch.cdist(x, x).square() - log_u[:, None], 0)
    y = x[among.topk(min(_STARTS, len(x))).indices].clone().requires_grad_()
    adam = torch.optim.Adam([y], lr=_STEP)
    before = math.inf
    for _ in range(_FOLLOWED):
        log_c = torch.logsumexp(-beta * torch.cdist(x, y).square() - log_u[:, None], 0)
        loss = -log_c.sum()
        if abs(before - float(loss.detach())) < _STANDS:
            break
        before = float(loss.detach())
        adam.zero_grad()
        loss.backward()
        adam.step()
    with torch.no_grad():
        log_c = torch.logsumexp(-beta * torch.cdist(x, y).square() - log_u[:, None], 0)
        return y.detach()[log_c.argmax()]


@torch.no_grad()
def _bound(net: torch.nn.Module, beta: float, parts: Sequence[Tensor]) -> DualBound:
    """The bound, with the claim of section A.6: the first half of the C_k give alpha."""
    log_us, log_cs, peaks = [], [], []
    for x in parts:
        log_u = _log_u(net, x)
        c = Tilted(x, -log_u - math.log(len(x)), beta, SquaredError())
        found, top = ascend(c, x, 60, len(x))  # from all of them, as published
        log_us.append(float(log_u.mean()))
        log_cs.append(float(top[0]))
        peaks.append(found[0])
    half = len(parts) // 2
    log_alpha = float(torch.logsumexp(torch.tensor(log_cs[:half]), 0)) - math.log(half)
    excess = [math.exp(min(log_c - log_alpha, 50.0)) for log_c in log_cs[half:]]
    mean_u = sum(log_us[half:]) / half
    claim = -mean_u - sum(excess) / half - log_alpha + 1.0

    def log_lambda(x: Tensor) -> Tensor:
        return -_log_u(net, x)

    return DualBound(beta, log_lambda, torch.stack(peaks), claim, "network log u")
