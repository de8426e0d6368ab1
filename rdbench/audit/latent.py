"""Evaluation of a pushforward: the plug-in, or importance sampling in the latent space.

For q the law of g(z), z ~ p, Z(x) = E_p exp(-beta rho(x, g(z))). With n_e draws per symbol of a
proposal e(z|x) and n_p of the prior, the balance heuristic gives

    Z^(x) = sum_j p(z_j) e^{-beta rho(x, g(z_j))} / (n_e e(z_j|x) + n_p p(z_j)),

unbiased whatever e is, so -log Z^(x) lies above f(x) in expectation. Proposals are the channel's
encoder, where it has one, and Gaussians around good latent points (`rdbench.audit.laplace`).
An encoder, and a prior of its own, are tested on simulated symbols (`rdbench.audit.joint`); what
that leaves open widens the interval. One draw of the encoder alone would give back the variational
bound E log e/p + beta E rho; many are tighter (Burda, Grosse, Salakhutdinov 2015).
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from rdbench.audit.evaluation import Evaluation, ratio_bias, sampling_error
from rdbench.audit.joint import Sampling, checked_weights, law_of_symbols
from rdbench.audit.laplace import GaussianProposal, laplace
from rdbench.audit.normalisation import Mass, checked
from rdbench.audit.pilot import Candidate, choose
from rdbench.audit.size import AuditSize, of_letters
from rdbench.audit.sums import plug_in
from rdbench.audit.watch import NotFinite, ProposalFault, Watched, WatchedEncoder
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
class _Latents:
    """The marginal as the audit calls it, and on what it is audited."""

    sample_latent: Callable[[int, Generator], Tensor]
    log_prior: Callable[[Tensor], Tensor]
    decode: Watched
    distortion: Distortion
    beta: float

    def weigh(
        self,
        x: Float[Tensor, "n d"],
        z: Float[Tensor, "n k l"],
        proposal: _Proposal,
        of_proposal: int,
        of_prior: int,
    ) -> tuple[Float[Tensor, "n k"], Float[Tensor, "n k"]]:
        """log (p e^{-beta rho} / s) with s the mixture of e and the prior, and rho."""
        flat = z.reshape(-1, z.shape[2])
        log_p = self.log_prior(flat).reshape(z.shape[:2])
        y = self.decode(flat).reshape(*z.shape[:2], -1)
        rho = self.distortion.value_and_grad(x[:, None].expand_as(y), y)[0]
        log_e = proposal.log_prob(z)
        s = torch.logaddexp(math.log(of_proposal) + log_e, math.log(of_prior) + log_p)
        return log_p - self.beta * rho - s + math.log(of_proposal + of_prior), rho

    def draw(
        self, proposal: _Proposal, n: int, of_proposal: int, of_prior: int, generator: Generator
    ) -> Float[Tensor, "n k l"]:
        """Draws of both for n symbols."""
        z = proposal.sample(of_proposal, generator)
        other = self.sample_latent(n * of_prior, generator)
        return torch.cat([z, other.reshape(n, of_prior, -1)], 1)


@torch.no_grad()
def pushforward(
    marginal: Pushforward,
    distortion: Distortion,
    x: Float[Tensor, "n d"],
    probabilities: Float[Tensor, " n"] | None,
    beta: float,
    size: AuditSize,
    generator: Generator,
) -> Evaluation:
    """Plug-in or latent importance sampling, whichever a pilot on other draws finds lowest.

    Raises:
        ValueError: the prior's ``log_prob`` is not the log density of its draws, ``decode`` gives
            points that are not finite, or either gives another value when asked again.
    """
    decode = Watched(marginal.decode, "decode", points=True)
    prior = (
        None if marginal.prior is None else Watched(marginal.prior.log_prob, "the prior's log_prob")
    )
    latents = _Latents(
        lambda n, g: marginal.sample_latent(n, g).double(),
        (lambda z: marginal.log_prior(z).double()) if prior is None else prior,
        decode,
        distortion,
        beta,
    )
    found = _chosen(marginal, latents, prior, x, probabilities, size, generator)
    decode.verify(generator)
    if prior is not None:
        prior.verify(generator)
    return found


def _chosen(
    marginal: Pushforward,
    latents: _Latents,
    prior: Watched | None,
    x: Float[Tensor, "n d"],
    probabilities: Float[Tensor, " n"] | None,
    size: AuditSize,
    generator: Generator,
) -> Evaluation:
    """The evaluation by the first candidate that stands."""

    def by_plug_in(x: Tensor, probabilities: Tensor | None) -> Evaluation:
        draws = latents.decode(latents.sample_latent(size.plug_in_draws, generator))
        distortion, beta = latents.distortion, latents.beta
        return plug_in(draws, distortion, x, probabilities, beta, exact_draws=True)

    mass = Mass(0.0, 0.0)
    if prior is not None:
        assert marginal.prior is not None
        note = f"the prior's log_prob is not tested in more than {_LAPLACE_DIM} dimensions"
        known = None
        if marginal.latent_dim <= _LAPLACE_DIM:
            note = "the prior's log_prob is not used: how much it integrates to is not known"
            watched = Density(marginal.prior.sample, prior)
            try:
                known = checked(watched, _PRIOR_COMPONENTS, generator)
            except NotFinite as fault:
                note = f"{fault}: not used"
        if known is None:
            # An offset of the prior's log_prob would be an offset of F.
            return dataclasses.replace(by_plug_in(x, probabilities), note=note)
        mass = known.mass
    few = size if probabilities is None else of_letters(size, len(x))
    encoder = None
    if marginal.encoder is not None:
        encoder = WatchedEncoder(marginal.encoder, "the encoder")
    routes = _routes(marginal, latents, encoder, x, generator)
    notes: list[str] = []
    while True:
        candidates: dict[str, Candidate] = {
            name: functools.partial(_sampled, latents, propose, name, mass, few, generator)
            for name, propose in routes.items()
        }
        candidates["plug-in"] = by_plug_in
        # An encoder's fault at a symbol ends its part; without it the pilot starts again.
        try:
            if encoder is not None and "encoder" in routes:
                encoder.keep(x[: _KEPT[0]], _KEPT[1], generator)
            chosen = choose(candidates, x, probabilities, size.pilot_symbols, generator)
            tested = mass
            if chosen == "encoder" or (chosen == "Gaussian" and prior is not None):
                tested = _tested(
                    latents,
                    routes[chosen],
                    chosen,
                    mass,
                    x,
                    probabilities,
                    few.local_draws,
                    generator,
                    max(_FEWEST_SYMBOLS, min(_SYMBOLS, 2 * size.symbols)),
                )
            if chosen != "plug-in":
                candidates[chosen] = functools.partial(
                    _sampled, latents, routes[chosen], chosen, tested, few, generator
                )
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
        return dataclasses.replace(found, note="; ".join(notes))


def _routes(
    marginal: Pushforward,
    latents: _Latents,
    encoder: WatchedEncoder | None,
    x: Tensor,
    generator: Generator,
) -> dict[str, _Propose]:
    """The proposals that may be tried, in the order in which they are preferred."""
    routes: dict[str, _Propose] = {}
    distortion, beta = latents.distortion, latents.beta
    small = 0 < marginal.latent_dim <= _LAPLACE_DIM
    if distortion.name == "squared_error" and small and beta > 0.0:
        routes["Gaussian"] = lambda x: laplace(marginal, distortion, x, beta, generator)
    if encoder is not None and _row_by_row(distortion, x) and beta > 0.0:
        routes["encoder"] = functools.partial(_EncoderProposal, encoder)
    # The audit's own proposal has nothing to be tested. Under a prior of the channel's it has, and
    # costs more than an encoder.
    first = "Gaussian" if marginal.prior is None else "encoder"
    return dict(sorted(routes.items(), key=lambda route: route[0] != first))


def _row_by_row(distortion: Distortion, x: Tensor) -> bool:
    """Whether rho has a form row by row, and a noise (Hamming distortion: only pairs)."""
    try:
        distortion.value_and_grad(x[:1], x[:1])
    except NotImplementedError:
        return False
    return True


def _tested(
    latents: _Latents,
    propose: _Propose,
    name: str,
    mass: Mass,
    x: Float[Tensor, "n d"],
    probabilities: Float[Tensor, " n"] | None,
    draws_per_symbol: int,
    generator: Generator,
    most: int,
) -> Mass:
    """What the weights may have too much, from simulated symbols.

    Raises:
        ProposalFault: the encoder's weights are wrong, or cannot be tested.
        ValueError: those with the audit's own proposals are: it is the prior.
    """
    last: list[tuple[Tensor, _Proposal]] = []

    def proposal_at(x: Tensor) -> _Proposal:
        # drawing and weighing, in turn, share it: it may be costly, or random
        if not last or last[0][0] is not x:
            found = propose(x)
            if found is None:
                raise _NoGaussian
            last[:] = [(x, found)]
        return last[0][1]

    def forward(n: int, generator: Generator) -> tuple[Tensor, Tensor]:
        z = latents.sample_latent(n, generator)
        return z, latents.decode(z)

    def draws(x: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
        proposal = proposal_at(x)
        n, m = _counts(draws_per_symbol, proposal)
        few = proposal.components * max(1, _TEST_DRAWS // proposal.components)
        z = latents.draw(proposal, len(x), few, _TEST_DRAWS, generator)
        shares = [n / (few * (n + m))] * few + [m / (_TEST_DRAWS * (n + m))] * _TEST_DRAWS
        return z, torch.tensor(shares).to(x)

    def log_weights(x: Tensor, z: Tensor) -> Tensor:
        proposal = proposal_at(x)
        return latents.weigh(x, z, proposal, *_counts(draws_per_symbol, proposal))[0]

    sampling = Sampling(forward, draws, log_weights)
    distortion, beta = latents.distortion, latents.beta
    try:
        h = law_of_symbols(sampling, distortion, x, probabilities, beta, generator)
        most = most if name == "encoder" else _FEW_SYMBOLS
        found = None
        if h is not None:
            found = checked_weights(sampling, distortion, h, beta, generator, most)
    except NotFinite:
        raise
    except _NoGaussian:
        return mass
    except ValueError as fault:
        if name == "encoder" and not isinstance(fault, ProposalFault):
            raise ProposalFault(str(fault)) from fault
        raise
    if name != "encoder":
        return mass
    if found is None:
        raise ProposalFault("its weights could not be tested")
    return found


def _counts(draws: int, proposal: _Proposal) -> tuple[int, int]:
    """How many draws of the proposal, in equal parts of its components, and of the prior."""
    of_prior = max(1, draws // _PRIOR_SHARE)
    parts = proposal.components
    return max(1, (draws - of_prior) // parts) * parts, of_prior


def _sampled(
    latents: _Latents,
    propose: _Propose,
    name: str,
    mass: Mass,
    size: AuditSize,
    generator: Generator,
    x: Float[Tensor, "n d"],
    probabilities: Float[Tensor, " n"] | None,
) -> Evaluation:
    """The estimate, with what is not known of the ``mass`` of its weights."""
    latent_dim = latents.sample_latent(1, generator).shape[1]
    step = max(1, min(_BLOCK // size.local_draws, _HESSIANS // max(latent_dim, 1) ** 2))
    potential, spent, effective, bias = [], [], [], []
    k = size.local_draws
    for part in x.split(step):
        proposal = propose(part)
        if proposal is None:
            return _nothing(x)
        counts = _counts(size.local_draws, proposal)
        k = sum(counts)
        z = latents.draw(proposal, len(part), *counts, generator)
        log_w, rho = latents.weigh(part, z, proposal, *counts)
        log_z = torch.logsumexp(log_w, 1)
        posterior = torch.exp(log_w - log_z[:, None])
        potential.append(math.log(k) - log_z)
        spent.append((posterior * rho).sum(1))
        effective.append(1.0 / posterior.square().sum(1))
        bias.append(ratio_bias(posterior, rho))
    effective_draws = torch.cat(effective)
    return Evaluation(
        potential=torch.cat(potential),
        distortion=torch.cat(spent),
        method=f"latent importance sampling, {name} proposal, {k} draws",
        side="upper",
        probabilities=probabilities,
        ess=float(effective_draws.quantile(0.05)) / k,
        common_se=math.hypot(sampling_error(effective_draws, k, probabilities), mass.se),
        above=mass.above,
        excess=0.5 * (1.0 / effective_draws - 1.0 / k),
        distortion_bias=torch.cat(bias),
    )


def _nothing(x: Tensor) -> Evaluation:
    """What is never chosen."""
    nan = torch.full((len(x),), math.nan, dtype=torch.float64, device=x.device)
    return Evaluation(potential=nan, distortion=nan, method="none", side="upper")
