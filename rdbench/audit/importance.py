"""Evaluation of a density by multiple importance sampling with the balance heuristic.

Z(x) = E_q exp(-beta rho(x, Y)) is estimated, independently for every x, from draws of q, of the
noise around x, r(y|x) = exp(-beta rho(x, y)) / M, and of a proposal for p(y|x): the density's own,
where it brings one, or the conditional p_g(y|x) = g(y) exp(-beta rho(x, y)) / Z_g(x) of a Gaussian
mixture g fitted to other draws of q (squared error only: there it is drawn exactly and Z_g is in
closed form). With n_i draws of proposal i

    Z^(x) = sum_j q(y_j) e^{-beta rho(x, y_j)} / sum_i n_i s_i(y_j|x)      over all draws j.

It is unbiased whatever the proposals (`rdbench.audit.weighting`). Where a proposal is p(y|x) itself
the weights are next to constant, at any rate. Draws of q common to all x would be cheaper, but
their error does not average out over x.

All of it rests on log_prob being the log density of the sampler's draws, and likewise for the
proposal: `rdbench.audit.normalisation` and `rdbench.audit.joint` test that, what they leave open
widens the interval, and `rdbench.audit.watch` that the same point has the same value.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import astuple, dataclass, replace

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from rdbench.audit.evaluation import Evaluation
from rdbench.audit.joint import Sampling, checked_weights, log_noise_mass
from rdbench.audit.normalisation import UNKNOWN, Mass, checked
from rdbench.audit.pilot import Candidate, choose, pilot_symbols
from rdbench.audit.size import AuditSize, draws_per_symbol
from rdbench.audit.sums import plug_in
from rdbench.audit.watch import NotFinite, ProposalFault, Watched, WatchedEncoder
from rdbench.audit.weighting import parts_of_mixture, weighted
from rdbench.sources.mixture import GaussianMixture
from rdbench.types import Density, Distortion, Encoder

MAX_COMPONENTS = 8
_FIT_DIM = 100  # beyond it no mixture is fitted (d^2 per draw), so that log_prob is not trusted
_BLOCK = 1_000_000  # numbers held at once
_OWN_DRAWS = 32  # per symbol: with so many a proposal of q's own needs no more
_PARTS = 16  # one draw of q and two of the noise in so many
_EVEN = 0.7  # effective fraction of the draws, as high as it gets beside draws of q and the noise
_LITTLE = 0.01  # nats: where all draws leave less of an excess, the proposal needs no rival
_TESTED = 2, 2, 2, 2  # draws of every proposal for a simulated symbol
_KEPT = 64, 8  # symbols and draws at which a proposal is asked twice


@dataclass(frozen=True)
class Allocation:
    """How many draws per symbol of q, of the noise, of p_g(y|x) and of q's own proposal."""

    marginal: int
    noise: int
    fitted: int = 0
    own: int = 0

    @property
    def total(self) -> int:
        """Draws per symbol."""
        return sum(astuple(self))


@dataclass(frozen=True, eq=False)
class _Problem:
    """The marginal as the audit calls it, and on what it is audited."""

    sample: Callable[[int, Generator], Tensor]
    log_prob: Watched
    distortion: Distortion
    beta: float
    x: Float[Tensor, "n d"]
    probabilities: Float[Tensor, " n"] | None
    size: AuditSize
    weights: Float[Tensor, " n"] | None = None
    """Of the symbols, where they were drawn in strata."""

    @property
    def draws(self) -> int:
        """Per symbol."""
        return draws_per_symbol(self.size, len(self.x), self.probabilities)

    def plug_in(self, x: Tensor, probabilities: Tensor | None, generator: Generator) -> Evaluation:
        """The plug-in on these symbols."""
        draws = self.sample(self.size.plug_in_draws, generator)
        weights = self.weights if x is self.x else None
        return plug_in(
            draws, self.distortion, x, probabilities, self.beta, exact_draws=True, weights=weights
        )


