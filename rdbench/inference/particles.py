"""Reproduction marginals on points, q = sum_j w_j delta(y_j): starts, sums and conditionals.

With Z(x) = sum_j w_j exp(-beta rho(x, y_j)) the test channel of Lemma 1 is categorical,
p(y_j|x) = w_j exp(-beta rho(x, y_j)) / Z(x), and its rate never exceeds log m for m points.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from rdbench.inference.plug_in import blocks, mean_distortion, tilt
from rdbench.types import Atoms, Distortion

_CHUNK = 1 << 22  # entries of a matrix of logits held at once
_LEAST_VARIANCE = 1e-3  # of the deconvolved spread, over the largest
# Entries of P held at once: what fits the cache of a core, and what fills an accelerator.
_CPU_ENTRIES, _DEVICE_ENTRIES = 500_000, 50_000_000
_SINGLE_ERROR = 1e-3  # of a logit, in nats


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
        lagrangian -= float(torch.logsumexp(logits, 1).sum())
        total += float(mean_distortion(torch.softmax(logits, 1), rho).sum())
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
    x: Float[Tensor, "b d"],
    y: Float[Tensor, "n d"],
    log_w: Float[Tensor, " n"],
    beta: float,
    squared: bool,
) -> tuple[Float[Tensor, " n"], Float[Tensor, "n d"], Float[Tensor, " d"]]:
    """Sums over a batch of P_ij = p(y_j|x_i), of which the gradient of F(q) in the y_j is made.

    mean_i P_ij; mean_i P_ij x_i, or of P_ij sign(x_i - y_j) under absolute error; and E|x - Y| per
    coordinate, which is computed for absolute error alone.

    Args:
        x: the batch, in coordinates that are centred and of about unit scale.
        y: the points.
        log_w: their log weights in nats.
        beta: the slope in nats per unit of distortion.
        squared: whether rho is squared error; else absolute error.
    """
    c, m, width = torch.zeros_like(log_w), torch.zeros_like(y), torch.zeros_like(y[0])
    rows = max(1, (_CPU_ENTRIES if x.device.type == "cpu" else _DEVICE_ENTRIES) // len(y))
    if not squared:
        for part in x.split(rows):
            p = torch.softmax(log_w - beta * torch.cdist(part, y, p=1.0), 1)
            c += p.sum(0)
            for k in range(y.shape[1]):
                r = part[:, k, None] - y[:, k]
                m[:, k] += (p * r.sign()).sum(0)
                width[k] += (p * r.abs_()).sum()
        return c / len(x), m / len(x), width / len(x)
    # One product with the symbols and a column of ones gives both sums. |x|^2 is common to a
    # row of P and drops out; the factors that are left are centred and of unit scale.
    ones = torch.cat([x, torch.ones_like(x[:, :1])], 1)
    both = y.new_zeros(x.shape[1] + 1, len(y))
    bias = log_w - beta * y.square().sum(1)
    buffer = y.new_empty(rows, len(y))
    for part in ones.split(rows):
        p = buffer[: len(part)]
        torch.addmm(bias, part[:, :-1], y.T, alpha=2.0 * beta, out=p)
        torch.softmax(p, 1, out=p)
        both.addmm_(part.T, p)
    return both[-1] / len(x), both[:-1].T / len(x), width


def working_type(x: Float[Tensor, "b d"], beta: float, squared: bool) -> torch.dtype:
    """float32 where the logits, up to 2 beta max |x|^2, keep three digits behind the point."""
    largest = float(x.square().sum(1).max()) if squared else float(x.abs().sum(1).max())
    error = 2.0 * beta * largest * torch.finfo(torch.float32).eps
    return torch.float32 if error < _SINGLE_ERROR else torch.float64
