"""lambda = 1 / sum_k w_k N(x; m_k, C_k), trained by stochastic ascent on the dual objective.

It begins as 1 / Z of the q that is fitted by expectation and maximisation (`mixture_em`), which
minimises -E log Z, not the bound. The ascent then takes from the largest values of c what that fit
has left there: with points y_j where c is large, weights u_j = softmax(log c(y_j) / tau),

    E log lambda(X) - sum_j u_j log c(y_j),   c(y) = mean_i lambda(x_i) exp(-beta |x_i - y|^2),

on fresh draws at every step, the points moved by mean shift on other draws. It is kept where its
F_lo is the larger one on draws that it has not seen.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from rdbench.distortions import SquaredError
from rdbench.estimators.csiszar_dual.atoms import cut_short
from rdbench.fitting.duals import bounded
from rdbench.fitting.samples import Sample, draws_for_bounds
from rdbench.fitting.training import cosine
from rdbench.inference.components import choose_observed
from rdbench.inference.reproduction import fit_observed, gaussian, moments
from rdbench.inference.scaling import Scaling, fit_scaling
from rdbench.inference.supremum import Tilted, ascend
from rdbench.sources.mixture import LOG_2PI, GaussianMixture
from rdbench.types import DualBound, Monitor, Refusal, Unsupported, View

if TYPE_CHECKING:
    from rdbench.estimators.csiszar_dual import CsiszarDual

_CHOSEN_ON, _HELD_OUT = 20_000, 10_000
_ROUNDS, _TOLERANCE = 60, 1e-6
_MOST_TERMS = 5_000_000  # components times draws of expectation and maximisation
_ACTIVE, _REFRESH = 96, 15
_TEMPERATURE = 0.01
_PER_RATE, _MOST_BATCH = 600.0, 24_000
_HIGHEST = 3.5  # nats of rate: above, c of a batch is noise
_UNCAPPED = 0.999
_MEAN = 0.95


def fit(
    view: View,
    betas: Sequence[float],
    generator: Generator,
    monitor: Monitor,
    settings: CsiszarDual,
) -> Iterator[DualBound | Refusal]:
    """The bounds of a source on R^d under squared error, from the largest slope down.

    Args:
        view: the problem.
        betas: slopes, descending.
        generator: of starts and minibatches.
        monitor: may end the fit.
        settings: numbers of draws, components and steps.

    Raises:
        Unsupported: all draws are equal, or there are too few.
    """
    effort = monitor.effort
    raw = draws_for_bounds(view, max(400, round(settings.draws * effort)))
    if len(raw) < 2 or bool((raw == raw[0]).all()):
        raise Unsupported("all draws to fit to are equal")
    scaling = fit_scaling(raw[:_CHOSEN_ON], view.distortion)
    x = scaling.forward(raw)
    judged = draws_for_bounds(view, max(400, round(settings.judged_on * effort)))
    fixed = view.training is not None
    sample = Sample.of(scaling.forward(judged), generator, fixed=fixed)
    first = min(_CHOSEN_ON, max(1, len(x) * 2 // 3))
    least = 0.5 / scaling.beta(betas[0]) if betas else 1.0
    choice = choose_observed(
        x[:first],
        x[first : first + _HELD_OUT],
        least,
        settings.components,
        generator,
        go_on=lambda: monitor.advance(0.0),
    )
    observed = choice.mixture
    monitor.count(parameters=choice.parameters)
    rows = x if observed.size == 1 else x[: _MOST_TERMS // observed.size]
    for rung, given in enumerate(betas):
        beta = scaling.beta(given)
        least, go_on = 0.5 / beta, monitor.advance(rung / len(betas))
        if observed.size == 1:
            observed = gaussian(moments(rows), least)
        elif go_on:
            start, tied = observed, choice.tied
            observed = fit_observed(
                rows, start, least, tied=tied, iterations=_ROUNDS, tolerance=_TOLERANCE
            )

        def judged_of(dual: Kernels, beta: float = beta) -> DualBound:
            return bounded(
                beta,
                dual,
                sample,
                view.distortion,
                generator,
                peaks=rows[:_ACTIVE],
                made_of="sum of Gaussian kernels",
            )

        dual, whole = Kernels.of(observed), go_on
        found = judged_of(dual)
        steps = max(1, round(settings.steps * effort))
        if go_on and observed.size > 1 and dual.rate(rows, beta) < _HIGHEST:
            trained, whole = _ascent(dual, rows, beta, steps, settings, generator, monitor)
            found = max(found, judged_of(trained), key=lambda bound: bound.claim)
        found = back(found, given, scaling)
        yield found if whole else cut_short(found)


def back(bound: DualBound, beta: float, scaling: Scaling) -> DualBound:
    """A bound in standard coordinates as one in the source's; F_lo does not change."""
    inner = bound.log_lambda
    return DualBound(
        beta,
        lambda x: inner(scaling.forward(x)),
        scaling.backward(bound.peaks),
        bound.claim,
        bound.made_of,
        bound.claim_side,
        bound.status,
        bound.reason,
    )


