"""Evaluation of a pushforward: the plug-in, or importance sampling in the latent space.

For q the law of g(z), z ~ p, Z(x) = E_p exp(-beta rho(x, g(z))). With n_e draws per symbol of a
proposal e(z|x) and n_p of the prior, the balance heuristic gives

    Z^(x) = sum_j p(z_j) e^{-beta rho(x, g(z_j))} / (n_e e(z_j|x) + n_p p(z_j)),

unbiased whatever e is (`rdbench.audit.weighting`). Proposals are the channel's encoder, where it
has one, and Gaussians around good latent points (`rdbench.audit.laplace`). An encoder, and a prior
of its own, are tested on simulated symbols (`rdbench.audit.joint`); what that leaves open widens
the interval. One draw of the encoder alone would give back the variational
bound E log e/p + beta E rho; many are tighter (Burda, Grosse, Salakhutdinov 2015).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from rdbench.audit.evaluation import Evaluation
from rdbench.audit.joint import Sampling, checked_weights, log_noise_mass
from rdbench.audit.laplace import GaussianProposal, laplace
from rdbench.audit.normalisation import Mass, checked
from rdbench.audit.pilot import Candidate, choose
from rdbench.audit.size import AuditSize, draws_per_symbol
from rdbench.audit.sums import plug_in
from rdbench.audit.watch import NotFinite, ProposalFault, Watched, WatchedEncoder
from rdbench.audit.weighting import parts_of_mixture, weighted
from rdbench.types import Density, Distortion, Pushforward

_BLOCK = 100_000  # latent points decoded at once
_HESSIANS = 2_000_000  # numbers in all Hessians held at once
_PRIOR_COMPONENTS = 8  # of the mixture that a prior's normalisation is checked with
_LAPLACE_DIM = 200  # beyond it the Hessians of every symbol cost too much
_PRIOR_SHARE = 8  # one draw in eight is the prior's: it bounds the weights
_TEST_DRAWS = 2  # of the prior and of the proposal, per simulated symbol
_SYMBOLS = 6000  # simulated, at most, to test an encoder
_FEWEST_SYMBOLS = 4000  # at least
_FEW_SYMBOLS = 2000  # simulated where only a prior of its own is looked at, by Gaussians
_KEPT = 64, 8  # symbols and draws at which an encoder is asked twice


class _NoGaussian(ValueError):
    """There is no Gaussian proposal for some symbol."""


@dataclass(frozen=True, eq=False)
class _EncoderProposal:
    encoder: WatchedEncoder
    x: Tensor
    components: int = 1

    def sample(self, k: int, generator: Generator) -> Tensor:
        return self.encoder.sample(self.x, k, generator)

    def log_prob(self, z: Tensor) -> Tensor:
        return self.encoder.log_prob(z, self.x)


_Proposal = _EncoderProposal | GaussianProposal
_Propose = Callable[[Tensor], _Proposal | None]
"""From symbols to a proposal for each of them, or None where there is none."""


@dataclass(frozen=True, eq=False)
class _Problem:
    """The marginal as the audit calls it, and on what it is audited."""

    marginal: Pushforward
    log_prior: Callable[[Tensor], Tensor]
    decode: Watched
    distortion: Distortion
    beta: float
    x: Float[Tensor, "n d"]
    probabilities: Float[Tensor, " n"] | None
    size: AuditSize
    weights: Float[Tensor, " n"] | None = None
    """Of the symbols, where they were drawn in strata."""

    def sample_latent(self, n: int, generator: Generator) -> Float[Tensor, "n l"]:
        """n draws of the prior."""
        return self.marginal.sample_latent(n, generator).double()

    def plug_in(self, x: Tensor, probabilities: Tensor | None, generator: Generator) -> Evaluation:
        """The plug-in on these symbols."""
        draws = self.decode(self.sample_latent(self.size.plug_in_draws, generator))
        weights = self.weights if x is self.x else None
        return plug_in(
            draws, self.distortion, x, probabilities, self.beta, exact_draws=True, weights=weights
        )


@dataclass(frozen=True, eq=False)
class _Route:
    """One kind of proposal beside the prior, and what is known of the mass of the weights."""

    name: str
    problem: _Problem
    propose: _Propose
    mass: Mass

    def counts(self, proposal: _Proposal) -> tuple[int, int]:
        """How many draws of the proposal, in equal parts of its components, and of the prior."""
        problem, parts = self.problem, proposal.components
        draws = draws_per_symbol(problem.size, len(problem.x), problem.probabilities)
        of_prior = max(1, draws // _PRIOR_SHARE)
        return max(1, (draws - of_prior) // parts) * parts, of_prior

    def draw(
        self, proposal: _Proposal, n: int, counts: tuple[int, int], generator: Generator
    ) -> Float[Tensor, "n k l"]:
        """So many draws of both for n symbols."""
        z = proposal.sample(counts[0], generator)
        other = self.problem.sample_latent(n * counts[1], generator)
        return torch.cat([z, other.reshape(n, counts[1], -1)], 1)

    def weigh(
        self, x: Float[Tensor, "n d"], z: Float[Tensor, "n k l"], proposal: _Proposal
    ) -> tuple[Float[Tensor, "n k"], Float[Tensor, "n k"]]:
        """log (p e^{-beta rho} / s) with s the mixture of e and the prior, and rho."""
        problem, flat = self.problem, z.reshape(-1, z.shape[2])
        of_proposal, of_prior = self.counts(proposal)
        log_p = problem.log_prior(flat).reshape(z.shape[:2])
        y = problem.decode(flat).reshape(*z.shape[:2], -1)
        rho = problem.distortion.value_and_grad(x[:, None].expand_as(y), y)[0]
        log_e = proposal.log_prob(z)
        s = torch.logaddexp(math.log(of_proposal) + log_e, math.log(of_prior) + log_p)
        return log_p - problem.beta * rho - s + math.log(of_proposal + of_prior), rho

    def proposal_at(self, x: Float[Tensor, "n d"]) -> _Proposal:
        """The proposal for these symbols.

        Raises:
            _NoGaussian: there is none.
        """
        found = self.propose(x)
        if found is None:
            raise _NoGaussian
        return found

    def evaluation(
        self, x: Tensor, probabilities: Tensor | None, *, generator: Generator
    ) -> Evaluation:
        """The estimate on these symbols; NaN, which is never chosen, where there is no proposal."""

        def weigh(part: Tensor) -> tuple[Tensor, Tensor]:
            proposal = self.proposal_at(part)
            counts = self.counts(proposal)
            return self.weigh(part, self.draw(proposal, len(part), counts, generator), proposal)

        problem = self.problem
        latent_dim = problem.sample_latent(1, generator).shape[1]
        draws = draws_per_symbol(problem.size, len(problem.x), problem.probabilities)
        rows = max(1, min(_BLOCK // draws, _HESSIANS // max(latent_dim, 1) ** 2))
        method = f"latent importance sampling, {self.name} proposal, {{k}} draws"
        try:
            return weighted(weigh, x, rows, probabilities, self.mass, method)
        except _NoGaussian:
            nan = torch.full((len(x),), math.nan, dtype=torch.float64, device=x.device)
            return Evaluation(potential=nan, distortion=nan, method="none", side="upper")

    def tested(self, generator: Generator) -> _Route:
        """The same, its weights tested on simulated symbols.

        Raises:
            ProposalFault: the encoder's weights are wrong, or cannot be tested.
            ValueError: those with the audit's own proposals are: it is the prior.
        """
        problem, last = self.problem, list[tuple[Tensor, _Proposal]]()

        def proposal_at(x: Tensor) -> _Proposal:
            # drawing and weighing, in turn, share it: it may be costly, or random
            if not last or last[0][0] is not x:
                last[:] = [(x, self.proposal_at(x))]
            return last[0][1]

        def forward(n: int, generator: Generator) -> tuple[Tensor, Tensor]:
            z = problem.sample_latent(n, generator)
            return z, problem.decode(z)

        def propose(x: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
            proposal = proposal_at(x)
            parts = proposal.components
            few = parts * max(1, _TEST_DRAWS // parts), _TEST_DRAWS
            z = self.draw(proposal, len(x), few, generator)
            return z, parts_of_mixture(self.counts(proposal), few).to(x)

        sampling = Sampling(forward, propose, lambda x, z: self.weigh(x, z, proposal_at(x))[0])
        distortion, beta, is_encoder = problem.distortion, problem.beta, self.name == "encoder"
        x, p, most = problem.x, problem.probabilities, _FEW_SYMBOLS
        if is_encoder:
            most = max(_FEWEST_SYMBOLS, min(_SYMBOLS, 2 * problem.size.symbols))
        try:
            found = checked_weights(sampling, distortion, x, p, beta, generator, most=most)
        except _NoGaussian:
            return self
        except ValueError as fault:
            if is_encoder and not isinstance(fault, (NotFinite, ProposalFault)):
                raise ProposalFault(str(fault)) from fault
            raise
        if not is_encoder:
            return self
        if found is None:
            raise ProposalFault("its weights could not be tested")
        return replace(self, mass=found)


@torch.no_grad()
def pushforward(
    marginal: Pushforward,
    distortion: Distortion,
    x: Float[Tensor, "n d"],
    probabilities: Float[Tensor, " n"] | None,
    beta: float,
    size: AuditSize,
    generator: Generator,
    weights: Float[Tensor, " n"] | None = None,
) -> Evaluation:
    """Plug-in or latent importance sampling, whichever a pilot on other draws finds lowest.

    Args:
        marginal: q, as a decoder and a prior.
        distortion: rho.
        x: the symbols (n, d).
        probabilities: their exact weights where the source is finite.
        beta: the slope, nats per unit of distortion.
        size: how much work may be done.
        generator: of all draws.
        weights: of the symbols, where they were drawn in strata.

    Raises:
        ValueError: the prior's ``log_prob`` is not the log density of its draws, ``decode`` gives
            points that are not finite, or either gives another value when asked again.
    """
    decode = Watched(marginal.decode, "decode", points=True)
    prior = (
        None if marginal.prior is None else Watched(marginal.prior.log_prob, "the prior's log_prob")
    )
    log_prior = prior or (lambda z: marginal.log_prior(z).double())
    problem = _Problem(
        marginal, log_prior, decode, distortion, beta, x, probabilities, size, weights
    )
    mass, note = _mass_of_prior(marginal, prior, generator)
    if mass is None:
        # An offset of the prior's log_prob would be an offset of F.
        found = replace(problem.plug_in(x, probabilities, generator), note=note)
    else:
        found = _chosen(problem, mass, generator)
    decode.verify(generator)
    if prior is not None:
        prior.verify(generator)
    return found


def _mass_of_prior(
    marginal: Pushforward, prior: Watched | None, generator: Generator
) -> tuple[Mass | None, str]:
    """The mass of the prior's log density, or why it is not known."""
    if marginal.prior is None or prior is None:
        return Mass(0.0, 0.0), ""
    if marginal.latent_dim > _LAPLACE_DIM:
        return None, f"the prior's log_prob is not tested in more than {_LAPLACE_DIM} dimensions"
    try:
        known = checked(Density(marginal.prior.sample, prior), _PRIOR_COMPONENTS, generator)
    except NotFinite as fault:
        return None, f"{fault}: not used"
    if known is None:
        return None, "the prior's log_prob is not used: how much it integrates to is not known"
    return known.mass, ""


