"""lambda = 1 / sum_j w_j exp(-beta rho(x, y_j)): of given letters and of finite sources.

The weights follow Blahut and Arimoto, w_j <- w_j c(y_j)^r, and where reproduction is free under
squared error the atoms are moved by expectation and maximisation, from every symbol: at its fixed
points c = 1 at all atoms, and sup c is one where no other y has more.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from rdbench.exponentials import log_sum_exp
from rdbench.fitting.duals import bounded
from rdbench.fitting.samples import Sample, draws_for_bounds
from rdbench.inference.plug_in import blocks, tilt
from rdbench.types import Distortion, DualBound, Monitor, Refusal, View

if TYPE_CHECKING:
    from rdbench.estimators.csiszar_dual import CsiszarDual

_MOST = 3_000  # atoms
_RELAXED, _PLAIN_STEPS = 1.5, 10
_LIGHTEST = -30.0
_SETTLED = 1e-9  # nats of F a step
_LIVELY = 1e-8  # log c may move by no more, where the weights have settled
_PER_COMPONENT = 16


def finite(
    view: View,
    betas: Sequence[float],
    generator: Generator,
    monitor: Monitor,
    iterations: int,
) -> Iterator[DualBound | Refusal]:
    """The bounds of a source whose letters and probabilities are shown.

    Args:
        view: its support and pmf are there.
        betas: slopes.
        generator: picks atoms where there are too many letters, and starts of searches.
        monitor: may end the fit.
        iterations: the most at a slope, times the effort.
    """
    assert view.support is not None
    assert view.pmf is not None
    keep = view.pmf > 0.0
    x, log_p = view.support[keep].double(), view.pmf[keep].double().log()
    sample = Sample(x, log_p, None, x[:0])
    if view.alphabet is None:
        order = torch.randperm(len(x), generator=generator, device=generator.device)
        points = x[order[:_MOST].to(x.device)]
    else:
        points = view.alphabet.double()
    most = max(1, round(iterations * monitor.effort))
    for beta in betas:
        atoms, log_w, done = _climb(view, x, log_p, points, beta, most, monitor)
        yield _bound(view, beta, atoms, log_w, sample, generator, done)


def drawn(
    view: View,
    betas: Sequence[float],
    generator: Generator,
    monitor: Monitor,
    settings: CsiszarDual,
) -> Iterator[DualBound | Refusal]:
    """The bounds of a source that is drawn from: atoms at draws, or at the letters.

    Args:
        view: the problem.
        betas: slopes.
        generator: of the draws.
        monitor: may end the fit.
        settings: the numbers of draws, atoms and iterations.
    """
    effort = monitor.effort
    count = max(200, round(0.1 * settings.draws * effort))
    x = draws_for_bounds(view, count)
    log_p = x.new_full((len(x),), -math.log(len(x)))
    draws = draws_for_bounds(view, max(200, round(settings.judged_on * effort)))
    sample = Sample.of(draws, generator, fixed=view.training is not None)
    points = x[: _PER_COMPONENT * settings.components]
    if view.alphabet is not None:
        points = view.alphabet.double()
    most = max(1, round(settings.iterations * effort))
    for beta in betas:
        atoms, log_w, done = _climb(view, x, log_p, points, beta, most, monitor)
        yield _bound(view, beta, atoms, log_w, sample, generator, done)


def _climb(
    view: View,
    x: Float[Tensor, "n d"],
    log_p: Float[Tensor, " n"],
    points: Float[Tensor, "m d"],
    beta: float,
    most: int,
    monitor: Monitor,
) -> tuple[Tensor, Tensor, bool]:
    """Atoms and log weights, and whether the budget lasted."""
    rho, p = view.distortion, log_p.exp()
    y, log_w = points, points.new_full((len(points),), -math.log(len(points)))
    moves = view.alphabet is None and rho.name == "squared_error"
    before = math.inf
    for step in range(most):
        if not monitor.advance(step / most):
            return y, log_w, False
        f, log_c, means = 0.0, [], torch.zeros_like(y)
        row = 0
        for block in blocks(rho, x, y):
            part = slice(row, row + len(block))
            row += len(block)
            exponent = -tilt(block, beta)
            log_z = log_sum_exp(exponent + log_w, 1)
            f -= float(p[part] @ log_z)
            exponent += (log_p[part] - log_z)[:, None]
            log_c.append(log_sum_exp(exponent, 0))
            if moves:
                means += exponent.exp().T @ x[part]
        c = log_sum_exp(torch.stack(log_c), 0)
        if moves:
            y = torch.where(c[:, None] > -200.0, means / c.exp()[:, None].clamp(min=1e-300), y)
        log_w = log_w + (1.0 if step < _PLAIN_STEPS else _RELAXED) * c.clamp(min=_LIGHTEST)
        log_w = torch.log_softmax(log_w, 0)
        kept = log_w > _LIGHTEST
        if not bool(kept.all()):
            y, log_w = y[kept], torch.log_softmax(log_w[kept], 0)
        if before - f < _SETTLED and float(c.max()) < _LIVELY:
            break
        before = f
    return y, log_w, True


def _bound(
    view: View,
    beta: float,
    atoms: Float[Tensor, "m d"],
    log_w: Float[Tensor, " m"],
    sample: Sample,
    generator: Generator,
    done: bool,
) -> DualBound:
    found = bounded(
        beta,
        log_lambda(view.distortion, beta, atoms, log_w),
        sample,
        view.distortion,
        generator,
        alphabet=view.alphabet,
        peaks=atoms[log_w.topk(min(len(atoms), 200)).indices],
        made_of="sum of kernels",
    )
    return found if done else cut_short(found)


def log_lambda(
    rho: Distortion, beta: float, atoms: Float[Tensor, "m d"], log_w: Float[Tensor, " m"]
) -> Callable[[Tensor], Tensor]:
    """-log sum_j w_j exp(-beta rho(x, y_j)), as a function of x."""

    def values(x: Tensor) -> Tensor:
        found = [-log_sum_exp(log_w - tilt(r, beta), 1) for r in blocks(rho, x, atoms)]
        return torch.cat(found)

    return values


def cut_short(bound: DualBound) -> DualBound:
    """The bound of a fit that the budget ended."""
    return replace(bound, status="not_converged", reason="stopped before the end of training")
