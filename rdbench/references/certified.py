"""References that are solved numerically, each value in a bracket that is a certificate.

A certificate is looked for in the table that is shipped, then in the user's cache, then computed
(and cached). docs/certificates.md derives the brackets, docs/truth.md tells how to recompute them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Generator, Tensor

from rdbench.arrays import converts, instance, number, probabilities, settle
from rdbench.certify import store
from rdbench.certify.certificate import Certificate
from rdbench.certify.identity import certificate_key, problem_digest
from rdbench.certify.rates import Known, distortion_bracket, rate_at, rate_bracket, side_step
from rdbench.certify.rungs import close_in, slope_of_rate
from rdbench.certify.solve import Method, certify, method_of
from rdbench.distortions import TableDistortion
from rdbench.references.shipped import Table, rate_name, shipped, shipped_file
from rdbench.sources.directional import log_mean_exp_cosine, sample_von_mises_fisher
from rdbench.sources.finite import FiniteSource
from rdbench.types import Bracket, HasSupport, OutOfRange, Problem, TruthPoint

# Rows of x that meet all atoms at a time.
_BLOCK = 4_000_000
# What a slope is searched with, as a multiple of the tolerance.
_ROUGH = 10.0
_CLOSELY, _LOOSELY = 2e-4, 0.1
# Of the range of the rows: what costs hardly a digit stays.
_SMALL_OFFSET = 0.5
_EPS = float(np.finfo(float).eps)
# Tables of distortions up to this size are solved in milliseconds, at any slope that is asked for.
_QUICK = 2_500


@converts
@dataclass(frozen=True, eq=False)
class Bounded:
    """R(D) of a problem that has a solver, as a bracket of any width.

    ``case`` names the shipped table, if there is one. The brackets are of kind "bounds" where the
    solver's are; the marginal behind the upper end is no optimum, and nothing is made of it.
    """

    kind: ClassVar[str] = "bounds"

    problem: Problem
    tolerance: float
    case: str = ""
    _solved: dict[float, Certificate] = field(default_factory=dict, init=False, repr=False)
    # Rungs solved for R at a distortion; no search starts from them, so that what a slope gives
    # does not depend on what was asked before.
    _between: dict[float, Certificate] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        instance(self.problem, Problem, "what is certified")
        settle(self, tolerance=number(self.tolerance, "a tolerance"))
        if not 0.0 < self.tolerance < math.inf:
            raise ValueError(f"a tolerance must be positive, got {self.tolerance}")

    @property
    def parts(self) -> tuple[Any, ...]:
        """What the numbers pass through beside this class: the solver, the shipped table."""
        return (*self.method.parts, *shipped_file(self.case))

    @property
    def citation(self) -> str:
        """Where the method comes from."""
        return (
            "numerical, with certificates: the bound of Blahut (1972) and Lindsay (1983) on "
            "the minimiser, in the form of Koenker and Mizera (2014); docs/certificates.md"
        )

    @property
    def validity(self) -> str:
        """Every slope, with wide brackets."""
        return "every beta > 0, as an upper and a lower bound"

    @property
    def accuracy(self) -> str:
        """The widest shipped bracket of F*, in words."""
        widths = [c.width for c in self.table.centres.values()]
        if not widths:
            return f"within {self.tolerance:g} nats, computed when it is needed"
        kinds = sorted({c.kind for c in self.table.centres.values()})
        return f"{' or '.join(kinds)}, F* within {max(widths):.1e} nats"

    @property
    def table(self) -> Table:
        """What is shipped of this case."""
        return shipped(self.case)

    @cached_property
    def _digest(self) -> str:
        return problem_digest(self.problem)

    @cached_property
    def method(self) -> Method:
        """The solver of this problem.

        Raises:
            RdbenchError: there is none.
        """
        return method_of(self.problem)

    @cached_property
    def _entropy(self) -> float:
        """H(X) of a finite source, nats, points that coincide taken as one; else infinite."""
        source = self.problem.source
        if not isinstance(source, HasSupport):
            return math.inf
        _, letter = torch.unique(source.support, dim=0, return_inverse=True)
        p = torch.bincount(letter.reshape(-1), weights=probabilities(source.pmf, "a pmf"))
        return float(torch.special.entr(p).sum())

    @cached_property
    def _without_offset(self) -> _Offset | None:
        """The problem less its row minima; None where they are small.

        A constant in a row of distortions changes nothing but D, and a large one would take the
        digits of R. Shipped tables hold certificates of the problem as it stands.
        """
        if self.case or self.method.matrix is None:
            return None
        rho, p = self.method.matrix
        least = rho.min(1)
        excess = rho - least[:, None]
        if np.abs(least).max() < _SMALL_OFFSET * excess[np.isfinite(excess)].max():
            return None
        if not least.any():
            return None
        letters = torch.arange(len(p), dtype=torch.float64)[:, None]
        source = FiniteSource(self.problem.source.name, letters, torch.from_numpy(p))
        table = TableDistortion(torch.from_numpy(excess))
        return _Offset(
            replace(self, problem=Problem(source, table)),
            math.fsum(p * least),
            math.fsum(p * np.abs(least)),
        )

    @cached_property
    def _enough(self) -> float:
        """D_max = min_y E rho(X, y) of a finite alphabet: from there on R(D) = 0. Else infinite."""
        if self.method.matrix is None:
            return math.inf
        rho, p = self.method.matrix
        return float((p @ rho).min())

    def key(self, beta: float, tolerance: float | None = None) -> str:
        """The content key of the certificate at beta."""
        return certificate_key(self._digest, beta, tolerance or self.tolerance)

    # ---------------------------------------------------------------- certificates

    def certificate(self, beta: float) -> Certificate:
        """The certificate at beta, whether or not it reached the tolerance.

        Raises:
            OutOfRange: beta is no slope that the solver covers.
        """
        if not (0.0 < beta < math.inf):
            raise OutOfRange(f"beta must be finite and positive, got {beta}")
        if self._without_offset is not None:
            return self._without_offset.put_back(self._without_offset.reduced.certificate(beta))
        if beta not in self._solved:
            stored = self.table.centres.get(self.key(beta))
            self._solved[beta] = stored or self._cached(beta, self.tolerance)
        return self._solved[beta]

    def _cached(self, beta: float, tolerance: float) -> Certificate:
        """A certificate from the user's cache, or solved and put there."""
        key = self.key(beta, tolerance)
        found = store.recall(key)
        # The key is a digest of both; a file that says otherwise is not what was asked for.
        if found is None or (found.beta, found.tolerance) != (beta, tolerance):
            found = self.solve(beta, tolerance)
            store.remember(key, found)
        return found

    def solve(self, beta: float, tolerance: float | None = None) -> Certificate:
        """A fresh certificate, from no table and no cache.

        Raises:
            OutOfRange: beta is no slope that the solver covers.
        """
        if self._without_offset is not None:
            return self._without_offset.put_back(
                self._without_offset.reduced.solve(beta, tolerance)
            )
        try:
            return certify(self.method, beta, tolerance or self.tolerance, self._nearest(beta))
        except ValueError as reason:
            raise OutOfRange(str(reason)) from None

    @property
    def rough(self) -> float:
        """The tolerance of what a slope is searched with; bounds are no quicker for a wider one."""
        return self.tolerance if self.kind == "bounds" else _ROUGH * self.tolerance

    def search(
        self, rate: float, solve: Callable[[float], Certificate], near: float | None = None
    ) -> float:
        """The slope of a rate, from certificates that ``solve`` gives, starting at ``near``."""
        unit = self.method.unit
        accuracy = _LOOSELY if self.kind == "bounds" else _CLOSELY
        return slope_of_rate(solve, rate, near or 1.0 / unit, accuracy, unit)

    def _nearest(self, beta: float) -> Certificate | None:
        """What is solved close enough to start from."""
        near = [c for b, c in self._solved.items() if 0.95 * beta <= b <= 1.05 * beta]
        return min(near, key=lambda c: abs(c.beta - beta), default=None)

    def known(self, beta: float) -> Known:
        """The bracket of F*(beta) alone."""
        return self.table.sides.get(self.key(beta)) or Known.of(self.certificate(beta))

    def side_slopes(self, centre: Certificate) -> tuple[float, ...]:
        """The neighbours of a slope from which D* is bracketed."""
        step = side_step(centre.width, centre.beta, centre.distortion)
        return (centre.beta - step, centre.beta + step)

    def accepted(self, beta: float) -> Certificate:
        """The certificate at beta that the truth is made of."""
        return self.certificate(beta)

    # ---------------------------------------------------------------- the truth

    def point(self, beta: float) -> TruthPoint:
        """F*, R*, D* at slope beta."""
        if self._without_offset is not None:
            return self._without_offset.point(beta)
        centre = self.accepted(beta)
        known = Known.of(centre)
        sides = [self.known(b) for b in self.side_slopes(centre) if b > 0.0]
        d = distortion_bracket(known, sides)
        lagrangian = Bracket(centre.lo, centre.hi)
        return TruthPoint(beta, lagrangian, rate_bracket(known, d), d, centre.kind)

    def rate(self, distortion: float) -> Bracket:
        """R(D) from the certificates of the table and those solved so far.

        Between their slopes the bracket may be wide: ``refined_rate`` solves what is missing. A
        small finite problem is refined at once.
        """
        if distortion >= self._enough:
            return Bracket.exact(0.0)
        if self._without_offset is not None:
            return self._without_offset.rate(distortion)
        if not distortion > 0.0:
            raise OutOfRange(f"a distortion must be positive, got {distortion}")
        return self.refined_rate(distortion) if self._quick else self._known_rate(distortion)

    def refined_rate(self, distortion: float) -> Bracket:
        """R(D) about as narrow as F* is known, from rungs at the slope of D, solved if need be.

        Raises:
            OutOfRange: no slope that can be solved has so small a distortion.
        """
        if self._without_offset is not None:
            return self._without_offset.rate(distortion, refined=True)
        if not 0.0 < distortion < math.inf:
            raise OutOfRange(f"a distortion must be positive and finite, got {distortion}")

        def done() -> bool:
            try:
                return self._known_rate(distortion).width <= 2.0 * self.tolerance
            except OutOfRange:
                return False

        if not done():
            accuracy = _LOOSELY if self.kind == "bounds" else 1e-10
            close_in(self._rung, distortion, self._guess(distortion), done, accuracy)
        return self._known_rate(distortion)

    def _known_rate(self, distortion: float) -> Bracket:
        table = self.table
        centres = [c for key, c in table.centres.items() if key == self.key(c.beta)]
        centres += [*self._solved.values(), *self._between.values()]
        sides = [side for key, side in table.sides.items() if key == self.key(side.beta)]
        return rate_at(distortion, [Known.of(c) for c in centres] + sides, centres)

    def _rung(self, beta: float) -> float:
        """D of the q at a slope; quick ones are not worth a file in the user's cache."""
        found = self._solved.get(beta) or self._between.get(beta)
        if found is None:
            quick = self._quick
            found = self.solve(beta) if quick else self._cached(beta, self.tolerance)
            self._between[beta] = found
        return found.distortion

    @property
    def _quick(self) -> bool:
        alphabet, source = self.method.alphabet, self.problem.source
        if alphabet is None or not isinstance(source, HasSupport):
            return False
        return len(source.support) * len(alphabet) <= _QUICK

    def _guess(self, distortion: float) -> float:
        """The slope of the rung whose D is nearest; else d / (2 D), right at high rate."""
        solved = [*self.table.centres.values(), *self._solved.values(), *self._between.values()]
        near = [c for c in solved if c.distortion > 0.0]
        if not near:
            return 0.5 * self.problem.source.dim / distortion
        return min(near, key=lambda c: abs(math.log(c.distortion / distortion))).beta

    def slope(self, rate: float) -> float:
        """The slope of a target rate, six digits; found from q's own rate.

        Raises:
            OutOfRange: no positive finite rate; one that a finite source never has, R <= H(X); or
                one that no slope reaches which can be solved.
        """
        if not (rate > 0.0 and math.isfinite(rate)):
            raise OutOfRange(f"a rate must be positive and finite, got {rate}")
        stored = self.table.slopes.get(rate_name(rate))
        if stored is not None:
            return stored
        entropy = self._entropy
        if rate >= entropy:
            raise OutOfRange(
                f"R = {rate:.6g} is above the largest rate of {self.problem.source.name}, the "
                f"entropy of its letters: {entropy:.4g} nats"
            )
        if self._without_offset is not None:
            return self._without_offset.reduced.slope(rate)
        return self.search(rate, lambda beta: self._cached(beta, self.rough))