def _chosen(problem: _Problem, mass: Mass, generator: Generator) -> Evaluation:
    """The evaluation by the first candidate that stands."""
    marginal, x, probabilities = problem.marginal, problem.x, problem.probabilities
    encoder = None
    if marginal.encoder is not None:
        encoder = WatchedEncoder(marginal.encoder, "the encoder")
    routes = _routes(problem, encoder, mass, generator)
    by_plug_in = functools.partial(problem.plug_in, generator=generator)
    notes: list[str] = []
    while True:
        candidates: dict[str, Candidate] = {
            name: functools.partial(route.evaluation, generator=generator)
            for name, route in routes.items()
        }
        candidates["plug-in"] = by_plug_in
        # An encoder's fault at a symbol ends its part; without it the pilot starts again.
        try:
            if encoder is not None and "encoder" in routes:
                encoder.keep(x[: _KEPT[0]], _KEPT[1], generator)
            chosen = choose(candidates, x, probabilities, problem.size.pilot_symbols, generator)
            if chosen == "encoder" or (chosen == "Gaussian" and marginal.prior is not None):
                route = routes[chosen].tested(generator)
                found = route.evaluation(x, probabilities, generator=generator)
            else:
                found = candidates[chosen](x, probabilities)
            if encoder is not None and chosen == "encoder":
                encoder.verify(generator)
        except ProposalFault as fault:
            notes.append(f"the encoder is left out: {fault}")
            routes.pop("encoder")
            continue
        if not bool(torch.isfinite(found.potential).all()):
            # A proposal that held on the pilot's symbols need not exist for every other.
            notes.append(f"there is no {chosen} proposal for some symbols: plug-in")
            found = by_plug_in(x, probabilities)
        return replace(found, note="; ".join(notes))


def _routes(
    problem: _Problem, encoder: WatchedEncoder | None, mass: Mass, generator: Generator
) -> dict[str, _Route]:
    """The proposals that may be tried, in the order in which they are preferred."""
    marginal, distortion, beta = problem.marginal, problem.distortion, problem.beta
    proposals: dict[str, _Propose] = {}
    small = 0 < marginal.latent_dim <= _LAPLACE_DIM
    if distortion.name == "squared_error" and small and beta > 0.0:
        proposals["Gaussian"] = lambda x: laplace(marginal, distortion, x, beta, generator)
    # The test of an encoder draws the noise of rho.
    testable = log_noise_mass(distortion, beta, problem.x.shape[1]) is not None
    if encoder is not None and testable:
        proposals["encoder"] = functools.partial(_EncoderProposal, encoder)
    # The audit's own proposal has nothing to be tested. Under a prior of the channel's it has, and
    # costs more than an encoder.
    first = "Gaussian" if marginal.prior is None else "encoder"
    names = sorted(proposals, key=lambda name: name != first)
    return {name: _Route(name, problem, proposals[name], mass) for name in names}
