"""Reproduction marginals on points, q = sum_j w_j delta(y_j): starts, sums and conditionals.

With Z(x) = sum_j w_j exp(-beta rho(x, y_j)) the test channel of Lemma 1 is categorical,
p(y_j|x) = w_j exp(-beta rho(x, y_j)) / Z(x), and its rate never exceeds log m for m points.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from rdbench.exponentials import boltzmann
from rdbench.inference.plug_in import blocks, tilt
from rdbench.types import Atoms, Distortion

_CHUNK = 1 << 22  # entries of a matrix of logits held at once
_LEAST_VARIANCE = 1e-3  # of the deconvolved spread, over the largest
# Entries of P held at once: what fits the cache of a core, and what fills an accelerator.
_CPU_ENTRIES, _DEVICE_ENTRIES = 500_000, 50_000_000
SINGLE_ERROR = 1e-3
"""Error of a logit in nats that does no harm."""
_ABOVE_TINY = 20.0  # nats above the least normal number: what a sum of P may still lose


def conditional(
    atoms: Atoms, distortion: Distortion, beta: float
) -> Callable[[Tensor, int, Generator], Tensor]:
    """Draws of p(y|x) ~ w(y) exp(-beta rho(x, y)): categorical, some rows of x at a time."""
    rows = max(1, _CHUNK // len(atoms.points))

    def sample(x: Float[Tensor, "n d"], k: int, generator: Generator) -> Float[Tensor, "n k d"]:
        picked = []
        for part in torch.split(x.double(), rows):
            logits = atoms.log_weights - tilt(distortion.pairwise(part, atoms.points), beta)
            chances = torch.softmax(logits, 1)
            picked.append(torch.multinomial(chances, k, replacement=True, generator=generator))
        return atoms.points[torch.cat(picked)]

    return sample


def exact_point(
    atoms: Atoms, distortion: Distortion, x: Float[Tensor, "n d"], beta: float
) -> tuple[float, float]:
    """(R, D) of the atoms over the symbols x, in nats; R + beta D = -mean_i log Z(x_i).

    On symbols that took no part in choosing the atoms, the mean of R + beta D is F(q) >= F*.

    Args:
        atoms: q.
        distortion: rho.
        x: symbols, (n, d).
        beta: the slope in nats per unit of distortion.
    """
    lagrangian = total = 0.0
    for rho in blocks(distortion, x, atoms.points):
        logits = atoms.log_weights - tilt(rho, beta)
        log_z, mean = boltzmann(logits, rho)
        lagrangian -= float(log_z.sum())
        total += float(mean.sum())
    # Rounding can make a rate negative; in this order max keeps NaN.
    return max(lagrangian - beta * total, 0.0) / len(x), total / len(x)


def deconvolved_draws(
    draws: Float[Tensor, "n d"], like: Float[Tensor, "k d"], noise: float
) -> Float[Tensor, "n d"]:
    """Draws shrunk towards the mean until ``noise`` I is taken out of the covariance of ``like``.

    Of a Gaussian source under squared error, with noise = 1 / (2 beta), these are draws of the
    optimal marginal (reverse water-filling). Inactive directions keep a thousandth of the largest
    variance, so that particles can still spread there.
    """
    mean = like.mean(0)
    centred = like - mean
    variances, axes = torch.linalg.eigh(centred.T @ centred / max(len(like) - 1, 1))
    largest = float(variances.max())
    left = (variances - noise).clamp(min=_LEAST_VARIANCE * largest)
    # a direction without spread of its own (few or degenerate draws) is left as it is
    ratio = torch.where(variances > 1e-12 * largest, left / variances, 1.0).clamp(0.0, 1.0)
    shrink = (axes * ratio.sqrt()) @ axes.T
    out: Tensor = mean + (draws - mean) @ shrink
    return out


def starting_points(
    draws: Float[Tensor, "n d"], like: Float[Tensor, "k d"], noise: float
) -> Float[Tensor, "n d"]:
    """Three quarters of the draws deconvolved, the rest as they are.

    Deconvolved draws are the better start in many dimensions; the others serve sources whose
    optimum at low rate is no shrunk copy of them, such as modes far apart.
    """
    plain = len(draws) // 4
    return torch.cat([draws[:plain], deconvolved_draws(draws[plain:], like, noise)])


def posterior_sums(
    x: Float[Tensor, "*k b d"],
    y: Float[Tensor, "*k n d"],
    log_w: Float[Tensor, "*k n"],
    beta: float,
    squared: bool,
) -> tuple[Float[Tensor, "*k n"], Float[Tensor, "*k n d"], Float[Tensor, "*k d"]]:
    """Sums over a batch of P_ij = p(y_j|x_i), of which the gradient of F(q) in the y_j is made.

    mean_i P_ij; mean_i P_ij x_i, or of P_ij sign(x_i - y_j) under absolute error; and E|x - Y| per
    coordinate, which is computed for absolute error alone. A leading axis counts k problems that
    have nothing in common.

    Args:
        x: the batch, in coordinates that are centred and of about unit scale.
        y: the points.
        log_w: their log weights in nats.
        beta: the slope in nats per unit of distortion.
        squared: whether rho is squared error; else absolute error.
    """
    if y.ndim == 2:
        c, m, width = posterior_sums(x[None], y[None], log_w[None], beta, squared)
        return c[0], m[0], width[0]
    count = x.shape[1]
    entries = _CPU_ENTRIES if x.device.type == "cpu" else _DEVICE_ENTRIES
    parts = max(1, entries // log_w.numel())
    if not squared:
        c, m, width = torch.zeros_like(log_w), torch.zeros_like(y), torch.zeros_like(y[:, 0])
        for part in x.split(parts, 1):
            p = _posterior(log_w[:, None] - beta * torch.cdist(part, y, p=1.0))
            c += p.sum(1)
            for j in range(y.shape[2]):
                r = part[:, :, None, j] - y[:, None, :, j]
                m[..., j] += (p * r.sign()).sum(1)
                width[..., j] += (p * r.abs_()).sum((1, 2))
        return c / count, m / count, width / count
    # One product with the symbols and a column of ones gives both sums. |x|^2 is common to a
    # row of P and drops out; the factors that are left are centred and of unit scale.
    ones = torch.cat([x, torch.ones_like(x[..., :1])], 2)
    both = y.new_zeros(len(y), x.shape[2] + 1, y.shape[1])
    bias = (log_w - beta * y.square().sum(2))[:, None]
    buffer = y.new_empty(len(y), min(parts, count), y.shape[1])
    for part in ones.split(parts, 1):
        p = buffer[:, : part.shape[1]]
        torch.baddbmm(bias, part[..., :-1], y.mT, alpha=2.0 * beta, out=p)
        both.baddbmm_(part.mT, _posterior(p))
    return both[:, -1] / count, both[:, :-1].mT / count, torch.zeros_like(y[:, 0])


def _posterior(logits: Float[Tensor, "k b n"]) -> Float[Tensor, "k b n"]:
    """Softmax in place, without subnormal numbers: a CPU takes ten times as long over these."""
    least = math.log(torch.finfo(logits.dtype).tiny) + _ABOVE_TINY
    torch.maximum(logits, logits.amax(2, keepdim=True) + least, out=logits)
    return torch.softmax(logits, 2, out=logits)


def working_type(
    x: Float[Tensor, "b d"], beta: float, squared: bool, error: float = SINGLE_ERROR
) -> torch.dtype:
    """float32 where the logits, up to 2 beta max |x|^2, err by less than ``error`` nats."""
    largest = float(x.square().sum(1).max()) if squared else float(x.abs().sum(1).max())
    rounding = 2.0 * beta * largest * torch.finfo(torch.float32).eps
    return torch.float32 if rounding < error else torch.float64