@converts
@dataclass(frozen=True, eq=False)
class Certified(Bounded):
    """R(D) with F* within ``tolerance`` nats, and the channel of the q that was found.

    A slope at which the tolerance cannot be reached is out of range: the message says what was
    reached, and why.
    """

    kind: ClassVar[str] = "certified"

    @property
    def validity(self) -> str:
        """The slopes at which the tolerance can be reached."""
        return f"the slopes at which F* can be certified within {self.tolerance:g} nats"

    def accepted(self, beta: float) -> Certificate:
        """The certificate at beta.

        Raises:
            OutOfRange: it is wider than the tolerance.
        """
        if self._without_offset is not None:
            return self._without_offset.put_back(self._without_offset.reduced.accepted(beta))
        found = self.certificate(beta)
        if not found.reached:
            raise OutOfRange(
                f"F* of {self.problem.source.name} at beta = {beta:.6g} is certified within "
                f"{found.width:.2g} nats, not within the {self.tolerance:g} asked for"
                + (f": {found.reason}" if found.reason else "")
            )
        return found

    def _marginal(self, beta: float, device: torch.device) -> tuple[Tensor, Tensor]:
        """Points (or radii) and log weights of q."""
        found = self.accepted(beta)
        used = found.weights > 0.0
        points = found.points[used]
        if self.method.alphabet is not None:
            points = self.method.alphabet[points[:, 0].astype(int)]
        weights = np.log(found.weights[used] / found.weights.sum())
        return torch.from_numpy(points).to(device), torch.from_numpy(weights).to(device)

    def _log_joint(self, x: Tensor, beta: float, points: Tensor, log_w: Tensor) -> Tensor:
        """log w_j + log E[exp(-beta rho(x, Y)) | atom or shell j]."""
        if self.method.form != "shells":
            return log_w - beta * self.problem.distortion.pairwise(x, points)
        s, r = x.double().norm(dim=1)[:, None], points[:, 0]
        angular = log_mean_exp_cosine(x.shape[1], (2.0 * beta * s * r).cpu().numpy(), scaled=True)
        joint: Tensor = log_w - beta * (s - r).square() + torch.from_numpy(angular).to(x.device)
        return joint

    def _centred(self, x: Tensor) -> Tensor:
        centre = self.method.centre
        return x.double() if centre is None else x.double() - torch.from_numpy(centre).to(x.device)

    def potential(self, x: Float[Tensor, "n d"], beta: float) -> Float[Tensor, " n"]:
        """-log Z_q(x) of the certificate's q; its mean is the upper end of F*, less the bound of
        the quadrature error in it.
        """
        points, log_w = self._marginal(beta, x.device)
        rows = self._centred(x).split(max(1, _BLOCK // len(points)))
        blocks = [-torch.logsumexp(self._log_joint(r, beta, points, log_w), 1) for r in rows]
        return torch.cat(blocks)

    def sample_conditional(
        self, x: Float[Tensor, "n d"], k: int, beta: float, generator: Generator
    ) -> Float[Tensor, "n k d"]:
        """p(y|x) of the certificate's q: its atoms; of a shell, von Mises-Fisher directions."""
        points, log_w = self._marginal(beta, x.device)
        centred = self._centred(x)
        p = torch.softmax(self._log_joint(centred, beta, points, log_w), 1)
        labels = torch.multinomial(p, k, replacement=True, generator=generator)
        if self.method.form != "shells":
            return points[labels]
        n, d = x.shape
        radius = points[:, 0][labels].reshape(-1)
        length = centred.norm(dim=1)
        # At the centre every direction is as good as another.
        axes = torch.where(
            length[:, None] > 0.0, centred / length[:, None], torch.eye(1, d).to(centred)
        )
        kappa = 2.0 * beta * length.repeat_interleave(k) * radius
        u = sample_von_mises_fisher(axes.repeat_interleave(k, 0), kappa, generator)
        centre = x.double() - centred
        return centre[:, None, :] + (radius[:, None] * u).reshape(n, k, d)


class _Offset(NamedTuple):
    """A problem with distortions rho, where rho + c(x) is asked about."""

    reduced: Bounded
    mean: float
    """E c(X)."""
    size: float
    """E |c(X)|: what the rounding of the mean is relative to."""

    def put_back(self, found: Certificate) -> Certificate:
        """The certificate of rho + c."""
        more, slack = found.beta * self.mean, found.beta * self._slack(found.distortion)
        lo, hi = found.lo + more - slack, found.hi + more + slack
        return replace(found, lo=lo, hi=hi, distortion=found.distortion + self.mean)

    def point(self, beta: float) -> TruthPoint:
        """The point of rho + c; R is the same to the last digit."""
        found = self.reduced.point(beta)
        f, d, slack = found.lagrangian, found.distortion, self._slack(found.distortion.hi)
        more = beta * self.mean
        return replace(
            found,
            lagrangian=Bracket(f.lo + more - beta * slack, f.hi + more + beta * slack),
            distortion=Bracket(d.lo + self.mean - slack, d.hi + self.mean + slack),
        )

    def rate(self, distortion: float, *, refined: bool = False) -> Bracket:
        """R(D) of rho + c: R does not increase, so that rounding of D moves the ends apart."""
        d, slack = distortion - self.mean, self._slack(abs(distortion))
        rate = self.reduced.refined_rate if refined else self.reduced.rate
        return Bracket(rate(d + slack).lo, rate(d - slack).hi)

    def _slack(self, distortion: float) -> float:
        return 4.0 * _EPS * (self.size + distortion)
