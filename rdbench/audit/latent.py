"""Evaluation of a pushforward: the plug-in, or importance sampling in the latent space.

For q the law of g(z), z ~ p, Z(x) = E_p exp(-beta rho(x, g(z))). With n_e draws per symbol of a
proposal e(z|x) and n_p of the prior, the balance heuristic gives

    Z^(x) = sum_j p(z_j) e^{-beta rho(x, g(z_j))} / (n_e e(z_j|x) + n_p p(z_j)),

unbiased whatever e is, so -log Z^(x) lies above f(x) in expectation. Proposals are the channel's
encoder, where it has one, and Gaussians around good latent points (`rdbench.audit.laplace`).
One draw of the encoder alone would give back the variational bound E log e/p + beta E rho; many
are tighter (Burda, Grosse, Salakhutdinov 2015).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from rdbench.audit.evaluation import Evaluation, sampling_error
from rdbench.audit.laplace import GaussianProposal, laplace
from rdbench.audit.normalisation import checked_mixture, judged, log_mass
from rdbench.audit.pilot import Candidate, choose
from rdbench.audit.size import AuditSize, of_letters
from rdbench.audit.sums import plug_in
from rdbench.inference.em import fit_gaussian, select_mixture
from rdbench.types import Distortion, Encoder, Pushforward

_BLOCK = 100_000  # latent points decoded at once
_HESSIANS = 2_000_000  # numbers in all Hessians held at once
_CHECKED_SYMBOLS = 8
_CHECK_DRAWS = 1000
_PRIOR_COMPONENTS = 8  # of the mixture that a prior's normalisation is checked with
_LAPLACE_DIM = 200  # beyond it the Hessians of every symbol cost too much
_PRIOR_SHARE = 8  # one draw in eight is the prior's: it bounds the weights


@dataclass(frozen=True, eq=False)
class _EncoderProposal:
    encoder: Encoder
    x: Tensor
    components: int = 1

    def sample(self, k: int, generator: Generator) -> Tensor:
        return self.encoder.sample(self.x, k, generator).double()

    def log_prob(self, z: Tensor) -> Tensor:
        return self.encoder.log_prob(z, self.x).double()


_Propose = Callable[[Tensor], _EncoderProposal | GaussianProposal | None]
"""From symbols to a proposal for each of them, or None where there is none."""


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
        ValueError: the prior's ``log_prob`` does not integrate to one against its draws.
    """

    def by_plug_in(x: Tensor, probabilities: Tensor | None) -> Evaluation:
        draws = marginal.sample(size.plug_in_draws, generator).double()
        return plug_in(draws, distortion, x, probabilities, beta, exact_draws=True)

    if marginal.prior is not None and (
        marginal.latent_dim > _LAPLACE_DIM
        or checked_mixture(marginal.prior, _PRIOR_COMPONENTS, generator) is None
    ):
        # An offset of the prior's log_prob would be an offset of F.
        return by_plug_in(x, probabilities)

    if probabilities is not None:
        size = of_letters(size, len(x))

    def sampled(
        name: str, propose: _Propose, x: Tensor, probabilities: Tensor | None
    ) -> Evaluation:
        return _sampled(
            marginal, distortion, x, probabilities, beta, propose, name, size, generator
        )

    candidates: dict[str, Candidate] = {}
    encoder = marginal.encoder
    if encoder is not None and _may_propose(encoder, distortion, x, generator):
        candidates["encoder"] = functools.partial(
            sampled, "encoder", functools.partial(_EncoderProposal, encoder)
        )
    if distortion.name == "squared_error" and 0 < marginal.latent_dim <= _LAPLACE_DIM and beta > 0:
        candidates["Gaussian"] = functools.partial(
            sampled, "Gaussian", lambda x: laplace(marginal, distortion, x, beta, generator)
        )
    candidates["plug-in"] = by_plug_in
    chosen = choose(candidates, x, probabilities, size.pilot_symbols, generator)
    found = candidates[chosen](x, probabilities)
    if not bool(torch.isfinite(found.potential).all()):
        # A proposal that held on the pilot's symbols need not exist for every other.
        found = by_plug_in(x, probabilities)
    return found