class Kernels(torch.nn.Module):
    """log lambda(x) = -logsumexp_k (a_k + log det P_k - |P_k (x - m_k)|^2 / 2), P upper triangular.

    Called on (n, d) it gives (n,).
    """

    def __init__(
        self, weights: Tensor, means: Float[Tensor, "k d"], roots: Float[Tensor, "k d d"]
    ) -> None:
        """Parameters from log weights, means, and roots of the precisions."""
        super().__init__()
        self.weights = torch.nn.Parameter(weights.clone())
        self.means = torch.nn.Parameter(means.clone())
        self.roots = torch.nn.Parameter(roots.clone())

    @classmethod
    def of(cls, mixture: GaussianMixture) -> Kernels:
        """Those of a mixture."""
        roots = torch.linalg.cholesky(torch.linalg.inv(mixture.covs)).transpose(-1, -2)
        return cls(mixture.weights.log(), mixture.means, roots)

    def forward(self, x: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
        """log lambda, of a density: 1 / p_mixture."""
        roots = self.roots.triu()
        z = torch.einsum("nd,ked->nke", x, roots) - torch.einsum("kd,ked->ke", self.means, roots)
        logdet = roots.diagonal(dim1=-2, dim2=-1).abs().log().sum(-1)
        terms = self.weights + logdet - 0.5 * z.square().sum(-1)
        return 0.5 * x.shape[1] * LOG_2PI - torch.logsumexp(terms, 1)

    @torch.no_grad()
    def rate(self, x: Float[Tensor, "n d"], beta: float) -> float:
        """About R: -E log Z less the d / 2 of beta D."""
        d = x.shape[1]
        mean = float(self(x[:4000]).mean())
        return mean - 0.5 * d * math.log(math.pi / beta) - 0.5 * d


def _ascent(
    start: Kernels,
    x: Float[Tensor, "n d"],
    beta: float,
    steps: int,
    settings: CsiszarDual,
    generator: Generator,
    monitor: Monitor,
) -> tuple[Kernels, bool]:
    """The trained kernels, a running mean of the last ones, and whether the budget lasted."""
    model = Kernels(start.weights.data, start.means.data, start.roots.data)
    mean = Kernels(start.weights.data, start.means.data, start.roots.data)
    rate = max(start.rate(x, beta), 0.0)
    batch = int(min(max(settings.batch, _PER_RATE * math.exp(rate)), _MOST_BATCH, len(x)))
    with torch.no_grad():
        cap = float(model(x[:_CHOSEN_ON]).quantile(_UNCAPPED))
    adam = torch.optim.Adam(model.parameters(), lr=settings.learning_rate, betas=(0.9, 0.99))
    schedule = torch.optim.lr_scheduler.LambdaLR(adam, lambda i: cosine(i / steps))
    y = x[:0]
    for step in range(steps):
        if not monitor.advance(step / steps):
            return mean, False
        rows = torch.randint(len(x), (batch,), generator=generator, device=generator.device)
        part = x[rows.to(x.device)]
        if step % _REFRESH == 0:
            y = _active(model, part, cap, beta, y)
        values = model(part).clamp(max=cap)
        rho = torch.cdist(part, y).square()
        log_c = torch.logsumexp(values[:, None] - beta * rho, 0) - math.log(batch)
        share = torch.softmax(log_c.detach() / _TEMPERATURE, 0)
        loss = share @ log_c - values.mean()
        adam.zero_grad()
        loss.backward()
        adam.step()
        schedule.step()
        monitor.count(gradient_steps=1)
        with torch.no_grad():
            weight = max(1.0 - _MEAN, 1.0 / (step + 1))
            for old, new in zip(mean.parameters(), model.parameters(), strict=True):
                old.lerp_(new, weight)
    return mean, True


@torch.no_grad()
def _active(
    model: Kernels, x: Float[Tensor, "n d"], cap: float, beta: float, before: Float[Tensor, "m d"]
) -> Float[Tensor, "k d"]:
    """Points where c is large now: those from before, and symbols, a few steps uphill."""
    values = model(x).clamp(max=cap)
    c = Tilted(x, values - math.log(len(x)), beta, SquaredError())
    starts = torch.cat([before, x[: 2 * _ACTIVE], x[values.topk(min(len(x), _ACTIVE)).indices]])
    found, _ = ascend(c, starts, 5, _ACTIVE, 1e-4)
    return found
