"""One evaluator for every channel, on draws that no estimator has seen.

``audit`` picks the method by the kind of the reproduction marginal: exact sums for atoms and (under
squared error) products, quadrature for energies in d <= 2 and annealed importance sampling with an
acceptance test above, importance sampling or the plug-in of the paper's Appendix A for densities
and pushforwards, whichever a pilot on separate draws finds lower.
"""

from __future__ import annotations

import dataclasses
import math

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from rdbench.audit.annealed import annealed
from rdbench.audit.conditional import conditional_error
from rdbench.audit.evaluation import Evaluation
from rdbench.audit.gain import UNKNOWN, Gain, gain_of
from rdbench.audit.importance import density
from rdbench.audit.latent import pushforward
from rdbench.audit.lower import audit_bound
from rdbench.audit.quadrature import quadrature
from rdbench.audit.scoring import audited
from rdbench.audit.size import SIZES, AuditSize
from rdbench.audit.sums import atoms, gaussians, plug_in, product
from rdbench.audit.symbols import BLOCKS, Symbols, draw_symbols
from rdbench.sources.mixture import GaussianMixture
from rdbench.types import (
    Atoms,
    Audited,
    Density,
    DualBound,
    Energy,
    Gaussians,
    Marginal,
    Problem,
    Product,
    Pushforward,
    Reference,
    TestChannel,
)

__all__ = ["SIZES", "AuditSize", "audit"]

_QUADRATURE_DIM = 2
_SMOOTH = ("squared_error", "absolute_error")
# The plug-in carries a rate while every symbol still has this many effective draws of q.
_PLUG_IN_MIN_DRAWS = 20.0
_FEWEST = 256  # symbols of a source that is not drawn in strata


def audit(
    channel: TestChannel | DualBound,
    problem: Problem,
    reference: Reference,
    *,
    size: AuditSize,
    generator: Generator,
) -> Audited:
    """Evaluate F(q), R and D of a channel and its gap to the truth, in nats.

    A dual bound is evaluated by `rdbench.audit.lower`.

    A finite source is summed over exactly, except under an energy; any other is drawn afresh from
    ``generator``, whose stream must not be the training stream, in d = 1 and for elliptical
    sources in strata that reach into the tails (`rdbench.audit.symbols`). Where the reference knows
    p*(y|x), ``sample_conditional`` is compared with it; should that fail, its fields are NaN.

    Args:
        channel: q, p(y|x) and the claim at one slope; or a dual bound.
        problem: the source, the distortion and the alphabet.
        reference: the truth that the gap is taken to.
        size: how much work may be done.
        generator: of all draws; its stream must not be the training stream.

    Raises:
        RdbenchError: the source drew symbols that are not finite.
        ValueError: q is not normalised, or not on the given reproduction alphabet.
    """
    if isinstance(channel, DualBound):
        return audit_bound(channel, problem, reference, size=size, generator=generator)
    # What evaluates an energy needs few symbols at a high price each: it takes draws.
    drawn = isinstance(channel.marginal, Energy) and problem.distortion.name in _SMOOTH
    symbols = draw_symbols(problem, size.symbols, generator, drawn=drawn)
    evaluation = _evaluate(channel, problem, symbols, size, generator)
    result = audited(evaluation, reference, symbols, channel.beta)
    n = size.paper_draws
    if n > 0:
        protocol = plug_in(
            channel.marginal.sample(n, generator).detach().double(),
            problem.distortion,
            symbols.x[:n] if symbols.probabilities is None else symbols.x,
            symbols.probabilities,
            channel.beta,
            exact_draws=False,
            weights=symbols.weights,
        )
        gap = audited(protocol, reference, symbols, channel.beta).gap
        result = dataclasses.replace(result, gap_paper_protocol=gap, n_paper_protocol=n)
    found = conditional_error(channel, problem, reference, size, generator)
    gain = _gain_over_start(channel, evaluation, problem, symbols, size, generator)
    return dataclasses.replace(
        result,
        gain=gain.value,
        gain_lo=gain.lo,
        gain_hi=gain.hi,
        conditional_error=found.error,
        conditional_lo=found.lo,
        conditional_hi=found.hi,
        conditional_floor=found.floor,
        mode_mass_error=found.mode_mass,
    )


