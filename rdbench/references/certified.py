"""References that are solved numerically, each value in a bracket that is a certificate.

docs/certificates.md derives the brackets, docs/truth.md tells how to recompute them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Float
from torch import Generator, Tensor

from rdbench.arrays import converts, probabilities
from rdbench.certify.certificate import Certificate
from rdbench.certify.rates import Known, distortion_bracket, rate_at, rate_bracket
from rdbench.certify.rungs import close_in
from rdbench.exponentials import log_sum_exp
from rdbench.references.certificates import LOOSELY, Certificates
from rdbench.references.offset import Offset, without_offset
from rdbench.references.shipped import rate_name
from rdbench.sources.directional import log_mean_exp_cosine, sample_von_mises_fisher
from rdbench.types import Bracket, HasSupport, OutOfRange, TruthPoint

# Rows of x that meet all atoms at a time.
_BLOCK = 4_000_000
# Tables of distortions up to this size are solved in milliseconds, at any slope that is asked for.
_QUICK = 2_500


@converts
@dataclass(frozen=True, eq=False)
class Bounded(Certificates):
    """R(D) of a problem that has a solver, as a bracket of any width.

    The brackets are of kind "bounds" where the solver's are; the marginal behind the upper end is
    no optimum, and nothing is made of it.
    """

    kind: ClassVar[str] = "bounds"

    # Rungs solved for R at a distortion; no search starts from them, so that what a slope gives
    # does not depend on what was asked before.
    _between: dict[float, Certificate] = field(default_factory=dict, init=False, repr=False)

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
    def _reduced(self) -> tuple[Bounded, Offset] | None:
        """The reference of the problem less its row minima; None where they are small.

        Shipped tables hold certificates of the problem as it stands.
        """
        if self.case or self.method.matrix is None:
            return None
        found = without_offset(self.problem.source.name, *self.method.matrix)
        return None if found is None else (replace(self, problem=found[0]), found[1])

    @cached_property
    def _enough(self) -> float:
        """D_max = min_y E rho(X, y) of a finite alphabet: from there on R(D) = 0. Else infinite."""
        if self.method.matrix is None:
            return math.inf
        rho, p = self.method.matrix
        return float((p @ rho).min())

    # ---------------------------------------------------------------- certificates

    def certificate(self, beta: float) -> Certificate:
        """The certificate at beta, whether or not it reached the tolerance.

        Raises:
            OutOfRange: the solver does not cover beta.
        """
        if 0.0 < beta < math.inf and self._reduced is not None:
            reduced, offset = self._reduced
            return offset.certificate(reduced.certificate(beta))
        return super().certificate(beta)

    def solve(self, beta: float, tolerance: float | None = None) -> Certificate:
        """A fresh certificate, from no table and no cache.

        Raises:
            OutOfRange: the solver does not cover beta.
        """
        if self._reduced is not None:
            reduced, offset = self._reduced
            return offset.certificate(reduced.solve(beta, tolerance))
        return super().solve(beta, tolerance)

    def accepted(self, beta: float) -> Certificate:
        """The certificate at beta that the truth is made of."""
        return self.certificate(beta)

    # ---------------------------------------------------------------- the truth

    def point(self, beta: float) -> TruthPoint:
        """F*, R*, D* at slope beta."""
        if self._reduced is not None:
            reduced, offset = self._reduced
            return offset.point(reduced.point(beta))
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
        if self._reduced is not None:
            reduced, offset = self._reduced
            low, high = offset.distortions(distortion)
            # R does not increase, so that rounding of D moves the ends apart.
            return Bracket(reduced.rate(high).lo, reduced.rate(low).hi)
        if not distortion > 0.0:
            raise OutOfRange(f"a distortion must be positive, got {distortion}")
        return self.refined_rate(distortion) if self._quick else self._known_rate(distortion)

    def refined_rate(self, distortion: float) -> Bracket:
        """R(D) about as narrow as F* is known, from rungs at the slope of D, solved if need be.

        Raises:
            OutOfRange: no slope that can be solved has so small a distortion.
        """
        if self._reduced is not None:
            reduced, offset = self._reduced
            low, high = offset.distortions(distortion)
            return Bracket(reduced.refined_rate(high).lo, reduced.refined_rate(low).hi)
        if not 0.0 < distortion < math.inf:
            raise OutOfRange(f"a distortion must be positive and finite, got {distortion}")

        def done() -> bool:
            try:
                return self._known_rate(distortion).width <= 2.0 * self.tolerance
            except OutOfRange:
                return False

        if not done():
            accuracy = LOOSELY if self.kind == "bounds" else 1e-10
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
        if self._reduced is not None:
            return self._reduced[0].slope(rate)
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
        if self._reduced is not None:
            reduced, offset = self._reduced
            return offset.certificate(reduced.accepted(beta))
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
        angular = log_mean_exp_cosine(x.shape[1], (2.0 * beta * s * r).cpu().numpy())
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
        blocks = [-log_sum_exp(self._log_joint(r, beta, points, log_w), 1) for r in rows]
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