@dataclass(frozen=True, eq=False)
class _Route:
    """One mixture s(y|x) of proposals, and what is known of the mass of its weights."""

    problem: _Problem
    allocation: Allocation
    g: GaussianMixture | None = None
    own: WatchedEncoder | None = None
    mass: Mass = UNKNOWN

    def draw(self, x: Float[Tensor, "n d"], generator: Generator) -> Float[Tensor, "n k d"]:
        """Draws of every proposal for every symbol."""
        (n, d), a, problem = x.shape, self.allocation, self.problem
        noise = problem.distortion.noise(problem.beta, n * a.noise, d, generator)
        drawn = [
            problem.sample(n * a.marginal, generator).reshape(n, -1, d),
            x[:, None] + noise.reshape(n, -1, d),
        ]
        if self.g is not None:
            drawn.append(self.g.sample_conditional(x, a.fitted, problem.beta, generator))
        if self.own is not None:
            drawn.append(self.own.sample(x, a.own, generator))
        return torch.cat(drawn, 1)

    def weigh(
        self, x: Float[Tensor, "n d"], y: Float[Tensor, "n k d"]
    ) -> tuple[Float[Tensor, "n k"], Float[Tensor, "n k"]]:
        """log (q e^{-beta rho} / s) and rho."""
        a, problem, flat = self.allocation, self.problem, y.reshape(-1, y.shape[2])
        log_q = problem.log_prob(flat).reshape(y.shape[:2])
        rho = problem.distortion.value_and_grad(x[:, None].expand_as(y), y)[0]
        # log(n_r / M + n_g g / Z_g): what multiplies exp(-beta rho) in these proposals
        log_mass = problem.distortion.log_noise_mass(problem.beta, x.shape[1])
        local = torch.full_like(rho, math.log(a.noise) - log_mass)
        if self.g is not None:
            tilt = math.log(a.fitted) - self.g.log_partition(x, problem.beta)
            local = torch.logaddexp(local, self.g.log_prob(flat).reshape(rho.shape) + tilt[:, None])
        s = torch.logaddexp(math.log(a.marginal) + log_q, local - problem.beta * rho)
        if self.own is not None:
            s = torch.logaddexp(s, math.log(a.own) + self.own.log_prob(y, x))
        return log_q - problem.beta * rho - s + math.log(a.total), rho

    def checked(self, generator: Generator) -> Mass | None:
        """The mass that the weights have too much, by few draws of each proposal; None if unknown.

        Raises:
            ValueError: the weights are wrong.
        """
        problem, counts = self.problem, astuple(self.allocation)
        distortion, beta = problem.distortion, problem.beta
        few = tuple(min(n, most) for n, most in zip(counts, _TESTED, strict=True))
        parts, drawing = parts_of_mixture(counts, few), replace(self, allocation=Allocation(*few))

        def forward(n: int, generator: Generator) -> tuple[Tensor, Tensor]:
            y = problem.sample(n, generator)
            return y, y

        sampling = Sampling(
            forward,
            lambda x, generator: (drawing.draw(x, generator), parts.to(x)),
            lambda x, y: self.weigh(x, y)[0],
        )
        for quick in (True, False):
            x, p = problem.x, problem.probabilities
            mass = checked_weights(sampling, distortion, x, p, beta, generator, quick=quick)
            # A thorough fit costs seconds: only where nothing else can tell.
            if mass is not None or self.own is None:
                return mass
        return None

    def evaluation(
        self, x: Tensor, probabilities: Tensor | None, generator: Generator
    ) -> Evaluation:
        """The estimate on these symbols."""
        last = "" if self.g is None else f", a fitted mixture ({self.g.size})"
        last += "" if self.own is None else ", its own proposal"
        return weighted(
            lambda part: self.weigh(part, self.draw(part, generator)),
            x,
            max(1, _BLOCK // (self.allocation.total * x.shape[1])),
            probabilities,
            self.mass,
            f"importance sampling from q, noise{last}, {{k}} draws per symbol",
        )


@torch.no_grad()
def density(
    marginal: Density,
    distortion: Distortion,
    x: Float[Tensor, "n d"],
    probabilities: Float[Tensor, " n"] | None,
    beta: float,
    size: AuditSize,
    generator: Generator,
    weights: Float[Tensor, " n"] | None = None,
) -> Evaluation:
    """Plug-in or importance sampling, whichever a pilot on other draws finds lower.

    Args:
        marginal: q, with its log density and sampler.
        distortion: rho.
        x: the symbols (n, d).
        probabilities: their exact weights where the source is finite.
        beta: the slope, nats per unit of distortion.
        size: how much work may be done.
        generator: of all draws.
        weights: of the symbols, where they were drawn in strata.

    Raises:
        ValueError: ``log_prob`` is not the log density of the draws of ``sample``, or gives
            another value when asked again.
    """
    sample = functools.partial(_finite_draws, marginal)
    log_prob = Watched(marginal.log_prob, "log_prob")
    problem = _Problem(sample, log_prob, distortion, beta, x, probabilities, size, weights)
    if log_noise_mass(distortion, beta, x.shape[1]) is None:
        return problem.plug_in(x, probabilities, generator)
    found, notes = None, []
    try:
        if marginal.proposal is not None:
            try:
                found = _by_own(problem, marginal.proposal, generator)
            except NotFinite:
                raise
            except ValueError as fault:
                # Whether log_prob or the proposal is wrong, the next test says.
                notes.append(f"the proposal of q is left out: {fault}")
        found = found or _chosen(problem, None, generator)
    except NotFinite as fault:
        found = problem.plug_in(x, probabilities, generator)
        return replace(found, note=f"{fault}: not used")
    log_prob.verify(generator)
    if found is None:
        # An offset of log_prob would be an offset of F. The plug-in asks for draws alone.
        notes.append("log_prob is not used: how much it integrates to is not known")
        found = problem.plug_in(x, probabilities, generator)
    return replace(found, note="; ".join(notes))


def _by_own(problem: _Problem, proposal: Encoder, generator: Generator) -> Evaluation | None:
    """The evaluation by q's own proposal, with few draws where a pilot finds its weights even.

    Where they are far from it, it is one candidate among others.

    Raises:
        ValueError: log_prob or the proposal is wrong, or cannot be tested.
    """
    own = WatchedEncoder(proposal, "the proposal of q")
    own.keep(problem.x[: _KEPT[0]], _KEPT[1], generator)
    k = max(_OWN_DRAWS, problem.draws // 4)

    def allocation(k: int, part: int) -> Allocation:
        return Allocation(part, 2 * part, own=k - 3 * part)

    route = _Route(problem, allocation(k, k // _PARTS), own=own)
    mass = route.checked(generator)
    if mass is None:
        raise ProposalFault("whether its weights are right could not be told")
    route = replace(route, mass=mass)
    few = pilot_symbols(problem.x, problem.probabilities, problem.size.pilot_symbols, generator)
    pilot = route.evaluation(*few, generator)
    found: Evaluation | None
    assert pilot.excess is not None
    if float(pilot.excess.mean()) * k / problem.draws <= _LITTLE:
        if pilot.ess < _EVEN:
            more = allocation(problem.draws, problem.draws // _PARTS)
            route = replace(route, allocation=more)
        found = route.evaluation(problem.x, problem.probabilities, generator)
    else:
        found = _chosen(problem, route, generator)
    own.verify(generator)
    return found


def _chosen(problem: _Problem, own: _Route | None, generator: Generator) -> Evaluation | None:
    """The evaluation by what a pilot finds lowest; None where log_prob cannot be tested."""
    fits = problem.x.shape[1] <= _FIT_DIM
    density = Density(problem.sample, problem.log_prob)
    tested = checked(density, MAX_COMPONENTS, generator) if fits else None
    if tested is None and own is None:
        return None
    size, probabilities, k = problem.size, problem.probabilities, problem.draws
    half, eighth = k // 2, k // 8
    routes: dict[str, _Route] = {}
    if tested is not None and problem.distortion.name == "squared_error":
        allocation = Allocation(2 * eighth, eighth, k - 3 * eighth)
        routes["fitted"] = _Route(problem, allocation, tested.mixture, mass=tested.mass)
    if own is not None:
        routes["own"] = replace(own, allocation=Allocation(eighth, eighth, own=k - 2 * eighth))
    if tested is not None:
        routes["noise"] = _Route(problem, Allocation(k - half, half), mass=tested.mass)

    def by_route(name: str, x: Tensor, probabilities: Tensor | None) -> Evaluation:
        return routes[name].evaluation(x, probabilities, generator)

    candidates: dict[str, Candidate] = {name: functools.partial(by_route, name) for name in routes}
    candidates["plug-in"] = functools.partial(problem.plug_in, generator=generator)
    chosen = choose(candidates, problem.x, probabilities, size.pilot_symbols, generator)
    if chosen in ("fitted", "noise"):
        mass = routes[chosen].checked(generator)
        if mass is not None and mass.se < routes[chosen].mass.se:
            routes[chosen] = replace(routes[chosen], mass=mass)
    return candidates[chosen](problem.x, probabilities)


def _finite_draws(marginal: Density, n: int, generator: Generator) -> Float[Tensor, "n d"]:
    """n draws of q.

    Raises:
        ValueError: some are not finite.
    """
    y = marginal.sample(n, generator).double()
    bad = int((~torch.isfinite(y)).any(1).sum())
    if bad:
        raise ValueError(f"the sampler of q drew {bad:,} of {n:,} points that are not finite")
    return y
