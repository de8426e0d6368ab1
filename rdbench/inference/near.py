"""c(y) of a source with a density, by draws near y: sup c without the noise of rare symbols.

Draws of the source see c(y) = E[lambda(X) exp(-beta rho(X, y))] at a y in the tails by few symbols
with large lambda. With k_y(x) = exp(-beta rho(x, y)) / K, K = int exp(-beta rho(x, 0)) dx,

    c(y) = K E_k[p(x) lambda(x)],   x = y + noise,

where p lambda is nearly constant for a good lambda, whatever y is. At low rates the noise is wider
than the source, and draws of the source are better: both are used, each weighted by the mixture of
the two laws (balance heuristic: Veach and Guibas 1995).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from rdbench.exponentials import log_sum_exp
from rdbench.inference.supremum import moved
from rdbench.types import Distortion

_BLOCK = 400_000  # points at which lambda is taken at once


@dataclass(frozen=True, eq=False)
class NearMean:
    """c(y) by draws of the source and of the noise, which are the same for every y."""

    log_prob: Callable[[Tensor], Tensor]
    log_lambda: Callable[[Tensor], Tensor]
    x: Float[Tensor, "n d"]
    log_p: Float[Tensor, " n"]
    values: Float[Tensor, " n"]
    """log lambda at x."""
    noise: Float[Tensor, "k d"]
    beta: float
    distortion: Distortion

    @property
    def _volume(self) -> float:
        return self.distortion.log_noise_mass(self.beta, self.x.shape[1])

    def log_c(self, y: Float[Tensor, "m d"]) -> Float[Tensor, " m"]:
        """log c at every y."""
        return torch.cat([log_sum_exp(self._terms(part)[1], 1) for part in self._parts(y)])

    def step(self, y: Float[Tensor, "m d"]) -> tuple[Tensor, Float[Tensor, "m d"]]:
        """log c at every y, and where a step of the ascent leads from there."""
        found, ahead = [], []
        for part in self._parts(y):
            x, logs = self._terms(part)
            found.append(log_sum_exp(logs, 1))
            w = torch.softmax(logs, 1).nan_to_num()
            rows = range(len(part))
            ahead += [moved(self.distortion, x[k], w[k][:, None], part[k : k + 1]) for k in rows]
        return torch.cat(found), torch.cat(ahead)

    def error(self, y: Float[Tensor, "m d"]) -> tuple[Tensor, Tensor]:
        """log c and its standard error, (m,) each, by the delta method.

        Where the noise is far wider than the source, it is a matter of luck whether one of its
        draws meets the source at all, and those that do not tell nothing of what one would add:
        the error counts one more draw like the largest that was seen.
        """
        found, errors = [], []
        for part in self._parts(y):
            logs = self._terms(part)[1]
            found.append(log_sum_exp(logs, 1))
            w = torch.softmax(logs, 1)
            near = len(self.noise)
            square = w.amax(1).square()
            for piece in (w[:, :-near], w[:, -near:]):  # two samples, each with its own mean
                square += piece.square().sum(1) - piece.sum(1).square() / piece.shape[1]
            errors.append(square.clamp(min=0.0).sqrt())
        return torch.cat(found), torch.cat(errors)

    def _terms(self, y: Float[Tensor, "m d"]) -> tuple[Tensor, Float[Tensor, "m n"]]:
        """The draws (m, n, d) for every y, and the log of what each adds to c(y)."""
        near = (y[:, None] + self.noise).reshape(-1, y.shape[1])
        shape = (len(y), len(self.noise))
        log_p = self.log_prob(near).double().reshape(shape)
        values = self.log_lambda(near).reshape(shape)
        kernel = (
            -self.beta * self.distortion.value_and_grad(self.noise, torch.zeros_like(self.noise))[0]
        )
        far = -self.beta * self.distortion.pairwise(self.x, y).T
        log_p = torch.cat([self.log_p.expand(len(y), -1), log_p], 1)
        values = torch.cat([self.values.expand(len(y), -1), values], 1)
        kernel = torch.cat([far, kernel.expand(len(y), -1)], 1)
        n, k = len(self.x), len(self.noise)
        law = torch.logaddexp(
            log_p + math.log(n / (n + k)), kernel - self._volume + math.log(k / (n + k))
        )
        logs = values + log_p + kernel - law - math.log(n + k)
        logs = torch.where(log_p > -math.inf, logs, torch.full_like(logs, -math.inf))
        draws = torch.cat([self.x.expand(len(y), -1, -1), near.reshape(*shape, -1)], 1)
        return draws, logs

    def _parts(self, y: Tensor) -> tuple[Tensor, ...]:
        return tuple(y.split(max(1, _BLOCK // (len(self.x) // 8 + len(self.noise)))))