def _nothing(x: Tensor) -> Evaluation:
    """What is never chosen."""
    nan = torch.full((len(x),), math.nan, dtype=torch.float64, device=x.device)
    return Evaluation(potential=nan, distortion=nan, method="none", side="upper")


def _may_propose(encoder: Encoder, distortion: Distortion, x: Tensor, generator: Generator) -> bool:
    """Whether e(z|x) integrates to one at a few x, by a Gaussian or a mixture fitted to its draws.

    An encoder only proposes: one whose density is not that of its draws, or that fails, is left
    out, because its weights would be wrong by the same factor. So is every encoder where rho has
    no form row by row (Hamming distortion: only in pairs).
    """
    try:
        distortion.value_and_grad(x[:1], x[:1])
    except NotImplementedError:
        return False
    rows = x[torch.randint(len(x), (_CHECKED_SYMBOLS,), generator=generator, device=x.device)]
    try:
        for row in rows.split(1):
            verdict = "open"
            # At low rate e(z|x) is nearly the prior, with all its modes.
            for components in (1, _PRIOR_COMPONENTS):
                if verdict == "open":
                    verdict = _encoder_verdict(encoder, row, components, generator)
            if verdict != "normalised":
                return False
    except Exception:  # an estimator's code may raise anything; the plug-in needs none of it
        return False
    return True


def _encoder_verdict(
    encoder: Encoder, row: Float[Tensor, "1 d"], components: int, generator: Generator
) -> Literal["normalised", "wrong", "open"]:
    """What bridge sampling says of e(z|x) at one x."""
    draws = encoder.sample(row, 2 * _CHECK_DRAWS, generator).double()
    fit, held_out = draws[0, :_CHECK_DRAWS], draws[:, _CHECK_DRAWS:]
    g = fit_gaussian(fit) if components == 1 else select_mixture(fit, components, generator)
    other = g.sample(_CHECK_DRAWS, generator)
    return judged(
        *log_mass(
            encoder.log_prob(held_out, row)[0].double() - g.log_prob(held_out[0]),
            encoder.log_prob(other[None], row)[0].double() - g.log_prob(other),
        )
    )


def _sampled(
    marginal: Pushforward,
    distortion: Distortion,
    x: Float[Tensor, "n d"],
    probabilities: Float[Tensor, " n"] | None,
    beta: float,
    propose: _Propose,
    name: str,
    size: AuditSize,
    generator: Generator,
) -> Evaluation:
    from_prior = max(1, size.local_draws // _PRIOR_SHARE)
    step = max(1, min(_BLOCK // size.local_draws, _HESSIANS // max(marginal.latent_dim, 1) ** 2))
    potential, spent, effective = [], [], []
    k = size.local_draws
    for part in x.split(step):
        b = len(part)
        proposal = propose(part)
        if proposal is None:
            return _nothing(x)
        parts = proposal.components
        from_proposal = max(1, (size.local_draws - from_prior) // parts) * parts
        k = from_prior + from_proposal
        z = proposal.sample(from_proposal, generator)
        other = marginal.sample_latent(b * from_prior, generator).double()
        z = torch.cat([z, other.reshape(b, from_prior, -1)], 1)
        flat = z.reshape(b * k, -1)
        log_p = marginal.log_prior(flat).double().reshape(b, k)
        y = marginal.decode(flat).double().reshape(b, k, -1)
        rho = distortion.value_and_grad(part[:, None].expand_as(y), y)[0]
        log_e = proposal.log_prob(z)
        mixed = torch.logaddexp(math.log(from_proposal) + log_e, math.log(from_prior) + log_p)
        log_w = log_p - beta * rho - mixed
        log_z = torch.logsumexp(log_w, 1)
        posterior = torch.exp(log_w - log_z[:, None])
        potential.append(-log_z)
        spent.append((posterior * rho).sum(1))
        effective.append(1.0 / posterior.square().sum(1))
    effective_draws = torch.cat(effective)
    return Evaluation(
        potential=torch.cat(potential),
        distortion=torch.cat(spent),
        method=f"latent importance sampling, {name} proposal, {k} draws",
        side="upper",
        probabilities=probabilities,
        ess=float(effective_draws.quantile(0.05)) / k,
        common_se=sampling_error(effective_draws, k, probabilities),
    )
