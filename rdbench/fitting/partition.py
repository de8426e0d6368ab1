"""log Z(x) of a reproduction marginal q, Z(x) = E_q exp(-beta rho(x, Y)), a fixed function of x."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from rdbench.exponentials import log_sum_exp
from rdbench.inference.plug_in import blocks, tilt
from rdbench.inference.product import exact_sums
from rdbench.sources.mixture import GaussianMixture
from rdbench.types import (
    Atoms,
    Density,
    Distortion,
    Gaussians,
    Marginal,
    Product,
    Pushforward,
)

_PLUG_IN = 4_096
_PROPOSED = 32  # draws per symbol of a proposal
_ROWS = 4_096
_ENTRIES = 400_000  # of a block of the kernel matrix: it stays in the cache
_LIGHTEST = -16.0  # log weight of an atom, less the largest
_TRIED_AT, _TRIED, _EXACT = 64, 4, 1e-6

LogPartition = Callable[[Tensor], Tensor]


def log_partition(
    q: Marginal, distortion: Distortion, beta: float, generator: Generator
) -> tuple[LogPartition, str]:
    """log Z of q, (n, d) -> (n,), and in words what it is of.

    Args:
        q: the reproduction marginal.
        distortion: rho.
        beta: the slope.
        generator: of the draws of q that stand for it where nothing better is known.
    """
    if isinstance(q, Product) and distortion.name == "squared_error":
        product = q
        return lambda x: exact_sums(product, x, beta)[0], "a product"
    if isinstance(q, Gaussians) and distortion.name == "squared_error":
        mixture = GaussianMixture(q.weights, q.means, q.covs)
        return lambda x: mixture.log_partition(x, beta), "a Gaussian mixture"
    if isinstance(q, Density) and q.proposal is not None:
        tried = q.sample(_PLUG_IN, generator)[:_TRIED_AT].detach().double()
        return _proposed(q, distortion, beta, tried), "a density"
    if isinstance(q, Pushforward) and q.encoder is not None:
        return _encoded(q, distortion, beta), "a generator"
    if isinstance(q, Atoms):
        # Atoms with next to no mass cost time and say nothing but in the tails.
        kept = q.log_weights > float(q.log_weights.max()) + _LIGHTEST
        return _of_atoms(q.points[kept], q.log_weights[kept], distortion, beta), "atoms"
    points = q.sample(_PLUG_IN, generator).detach().double()
    weights = points.new_full((_PLUG_IN,), -math.log(_PLUG_IN))
    return _of_atoms(points, weights, distortion, beta), f"{_PLUG_IN} draws of q"


def _of_atoms(
    points: Float[Tensor, "m d"], log_weights: Float[Tensor, " m"], rho: Distortion, beta: float
) -> LogPartition:
    points, log_weights = points.detach().double().clone(), log_weights.detach().double().clone()
    if rho.name == "squared_error":
        return _of_squares(points, log_weights, beta)

    def log_z(x: Tensor) -> Tensor:
        found = [log_sum_exp(log_weights - tilt(r, beta), 1) for r in blocks(rho, x, points)]
        return torch.cat(found)

    return log_z


def _of_squares(
    points: Float[Tensor, "m d"], log_weights: Float[Tensor, " m"], beta: float
) -> LogPartition:
    """The same under squared error by one product of matrices, without a copy."""
    centre = points.mean(0)
    y = points - centre
    ahead = (2.0 * beta * y).T.contiguous()
    base = log_weights - beta * y.square().sum(1)
    rows = max(1, _ENTRIES // len(y))

    def log_z(x: Tensor) -> Tensor:
        found = []
        for part in (x - centre).split(rows):
            terms = torch.addmm(base, part, ahead)
            top = terms.max(1, keepdim=True).values
            total = terms.sub_(top).exp_().sum(1)
            found.append(total.log() + top[:, 0] - beta * part.square().sum(1))
        return torch.cat(found)

    return log_z


def _proposed(q: Density, rho: Distortion, beta: float, at: Float[Tensor, "n d"]) -> LogPartition:
    """log mean_k q(y_k) exp(-beta rho(x, y_k)) / e(y_k|x), y_k ~ e; the same noise every time."""
    proposal = q.proposal
    assert proposal is not None
    draws = _PROPOSED

    def log_z(x: Tensor) -> Tensor:
        g = Generator(device=x.device).manual_seed(0)
        found = []
        for part in x.split(_ROWS):
            terms = of_draws(part, draws, g)
            found.append(log_sum_exp(terms, 1) - math.log(terms.shape[1]))
        return torch.cat(found).detach()

    def of_draws(x: Tensor, k: int, g: Generator) -> Tensor:
        y = proposal.sample(x, k, g).detach().double()
        n, k, d = y.shape
        spent, _ = rho.value_and_grad(x[:, None].expand(n, k, d), y)
        log_q = q.log_prob(y.reshape(-1, d)).reshape(n, k)
        return log_q - beta * spent - proposal.log_prob(y, x)

    stream = Generator(device=at.device).manual_seed(0)
    if float(of_draws(at, _TRIED, stream).std(1).max()) < _EXACT:
        draws = 1  # the proposal is p(y|x) itself: any draw gives Z
    return log_z


def _encoded(q: Pushforward, rho: Distortion, beta: float) -> LogPartition:
    """The same on the latent space of a generator."""
    encoder = q.encoder
    assert encoder is not None

    def log_z(x: Tensor) -> Tensor:
        g = Generator(device=x.device).manual_seed(0)
        found = []
        for part in x.split(_ROWS):
            z = encoder.sample(part, _PROPOSED, g).detach().double()
            n, k, width = z.shape
            flat = z.reshape(-1, width)
            y = q.decode(flat).detach().double().reshape(n, k, -1)
            spent, _ = rho.value_and_grad(part[:, None].expand_as(y), y)
            terms = q.log_prior(flat).reshape(n, k) - beta * spent - encoder.log_prob(z, part)
            found.append(log_sum_exp(terms, 1) - math.log(k))
        return torch.cat(found).detach()

    return log_z
