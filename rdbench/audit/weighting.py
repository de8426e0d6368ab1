"""The loop of importance sampling, whatever the proposals: weights in, an evaluation out.

At every symbol Z(x) is estimated by Z^(x) = mean_j w_j over k draws, w = q e^{-beta rho} / s with s
the mixture of the proposals (the balance heuristic: Veach and Guibas 1995; Owen and Zhou 2000). It
is unbiased, so that -log Z^(x) lies above f(x) in expectation, by half the squared coefficient of
variation to leading order; E[rho | x] is the ratio sum_j w_j rho_j / sum_j w_j.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from rdbench.audit.evaluation import Evaluation
from rdbench.audit.normalisation import Mass
from rdbench.exponentials import log_sum_exp

Weigh = Callable[[Tensor], tuple[Tensor, Tensor]]
"""From symbols (n, d) to log w and rho, both (n, k), at fresh draws of the proposals."""


def weighted(
    weigh: Weigh,
    x: Float[Tensor, "n d"],
    rows: int,
    probabilities: Float[Tensor, " n"] | None,
    mass: Mass,
    method: str,
) -> Evaluation:
    """The estimate of f and of E[rho | x], with the errors that the weights themselves tell.

    Args:
        weigh: draws and weighs for a part of the symbols.
        x: the symbols.
        rows: symbols in a part.
        probabilities: exact weights of the symbols of a finite source.
        mass: of the weights, as far as it is known, in nats.
        method: how the evaluation is called; ``{k}`` stands for the draws per symbol.
    """
    potential, distortion, effective, bias, k = [], [], [], [], 1
    for part in x.split(rows):
        log_w, rho = weigh(part)
        k = log_w.shape[1]
        log_z = log_sum_exp(log_w, 1)
        posterior = torch.softmax(log_w, 1)
        potential.append(math.log(k) - log_z)
        mean = (posterior * rho).sum(1)
        distortion.append(mean)
        effective.append(1.0 / posterior.square().sum(1))
        # The delta method for a ratio of means of k draws: -sum_j w_j^2 (rho_j - mean).
        bias.append(-(posterior.square() * (rho - mean[:, None])).sum(1))
    effective_draws = torch.cat(effective)
    return Evaluation(
        potential=torch.cat(potential),
        distortion=torch.cat(distortion),
        method=method.format(k=k),
        side="upper",
        ess=float(effective_draws.quantile(0.05)) / k,
        common_se=math.hypot(sampling_error(effective_draws, k, probabilities), mass.se),
        above=mass.above,
        excess=0.5 * (1.0 / effective_draws - 1.0 / k),
        distortion_bias=torch.cat(bias),
    )


def parts_of_mixture(counts: Sequence[int], few: Sequence[int]) -> Float[Tensor, " k"]:
    """How much of the mixture s every draw stands for, where ``few`` of a proposal stand for all.

    Args:
        counts: draws of every proposal in s.
        few: those that are made.
    """
    total = sum(counts)
    parts = [n / (total * m) for n, m in zip(counts, few, strict=True) for _ in range(m)]
    return torch.tensor(parts)


def sampling_error(
    effective: Float[Tensor, " n"], draws: int, probabilities: Float[Tensor, " n"] | None
) -> float:
    """The standard error of sum_i p_i log Z^(x_i) that is due to the draws at every x.

    Each Z^ is a mean of ``draws`` weights with the effective number ``effective``. Over fresh
    symbols the spread of log Z^ contains it already, so that it is 0 there.
    """
    if probabilities is None or draws < 2:
        return 0.0
    relative = (draws / effective - 1.0).clamp(min=0.0) / (draws - 1.0)
    return float((probabilities.square() * relative).sum().sqrt())
