"""One slope of EBRD under squared error, frozen: its marginal, its samplers, its claim."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from rdbench.estimators.ebrd.correction import log_mass, score
from rdbench.inference.energies import Correction, ReferenceSampler
from rdbench.inference.langevin import Potential, adapted, mala
from rdbench.inference.reproduction import GoOn, always
from rdbench.inference.scaling import Scaling
from rdbench.sources.mixture import GaussianMixture
from rdbench.types import Claim, Density, Encoder, Energy, Side, TestChannel

_CLAIM_DRAWS = 8
_ROUNDS = 6
# A density promises exact draws. One jump a round left its chains .04 to .11 nats from q where the
# network's weights have an effective share of .3 to .5 (cube-d20).
_MARGINAL_JUMPS = 6
_INTEGRABLE = 2  # dimensions in which an energy can be integrated by anyone
_MASS_DRAWS = 3_000_000
_MASS_ERROR = 1e-3  # nats: standard error of log Z up to which it is taken as known
_LOOK_MASS_DRAWS = 20_000
_LOOK_MASS_ERROR = 1e-2


@dataclass(frozen=True, eq=False)
class Claimed:
    """What a finished channel is claimed on."""

    x: Float[Tensor, "n d"]
    """Draws that nothing was chosen by."""
    side: Side
    """Of F of a mixture alone on them; with a network it is an estimate."""
    generator: Generator
    go_on: GoOn = always
    """Asked while log Z is estimated."""


@dataclass(frozen=True, eq=False)
class Tilted:
    """q proportional to p_ref exp(-share f) at one slope, in standard coordinates.

    ``network`` is f in float64; ``None`` leaves p_ref.
    """

    reference: GaussianMixture
    network: Correction | None
    share: float
    slope: float

    def tilt(self, y: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
        """share f(y)."""
        if self.network is None:
            return torch.zeros_like(y[:, 0])
        out: Tensor = self.share * self.network(y[None])[0]
        return out

    @torch.no_grad()
    def value_and_grad(
        self, y: Float[Tensor, "n d"]
    ) -> tuple[Float[Tensor, " n"], Float[Tensor, "n d"]]:
        """E = -log p_ref + share f, and its gradient."""
        value, grad = self.reference.energy_and_grad(y)
        if self.network is None:
            return value, grad
        more, more_grad = self.network.value_and_grad(y[None])
        return value + self.share * more[0], grad + self.share * more_grad[0]

    @torch.no_grad()
    def sample(self, n: int, g: Generator) -> Float[Tensor, "n d"]:
        """Draws of q."""
        return self._settled(
            lambda: self.reference.sample(n, g),
            self.value_and_grad,
            _factors(self)[0],
            g,
            _MARGINAL_JUMPS,
        )

    @torch.no_grad()
    def sample_conditional(
        self, x: Float[Tensor, "n d"], k: int, g: Generator
    ) -> Float[Tensor, "n k d"]:
        """Draws of p(y|x), proportional to q(y) exp(-slope |x - y|^2)."""
        wide = x.repeat_interleave(k, 0)

        def fresh() -> Tensor:
            return self.reference.sample_conditional(x, k, self.slope, g).reshape(wide.shape)

        def potential(y: Tensor) -> tuple[Tensor, Tensor]:
            value, grad = self.value_and_grad(y)
            apart = y - wide
            value = value + self.slope * apart.square().sum(1)
            return value, grad + 2.0 * self.slope * apart

        return self._settled(fresh, potential, _factors(self)[1], g).reshape(len(x), k, -1)

    def _settled(
        self,
        fresh: Callable[[], Tensor],
        potential: Potential,
        factor: Tensor,
        g: Generator,
        jumps: int = 1,
    ) -> Tensor:
        """Independence jumps, whose ratio holds the network alone, and Langevin steps between."""
        y = fresh()
        if self.network is None:
            return y  # exact
        tau = torch.full((), 0.3, dtype=torch.float64, device=y.device)
        for _ in range(_ROUNDS):
            tilt = self.tilt(y)
            for _ in range(jumps):
                proposal = fresh()
                proposed = self.tilt(proposal)
                u = torch.rand(len(y), generator=g, device=y.device, dtype=y.dtype)
                accept = u.log() < tilt - proposed
                y = torch.where(accept[:, None], proposal, y)
                tilt = torch.where(accept, proposed, tilt)
            y, rate = mala(potential, y, 2, tau, factor, g)
            tau = adapted(tau, rate)
        return y


def _factors(tilted: Tilted) -> tuple[Tensor, Tensor]:
    """Preconditioners of the marginal and of the conditional chains (d, d)."""
    slopes = torch.tensor([tilted.slope], dtype=torch.float64, device=tilted.reference.means.device)
    both = ReferenceSampler([tilted.reference], slopes)
    return both.factor[0].double(), both.conditional_factor[0].double()


def channel(
    beta: float,
    scaling: Scaling,
    tilted: Tilted,
    claimed: Claimed | None,
) -> TestChannel:
    """The channel in source coordinates.

    In up to two dimensions q is an energy, which a quadrature normalises better than any draws.
    Above it is a density where log Z of the network's part is known by importance sampling from
    p_ref; of the mixture alone it is zero.

    Args:
        beta: the slope.
        scaling: to standard coordinates.
        tilted: q there.
        claimed: what it is claimed on; ``None`` for a look in passing, whose log Z is rougher.
    """

    def sample(n: int, g: Generator) -> Tensor:
        return scaling.backward(tilted.sample(n, g))

    def sample_conditional(x: Tensor, k: int, g: Generator) -> Tensor:
        return scaling.backward(tilted.sample_conditional(scaling.forward(x), k, g))

    def value_and_grad(y: Tensor) -> tuple[Tensor, Tensor]:
        value, grad = tilted.value_and_grad(scaling.forward(y))
        return value, grad / scaling.scale

    dim = tilted.reference.dim
    mass, known = _log_mass(tilted, claimed) if dim > _INTEGRABLE else (math.nan, False)
    constant = mass + dim * math.log(scaling.scale)

    @torch.no_grad()
    def log_prob(y: Tensor) -> Tensor:
        z = scaling.forward(y)
        return tilted.reference.log_prob(z) - tilted.tilt(z) - constant

    # Exact where q is p_ref; with the network's part it still is close.
    inner = tilted.reference.proposal(tilted.slope)

    def propose(x: Tensor, k: int, g: Generator) -> Tensor:
        return scaling.backward(inner.sample(scaling.forward(x), k, g))

    def proposed(y: Tensor, x: Tensor) -> Tensor:
        inside = inner.log_prob(scaling.forward(y), scaling.forward(x))
        return inside - dim * math.log(scaling.scale)

    own = Encoder(propose, proposed)
    return TestChannel(
        beta=beta,
        marginal=Density(sample, log_prob, own) if known else Energy(sample, value_and_grad),
        claim=_claim(tilted, scaling, claimed),
        sample_conditional=sample_conditional,
    )


def _log_mass(tilted: Tilted, claimed: Claimed | None) -> tuple[float, bool]:
    """log Z of the network's part, and whether it is known well enough for a density."""
    if tilted.network is None:
        return 0.0, True
    if claimed is not None:
        mass, error = log_mass(
            tilted.tilt,
            tilted.reference,
            _MASS_ERROR,
            _MASS_DRAWS,
            claimed.generator,
            claimed.go_on,
        )
        return mass, error <= _MASS_ERROR
    # A look must not draw from the fit's generator.
    own = Generator(tilted.reference.means.device).manual_seed(0)
    mass, error = log_mass(tilted.tilt, tilted.reference, _LOOK_MASS_ERROR, _LOOK_MASS_DRAWS, own)
    return mass, error <= _LOOK_MASS_ERROR


def _claim(tilted: Tilted, scaling: Scaling, claimed: Claimed | None) -> Claim:
    """(R, D) on the draws, on which F of a mixture alone is exact."""
    if claimed is None:
        return Claim(math.nan, math.nan, "estimate")
    x, generator = claimed.x, claimed.generator
    if tilted.network is None:
        y = tilted.reference.sample_conditional(x, _CLAIM_DRAWS, tilted.slope, generator)
        spent = float((y - x[:, None]).square().sum(-1).mean())
        lagrangian = -float(tilted.reference.log_partition(x, tilted.slope).mean())
        rate = lagrangian - tilted.slope * spent
        return Claim(rate, scaling.distortion(spent), claimed.side)
    found = score(tilted.network, tilted.reference, x, tilted.slope, (tilted.share,), generator)
    spent = float(found.distortion[0])
    rate = float(found.lagrangian[0]) - tilted.slope * spent
    return Claim(rate, scaling.distortion(spent), "estimate")
