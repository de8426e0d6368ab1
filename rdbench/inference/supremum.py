"""Where c(y) = sum_i m_i exp(-beta rho(x_i, y)) is large: values, ascents, the best of many.

One step of an ascent never lowers c, by Jensen's inequality with the weights w_i proportional to
m_i exp(-beta rho(x_i, y)): log c(y') - log c(y) >= -beta sum_i w_i (rho(x_i, y') - rho(x_i, y)).
The right side is largest at the weighted mean of x under squared error (mean shift: Fukunaga and
Hostetler 1975; it is expectation and maximisation) and at the weighted median of every coordinate
under absolute error. Elsewhere a step follows the gradient, and is halved where it fails. Steps
that succeed grow: near the optimal lambda c is nearly flat, and plain mean shift crawls.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from rdbench.exponentials import log_sum_exp
from rdbench.inference.plug_in import tilt
from rdbench.types import Distortion

_BLOCK = 2_000_000  # entries of rho(x, y) held at once
_GROWTH, _LARGEST = 1.7, 40.0
_PATIENCE = 3
_Z95 = 1.959963984540054
_CUTS, _FEWEST = (6, 14, 24), 4  # steps after which half of the ascents go on


@runtime_checkable
class Hill(Protocol):
    """A function c(y) that can be climbed."""

    def log_c(self, y: Float[Tensor, "m d"]) -> Float[Tensor, " m"]:
        """log c at every y."""

    def step(self, y: Float[Tensor, "m d"]) -> tuple[Tensor, Float[Tensor, "m d"]]:
        """log c at every y, and where a step of the ascent leads from there."""


def moved(
    distortion: Distortion,
    x: Float[Tensor, "n d"],
    w: Float[Tensor, "n m"],
    y: Float[Tensor, "m d"],
) -> Float[Tensor, "m d"]:
    """Where one step leads from every y: to the weighted mean, to the median, along the gradient.

    Args:
        distortion: rho.
        x: the points.
        w: their weights for every y, w_i proportional to m_i exp(-beta rho(x_i, y)).
        y: where the step begins.
    """
    if distortion.name == "squared_error":
        return w.T @ x
    if distortion.name == "absolute_error":
        values, order = x.sort(0)
        columns = []
        for j in range(y.shape[1]):
            half = torch.cumsum(w[order[:, j]], 0) >= 0.5
            columns.append(values[half.to(torch.int8).argmax(0), j])
        return torch.stack(columns, 1)
    out = y.clone()
    for k in range(len(y)):
        try:
            _, grad = distortion.value_and_grad(x, y[k].expand_as(x))
        except NotImplementedError:  # letters: nowhere to go
            return y
        out[k] -= 0.5 * (w[:, k] @ grad)
    return out


@dataclass(frozen=True, eq=False)
class Tilted:
    """c(y) of point masses; ``log_mass`` holds log m_i, -inf where there is none."""

    x: Float[Tensor, "n d"]
    log_mass: Float[Tensor, " n"]
    beta: float
    distortion: Distortion

    def log_c(self, y: Float[Tensor, "m d"]) -> Float[Tensor, " m"]:
        """log c at every y."""
        found = [log_sum_exp(self._exponents(part), 0) for part in self._parts(y)]
        return torch.cat(found) if found else y.new_zeros(0)

    def weights(self, y: Float[Tensor, "m d"]) -> Float[Tensor, "n m"]:
        """The part of c(y) that every x has; each column sums to one."""
        return torch.softmax(self._exponents(y), 0)

    def step(self, y: Float[Tensor, "m d"]) -> tuple[Tensor, Float[Tensor, "m d"]]:
        """log c at every y, and where a step of the ascent leads from there."""
        values, ahead = [], []
        for part in self._parts(y):
            exponent = self._exponents(part)
            top = exponent.max(0).values
            top = torch.where(top.isfinite(), top, torch.zeros_like(top))
            w = exponent.sub_(top).exp_()
            total = w.sum(0)
            values.append(total.log() + top)
            w /= total.clamp(min=1e-300)
            ahead.append(moved(self.distortion, self.x, w, part))
        return torch.cat(values), torch.cat(ahead)

    def _parts(self, y: Tensor) -> tuple[Tensor, ...]:
        return tuple(y.split(max(1, _BLOCK // max(len(self.x), 1))))

    def _exponents(self, y: Float[Tensor, "m d"]) -> Float[Tensor, "n m"]:
        rho = tilt(self.distortion.pairwise(self.x, y), self.beta)
        return self.log_mass[:, None] - rho


def limits(
    shares: Float[Tensor, "n m"],
) -> tuple[Float[Tensor, " m"], Float[Tensor, " m"]]:
    """What the logs of 95% limits of c(y) add to the log of a mean over n independent draws.

    With k = 1 / (sum w^2 - 1/n), which n draws of equal shares w would be by the delta method, the
    limits are those of a count k (Wilson and Hilferty 1931),

        k (1 - 1 / 9k - z / 3 sqrt k)^3   and   (k + 1) (1 - 1 / 9(k + 1) + z / 3 sqrt(k + 1))^3.

    They tend to exp(-+ z / sqrt k). Where one rare draw is all of c the upper one is 5.6 times as
    much, for no such draw might have been seen.

    Args:
        shares: of every draw in c(y); each column sums to one.
    """
    k = (shares.square().sum(0) - 1.0 / len(shares)).clamp(min=1e-12).reciprocal()
    below = (1.0 - 1.0 / (9.0 * k) - _Z95 / (3.0 * k.sqrt())).clamp(min=1e-10)
    more = k + 1.0
    above = 1.0 - 1.0 / (9.0 * more) + _Z95 / (3.0 * more.sqrt())
    return 3.0 * below.log(), 3.0 * above.log() + (more / k).log()


def ascend(
    c: Hill, starts: Float[Tensor, "m d"], iterations: int, keep: int, settled: float = 1e-7
) -> tuple[Float[Tensor, "k d"], Float[Tensor, " k"]]:
    """The points that ascents from the best starts lead to, and log c there, the largest first.

    Those that fall behind are left where they are, so that there are fewer at every later step.

    Args:
        c: what is to be made large.
        starts: any points; the ``keep`` best of them are followed.
        iterations: the most steps.
        keep: the most points returned.
        settled: nats; the ascents end once no step gains as much.
    """
    y = starts[c.log_c(starts).topk(min(keep, len(starts))).indices]
    value, ahead = c.step(y)
    reach = torch.ones_like(value)
    left: list[tuple[Tensor, Tensor]] = []
    quiet = 0
    for i in range(iterations):
        if i in _CUTS and len(y) >= 2 * _FEWEST:
            order = value.argsort(descending=True)
            half = len(order) // 2
            left.append((y[order[half:]], value[order[half:]]))
            y, value, ahead, reach = (t[order[:half]] for t in (y, value, ahead, reach))
        trial = y + reach[:, None] * (ahead - y)
        found, beyond = c.step(trial)
        better = found >= value
        gain = torch.where(better, found - value, torch.zeros_like(value))
        value = torch.where(better, found, value)
        y = torch.where(better[:, None], trial, y)
        ahead = torch.where(better[:, None], beyond, ahead)
        # A failed long step falls back to the plain one; a failed plain one is too long a gradient.
        shorter = torch.where(reach > 1.0, torch.ones_like(reach), 0.5 * reach)
        reach = torch.where(better, (_GROWTH * reach).clamp(max=_LARGEST), shorter)
        quiet = quiet + 1 if float(gain.max()) < settled else 0
        if quiet >= _PATIENCE:
            break
    y, value = torch.cat([y, *(p for p, _ in left)]), torch.cat([value, *(v for _, v in left)])
    order = value.argsort(descending=True)
    return y[order], value[order]
