"""Reproduction marginals on points, q = sum_j w_j delta(y_j): starts, sums and conditionals.

With Z(x) = sum_j w_j exp(-beta rho(x, y_j)) the test channel of Lemma 1 is categorical,
p(y_j|x) = w_j exp(-beta rho(x, y_j)) / Z(x), and its rate never exceeds log m for m points. All
arithmetic here is in float64.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Generator, Tensor

from rdbench.inference.plug_in import blocks, mean_distortion, tilt
from rdbench.types import Atoms, Distortion

# Dropping atoms of this mass in all changes F by about as much.
_PRUNED_MASS = 1e-13
_CHUNK = 1 << 22  # entries of a matrix of logits held at once
_LEAST_VARIANCE = 1e-3  # of the deconvolved spread, over the largest


def weighted(
    points: Float[ndarray, "m d"], weights: Float[ndarray, " m"], device: torch.device
) -> Atoms:
    """Atoms of these weights, less the lightest of 1e-13 in all (F moves by about as much)."""
    order = np.argsort(weights)
    kept = np.sort(order[np.searchsorted(np.cumsum(weights[order]), _PRUNED_MASS) :])
    w = weights[kept] / weights[kept].sum()
    return Atoms(
        torch.from_numpy(np.ascontiguousarray(points[kept], dtype=np.float64)).to(device),
        torch.from_numpy(np.log(w)).to(device),
    )


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
    """
    lagrangian = spent = 0.0
    for rho in blocks(distortion, x, atoms.points):
        logits = atoms.log_weights - tilt(rho, beta)
        lagrangian -= float(torch.logsumexp(logits, 1).sum())
        spent += float(mean_distortion(torch.softmax(logits, 1), rho).sum())
    # Rounding can make a rate negative; in this order max keeps NaN.
    return max(lagrangian - beta * spent, 0.0) / len(x), spent / len(x)


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
