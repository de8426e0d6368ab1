"""One slope of EBRD under squared error, frozen: its marginal, its samplers, its claim."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from rdbench.estimators.ebrd.correction import ReferenceSampler, log_partition, score
from rdbench.estimators.ebrd.network import Network
from rdbench.fitting import NO_CLAIM
from rdbench.inference.langevin import Potential, adapted, mala
from rdbench.inference.reproduction import GoOn, always
from rdbench.sources.mixture import GaussianMixture
from rdbench.types import Claim, Density, Energy, Gaussians, Side, Start, TestChannel

_CLAIM_DRAWS = 8
_ROUNDS = 6
# A density promises exact draws. One jump a round left its chains .04 to .11 nats from q where the
# network's weights have an effective share of .3 to .5 (cube-d20).
_MARGINAL_JUMPS = 6
_INTEGRABLE = 2  # dimensions in which an energy can be integrated by anyone
# Standard error in nats of log Z up to which it is taken as known, and draws to get there.
_KNOWN, _KNOWN_DRAWS = 1e-3, 3_000_000
_ROUGHLY, _ROUGHLY_DRAWS = 1e-2, 20_000


# Of a bracket of F: symbols, draws of q, draws of p_ref beside each of these, rows of a group.
_BRACKET_SYMBOLS, _BRACKET_DRAWS, _BESIDE, _ROWS = 500, 400, 100, 8


@dataclass(frozen=True, eq=False)
class Claimed:
    """Draws on which a finished channel is claimed."""

    x: Float[Tensor, "n d"]
    """Draws that nothing was chosen by."""
    side: Side
    """The side of F on them for a mixture alone; with a network it is an estimate."""
    generator: Generator
    go_on: GoOn = always
    """Asked while log Z is estimated."""


@dataclass(frozen=True, eq=False)
class Tilted:
    """q proportional to p_ref exp(-strength f) at one slope.

    ``network`` is f in float64; ``None`` leaves p_ref.
    """

    reference: GaussianMixture
    network: Network | None
    strength: float
    slope: float

    def tilt(self, y: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
        """strength f(y)."""
        if self.network is None:
            return torch.zeros_like(y[:, 0])
        out: Tensor = self.strength * self.network(y[None])[0]
        return out

    @torch.no_grad()
    def value_and_grad(
        self, y: Float[Tensor, "n d"]
    ) -> tuple[Float[Tensor, " n"], Float[Tensor, "n d"]]:
        """E = -log p_ref + strength f, and its gradient."""
        value, grad = self.reference.energy_and_grad(y)
        if self.network is None:
            return value, grad
        more, more_grad = self.network.value_and_grad(y[None])
        return value + self.strength * more[0], grad + self.strength * more_grad[0]

    @torch.no_grad()
    def sample(self, n: int, g: Generator) -> Float[Tensor, "n d"]:
        """Draws of q."""
        factor = self._sampler().factor[0].double()

        def fresh() -> Tensor:
            return self.reference.sample(n, g)

        return self._settled(fresh, self.value_and_grad, factor, g, _MARGINAL_JUMPS)

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

        factor = self._sampler().conditional_factor[0].double()
        return self._settled(fresh, potential, factor, g).reshape(len(x), k, -1)

    def _sampler(self) -> ReferenceSampler:
        return ReferenceSampler([self.reference], [self.slope])

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


def channel(tilted: Tilted, claimed: Claimed | None) -> TestChannel:
    """The test channel of q.

    In up to two dimensions q is an energy, which a quadrature normalises better than any draws.
    Above it is a density where log Z of the network's part is known by importance sampling from
    p_ref; of the mixture alone it is zero.

    Args:
        tilted: q.
        claimed: what it is claimed on; ``None`` for a checkpoint, whose log Z is rougher.
    """
    alone = replace(tilted, network=None, strength=0.0)
    start = Start(_marginal(alone, claimed), "fitted mixture")
    made = start.marginal if tilted.network is None else _marginal(tilted, claimed)
    return TestChannel(
        beta=tilted.slope,
        marginal=made,
        claim=NO_CLAIM if claimed is None else _claim(tilted, claimed),
        sample_conditional=tilted.sample_conditional,
        q_is="mixture" if tilted.network is None else "energy network on a mixture",
        start=start,
    )


def _marginal(tilted: Tilted, claimed: Claimed | None) -> Gaussians | Density | Energy:
    if tilted.network is None:
        return tilted.reference.as_marginal()
    log_z = _log_z(tilted, claimed) if tilted.reference.dim > _INTEGRABLE else None
    if log_z is None:
        return Energy(tilted.sample, tilted.value_and_grad)
    constant = log_z

    @torch.no_grad()
    def log_prob(y: Tensor) -> Tensor:
        return tilted.reference.log_prob(y) - tilted.tilt(y) - constant

    # Exact where q is p_ref; with the network's part it still is close.
    return Density(tilted.sample, log_prob, tilted.reference.proposal(tilted.slope))


@torch.no_grad()
def bracket(tilted: Tilted, x: Float[Tensor, "n d"]) -> float:
    """How many nats the bounds of log Z and of E log Z_x by importance sampling are apart.

    The mean of a group of weights of draws of p_ref has a logarithm that is low in expectation;
    with one draw of q among them it is high (Burda, Grosse, Salakhutdinov 2015). Where q has mass
    that p_ref hardly visits the former misses it, and its draws alone would not tell.

    Args:
        tilted: q.
        x: held-out symbols.
    """
    g = Generator(x.device).manual_seed(0)  # the fit's own draws stay what they are
    x = x[:_BRACKET_SYMBOLS]

    def apart(forward: Tensor, back: Tensor) -> float:
        low, high = -forward, torch.cat([-forward[:, 1:], -back[:, None]], 1)
        return float((torch.logsumexp(high, 1) - torch.logsumexp(low, 1)).mean().abs())

    forward = tilted.tilt(tilted.reference.sample(_BRACKET_DRAWS * _BESIDE, g))
    log_z = apart(
        forward.reshape(_BRACKET_DRAWS, _BESIDE), tilted.tilt(tilted.sample(_BRACKET_DRAWS, g))
    )
    y = tilted.reference.sample_conditional(x, _ROWS, tilted.slope, g)
    forward = tilted.tilt(y.flatten(0, 1)).reshape(len(x), _ROWS)
    back = tilted.tilt(tilted.sample_conditional(x, 1, g)[:, 0])
    return log_z + apart(forward, back)


def _log_z(tilted: Tilted, claimed: Claimed | None) -> float | None:
    """log Z of the network's part; None where it is not known well enough for a density."""
    if claimed is None:
        # A checkpoint must not draw from the fit's generator.
        own = Generator(tilted.reference.means.device).manual_seed(0)
        wanted, most, asked = _ROUGHLY, _ROUGHLY_DRAWS, always
    else:
        own, wanted, most, asked = claimed.generator, _KNOWN, _KNOWN_DRAWS, claimed.go_on
    found, error = log_partition(tilted.tilt, tilted.reference, wanted, most, own, asked)
    return found if error <= wanted else None


def _claim(tilted: Tilted, claimed: Claimed) -> Claim:
    """(R, D) on the draws, on which F of a mixture alone is exact."""
    x, reference, generator = claimed.x, tilted.reference, claimed.generator
    if tilted.network is None:
        y = reference.sample_conditional(x, _CLAIM_DRAWS, tilted.slope, generator)
        distortion = float((y - x[:, None]).square().sum(-1).mean())
        lagrangian = -float(reference.log_partition(x, tilted.slope).mean())
        return Claim(lagrangian - tilted.slope * distortion, distortion, claimed.side)
    found = score(tilted.network, reference, x, tilted.slope, (tilted.strength,), generator)
    distortion = float(found.distortion[0])
    rate = float(found.lagrangian[0]) - tilted.slope * distortion
    return Claim(rate, distortion, "estimate")
