"""The Shannon lower bound where it is tight: Gaussian mixtures under squared error.

If X = Y + N with N ~ N(0, v I) independent of Y, then for every beta >= 1 / (2 v)

    F*(beta) = h(X) - (d/2) log(pi / beta),   D* = d / (2 beta),
    R* = h(X) - (d/2) log(pi e / beta),

because the optimal Z* is the density of X times (pi / beta)^(d/2). A mixture whose component
covariances all dominate v I is such a source; the optimal marginal is the mixture with I / (2
beta) taken out of every covariance. (Berger 1971, section 4.3; Linder and Zamir 1994.)
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Float
from scipy.special import entr
from torch import Generator, Tensor

from rdbench.arrays import converts, instance, number, settle, whole
from rdbench.references.ranges import checked_distortion, finite_slope
from rdbench.sources.mixture import GaussianMixture
from rdbench.types import Bracket, OutOfRange, RdbenchError, TruthPoint

_QUADRATURE_DIM = 3


@converts
@dataclass(frozen=True)
class ShannonCurve:
    """R(D) = h(X) - (d/2) log(2 pi e D / d) for beta >= ``lowest_beta``.

    ``half``: h(X) is known within so many nats, and with it R and F*.
    """

    entropy: float
    dim: int
    lowest_beta: float
    half: float = 0.0

    def __post_init__(self) -> None:
        entropy, lowest = number(self.entropy, "an entropy"), number(self.lowest_beta, "a slope")
        settle(self, entropy=entropy, dim=whole(self.dim, "a dimension"), lowest_beta=lowest)
        settle(self, half=number(self.half, "an error of an entropy"))
        finite = math.isfinite(entropy) and 0.0 <= self.half < math.inf
        if not (finite and self.dim >= 1 and 0.0 < lowest < math.inf):
            raise RdbenchError(
                "a Shannon bound needs a finite entropy, dim >= 1 and lowest_beta > 0"
            )

    @property
    def validity(self) -> str:
        """The slopes for which the bound is tight."""
        return f"beta >= {self.lowest_beta:.6g} (R >= {self._rate_at(self.lowest_beta):.6g} nats)"

    def _rate_at(self, beta: float) -> float:
        return self.entropy - 0.5 * self.dim * math.log(math.pi * math.e / beta)

    def check(self, beta: float) -> None:
        """Raises OutOfRange where the bound is not known to be tight."""
        if not self.lowest_beta * (1.0 - 1e-12) <= beta < math.inf:
            raise OutOfRange(
                f"the Shannon lower bound is tight only for {self.validity}, got beta = {beta:.6g}"
            )

    def point(self, beta: float) -> TruthPoint:
        """F*, R*, D* at slope beta."""
        self.check(beta)
        rate, spent = self._rate_at(beta), 0.5 * self.dim
        lagrangian = Bracket(rate + spent - self.half, rate + spent + self.half)
        return TruthPoint(beta, lagrangian, self._within(rate), Bracket.exact(spent / beta))

    def rate(self, distortion: float) -> Bracket:
        """R(D) = h(X) - (d/2) log(2 pi e D / d)."""
        checked_distortion(distortion)
        beta = 0.5 * self.dim / distortion
        self.check(beta)
        return self._within(self._rate_at(beta))

    def _within(self, rate: float) -> Bracket:
        return Bracket(rate - self.half, rate + self.half)

    def slope(self, rate: float) -> float:
        """beta = pi e exp(2 (R - h(X)) / d)."""
        if not math.isfinite(rate):
            raise OutOfRange(f"a rate must be finite, got {rate}")
        log_slope = math.log(math.pi * math.e) + 2.0 * (rate - self.entropy) / self.dim
        beta = finite_slope(log_slope, rate)
        self.check(beta)
        return beta


class TightBound:
    """R(D) of a source for which the Shannon bound is tight from some slope up."""

    kind: ClassVar[str] = "closed form"
    citation: ClassVar[str] = (
        "Berger, Rate Distortion Theory (1971), section 4.3; Linder and Zamir (1994)"
    )

    source: Any
    """It has a ``dim`` and a ``log_prob``."""

    @cached_property
    def curve(self) -> ShannonCurve:
        """The bound, with h(X)."""
        raise NotImplementedError

    @property
    def lowest_beta(self) -> float:
        """The slope from which the bound is tight."""
        return self.curve.lowest_beta

    @property
    def validity(self) -> str:
        """The slopes for which the bound is tight."""
        return self.curve.validity

    def point(self, beta: float) -> TruthPoint:
        """F*, R*, D* at slope beta."""
        return self.curve.point(beta)

    def rate(self, distortion: float) -> Bracket:
        """R(D)."""
        return self.curve.rate(distortion)

    def slope(self, rate: float) -> float:
        """beta at R* = rate."""
        return self.curve.slope(rate)

    def potential(self, x: Float[Tensor, "n d"], beta: float) -> Float[Tensor, " n"]:
        """-log p(x) - (d/2) log(pi / beta)."""
        self.curve.check(beta)
        constant = 0.5 * self.source.dim * math.log(math.pi / beta)
        potential: Tensor = -self.source.log_prob(x) - constant
        return potential


@converts
@dataclass(frozen=True, eq=False)
class TightShannonBound(TightBound):
    """R(D) of a Gaussian mixture for beta >= 1 / (2 v), v the smallest component variance."""

    source: GaussianMixture

    def __post_init__(self) -> None:
        instance(self.source, GaussianMixture, "the source of the Shannon bound")

    @cached_property
    def curve(self) -> ShannonCurve:
        """The bound from beta = 1 / (2 v) on."""
        lowest = 0.5 / float(self.source.variances.min())
        return ShannonCurve(mixture_entropy(self.source), self.source.dim, lowest)

    def reproduction(self, beta: float) -> GaussianMixture:
        """The optimal marginal q*."""
        self.curve.check(beta)
        return self.source.deconvolved(0.5 / beta)

    def sample_conditional(
        self, x: Float[Tensor, "n d"], k: int, beta: float, generator: Generator
    ) -> Float[Tensor, "n k d"]:
        """p*(y|x), a mixture in closed form."""
        return self.reproduction(beta).sample_conditional(x, k, beta, generator)


def mixture_entropy(mixture: GaussianMixture, refine: float = 1.0) -> float:
    """h(X) in nats, by the trapezoidal rule, for mixtures that vary in at most three directions.

    Where all components share one covariance S, whitening by S leaves standard normal noise in
    every direction orthogonal to the span of the means; only that span needs quadrature, so that
    few modes can be lifted to any dimension. The rule converges geometrically for such analytic
    integrands: the step is 0.1 standard deviations (0.25 in three directions) over ``refine``, up
    to 10 standard deviations beyond the outermost means.

    Raises:
        RdbenchError: more than three directions would need quadrature.
    """
    means, covs, shift = _reduced(mixture)
    dim = means.shape[1]
    if dim > _QUADRATURE_DIM:
        raise RdbenchError(
            "the entropy of a mixture is computed by quadrature in at most three directions; "
            f"this one has dimension {mixture.dim} and components that vary in more"
        )
    stds = np.sqrt(np.stack([np.diag(c) for c in covs]))
    narrowest = math.sqrt(min(np.linalg.eigvalsh(c)[0] for c in covs))
    step = (0.25 if dim == 3 else 0.1) * narrowest / refine
    axes = [
        np.arange(
            (means[:, i] - 10.0 * stds[:, i]).min(),
            (means[:, i] + 10.0 * stds[:, i]).max() + step,
            step,
        )
        for i in range(dim)
    ]
    total = 0.0
    # One slice of nodes at a time keeps the memory small.
    if dim == _QUADRATURE_DIM and (covs == np.eye(dim)).all():
        # Components are products over the axes: a slice is a product of two small matrices.
        first, second, third = (
            np.exp(-0.5 * (axis[:, None] - mean) ** 2 - 0.5 * math.log(2.0 * math.pi))
            for axis, mean in zip(axes, means.T, strict=True)
        )
        for row in first * mixture.weights.numpy():
            total += float(entr(((second * row) @ third.T).ravel()).sum()) * step**dim
        return total + shift
    reduced = GaussianMixture(
        mixture.weights, torch.from_numpy(means.copy()), torch.from_numpy(covs.copy())
    )
    rest = np.array(list(itertools.product(*axes[1:])))
    for first in axes[0]:
        nodes = np.column_stack([np.full(len(rest), first), rest])
        log_p = reduced.log_prob(torch.from_numpy(nodes)).numpy()
        total -= float(np.exp(log_p) @ log_p) * step**dim
    return total + shift


def _reduced(mixture: GaussianMixture) -> tuple[np.ndarray, np.ndarray, float]:
    """Means (k, e) and covariances in the span that needs quadrature; the entropy of the rest."""
    means, covs = mixture.means.numpy(), mixture.covs.numpy()
    if mixture.dim < _QUADRATURE_DIM or not np.allclose(covs, covs[0], rtol=0, atol=1e-14):
        return means, covs, 0.0
    root = np.linalg.cholesky(covs[0])
    white = np.linalg.solve(root, (means - means.mean(0)).T).T
    _, singular, axes = np.linalg.svd(white, full_matrices=False)
    rank = int((singular > 1e-12 * max(1.0, singular.max(initial=0.0))).sum())
    keep = max(rank, 1)
    shift = float(np.log(np.diag(root)).sum())
    shift += 0.5 * (mixture.dim - keep) * math.log(2.0 * math.pi * math.e)
    eye = np.broadcast_to(np.eye(keep), (len(means), keep, keep))
    return white @ axes[:keep].T, eye, shift