def _gain_over_start(
    channel: TestChannel,
    evaluation: Evaluation,
    problem: Problem,
    symbols: Symbols,
    size: AuditSize,
    generator: Generator,
) -> Gain:
    """F(start) - F(q); the start is evaluated last, so that it moves none of the other draws.

    Of drawn symbols half will do: the gain is read in tenths of a nat.
    """
    if channel.start is None:
        return UNKNOWN
    if channel.is_start:
        return Gain(0.0, 0.0, 0.0)
    begun = dataclasses.replace(channel, marginal=channel.start.marginal, start=None)
    few = _first_blocks(symbols, BLOCKS // 2)
    return gain_of(_evaluate(begun, problem, few, size, generator), evaluation, symbols)


def _first_blocks(symbols: Symbols, blocks: int) -> Symbols:
    """So many of the ``BLOCKS`` blocks of drawn symbols; every letter of a finite source."""
    if symbols.probabilities is not None:
        return symbols
    kept = blocks * symbols.block
    if not symbols.stratified:
        kept = max(kept, _FEWEST)
    return dataclasses.replace(
        symbols,
        x=symbols.x[:kept],
        weights=None if symbols.weights is None else symbols.weights[:kept],
        groups=None if symbols.groups is None else symbols.groups[:kept],
    )


def _check_alphabet(marginal: Marginal, alphabet: Float[Tensor, "m d"]) -> None:
    """Where the reproduction alphabet is given, q has to live on it."""
    if not isinstance(marginal, Atoms):
        raise ValueError("the reproduction alphabet is given: the marginal has to be atoms on it")
    used = marginal.points[marginal.log_weights > -math.inf].double()
    distance = torch.cdist(used, alphabet.to(used.device).double()).min(1).values
    if bool((distance > 1e-9 * (1.0 + used.abs().max())).any()):
        raise ValueError("the marginal has atoms outside the reproduction alphabet")


def _evaluate(
    channel: TestChannel,
    problem: Problem,
    symbols: Symbols,
    size: AuditSize,
    generator: Generator,
) -> Evaluation:
    marginal, distortion, beta = channel.marginal, problem.distortion, channel.beta
    if problem.alphabet is not None:
        _check_alphabet(marginal, problem.alphabet)
    if isinstance(marginal, Pushforward) and symbols.stratified:
        # Each costs many decoded draws, and strata leave little of the spread between symbols.
        symbols = _first_blocks(symbols, BLOCKS // 2)
    x, probabilities, weights = symbols.x, symbols.probabilities, symbols.weights
    if isinstance(marginal, Atoms):
        return atoms(marginal, distortion, x, probabilities, beta, size.kernel_evaluations)
    if isinstance(marginal, Product) and distortion.name == "squared_error":
        return product(marginal, x, probabilities, beta, size.kernel_evaluations)
    if isinstance(marginal, Gaussians):
        if distortion.name == "squared_error":
            return gaussians(marginal, x, probabilities, beta, size.kernel_evaluations)
        mixture = GaussianMixture(marginal.weights, marginal.means, marginal.covs)
        marginal = Density(mixture.sample, mixture.log_prob)
    if isinstance(marginal, Density):
        return density(marginal, distortion, x, probabilities, beta, size, generator, weights)
    if isinstance(marginal, Pushforward):
        return pushforward(marginal, distortion, x, probabilities, beta, size, generator, weights)
    exact = isinstance(marginal, Product)
    if isinstance(marginal, Energy) and probabilities is None and distortion.name in _SMOOTH:
        if x.shape[1] <= _QUADRATURE_DIM:
            return quadrature(channel, marginal, distortion, x, generator, weights)
        if distortion.name == "squared_error":
            return annealed(channel, marginal, x, size, generator, weights)
    draws = marginal.sample(size.plug_in_draws, generator).detach().double()
    evaluation = plug_in(
        draws, distortion, x, probabilities, beta, exact_draws=exact, weights=weights
    )
    if evaluation.ess * len(draws) < _PLUG_IN_MIN_DRAWS:
        # Too high in expectation, and by an unknown amount: no lower end.
        return dataclasses.replace(evaluation, accepted=False, below=math.inf)
    return evaluation
