"""How many components the best Gaussian reproduction needs, and where its fit starts.

Every size is tried with one shared covariance and with one per component, from a batch of k-means
partitions; sizes are compared on draws that no fit has seen. See rdbench.inference.reproduction.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from rdbench.inference.reproduction import (
    Batch,
    GoOn,
    always,
    climb,
    fit_observed,
    gaussian,
    moments,
    parameters,
)
from rdbench.sources.mixture import GaussianMixture

_SIZES = (2, 3, 4, 6, 8, 12, 16, 24, 32)
_SCREEN = 4_000  # draws for the restarts; the best of them is carried on with all draws
RESTARTS = 16
"""Partitions that are tried for every number of components."""
_LLOYD = 5  # iterations of k-means; it only has to tell far modes apart
_SHORT = 20
_PER_PARAMETER = 5  # draws that have to be there for every parameter beyond those of a Gaussian
FEWEST_HELD_OUT = 3
"""With fewer held-out draws the error of a gain is noise too, and nothing is chosen by them."""
_WORK = 20_000_000  # multiplications of one short iteration, all restarts together


@dataclass(frozen=True, eq=False)
class Choice:
    """An observed mixture, and whether its components share a covariance."""

    mixture: GaussianMixture
    tied: bool

    @property
    def parameters(self) -> int:
        """How many were fitted."""
        return parameters(self.mixture.size, self.mixture.dim, self.tied)


def choose_observed(
    x: Float[Tensor, "n d"],
    held_out: Float[Tensor, "m d"],
    least: float,
    largest: int,
    generator: Generator,
    *,
    margin: float = 0.002,
    restarts: int = RESTARTS,
    go_on: GoOn = always,
) -> Choice:
    """The observed mixture that is most likely on ``held_out``, fitted to ``x``.

    A larger one has to gain ``margin`` nats, and two standard errors of the gain; two sizes in a
    row without a gain end the search, and with fewer than 3 held-out draws there is none. The
    result is a start: more draws and more iterations at the same size will improve it.

    Args:
        x: draws to fit; their order must be random.
        held_out: other draws.
        least: the least eigenvalue of a covariance, v = 1 / (2 beta) or a little more.
        largest: the most components.
        generator: picks the seeds of the partitions.
        margin: in nats.
        restarts: how many partitions are tried.
        go_on: asked between short pieces of work; on False the best so far is returned.
    """
    dim = x.shape[1]
    choice = Choice(gaussian(moments(x), least), tied=False)
    if len(held_out) < FEWEST_HELD_OUT:
        return choice
    score, failures = choice.mixture.log_prob(held_out), 0
    for size in (s for s in _SIZES if s <= largest):
        # What is fitted with fewer draws per further parameter says nothing about other draws.
        most = parameters(1, dim, False) + len(x) / _PER_PARAMETER
        kinds = [tied for tied in (True, False) if parameters(size, dim, tied) <= most]
        if not kinds or failures == 2 or not go_on():
            break
        failures += 1
        starts = _partitions(x[:_SCREEN], size, restarts, generator)
        for tied in kinds:
            start = _screened(x[:_SCREEN], starts, least, tied, go_on)
            # Steps that gain less than the draws can tell are not worth their price.
            tolerance = max(1e-4, 0.02 * parameters(size, dim, tied) / len(x))
            mixture = fit_observed(
                x, start, least, tied=tied, iterations=40, tolerance=tolerance, go_on=go_on
            )
            found = mixture.log_prob(held_out)
            gain = found - score
            error = float(gain.std(correction=0)) / math.sqrt(len(gain))
            if float(gain.mean()) > max(margin, 2.0 * error):
                choice, score, failures = Choice(mixture, tied), found, 0
    return choice


def _screened(
    x: Float[Tensor, "n d"], starts: Batch, least: float, tied: bool, go_on: GoOn
) -> GaussianMixture:
    """The best of short fits from all starts, or from as many as the work allows."""
    count, size, dim = starts.means.shape
    work = len(x) * size * (dim if tied else dim * dim)
    most = min(count, max(1, _WORK // work))
    batch = Batch(starts.weights[:most], starts.means[:most], starts.covs[:most])
    found, likelihood = climb(
        x, batch, least, tied=tied, iterations=_SHORT, tolerance=2e-3, go_on=go_on
    )
    return found[int(likelihood.argmax())]


def _partitions(x: Float[Tensor, "n d"], size: int, restarts: int, generator: Generator) -> Batch:
    """k-means partitions from k-means++ seeds (Arthur and Vassilvitskii 2007), best first.

    All components of one get its within-cluster covariance.
    """
    dim = x.shape[1]
    picks = torch.randint(len(x), (restarts, 1), generator=generator, device=x.device)
    nearest = torch.cdist(x[picks[:, 0]], x).square()
    for _ in range(size - 1):
        # A trace for every point: where few points differ, all distances may be zero.
        pick = torch.multinomial(nearest + 1e-300, 1, generator=generator)
        picks = torch.cat([picks, pick], 1)
        nearest = torch.minimum(nearest, torch.cdist(x[pick[:, 0]], x).square())
    centres = x[picks]
    overall = moments(x)
    for _ in range(_LLOYD):
        products = (x @ centres.reshape(-1, dim).T).reshape(len(x), restarts, size)
        labels = (products - 0.5 * centres.square().sum(-1)).argmax(-1)
        member = torch.nn.functional.one_hot(labels, size).to(x.dtype)
        counts = member.sum(0)
        sums = (member.reshape(len(x), -1).T @ x).reshape_as(centres)
        means = sums / counts.clamp(min=1.0)[..., None]
        centres = torch.where(counts[..., None] > 0.0, means, centres)
    weights = (counts + 1e-6) / (counts + 1e-6).sum(-1, keepdim=True)
    apart = centres - overall.mean
    within = overall.cov - torch.einsum("bk,bki,bkj->bij", weights, apart, apart)
    # An empty cluster takes more out than there is; what is negative is raised in the fit.
    order = within.diagonal(dim1=-2, dim2=-1).sum(-1).argsort()
    covs = within[:, None].expand(restarts, size, dim, dim)
    return Batch(weights[order], centres[order], covs[order])
