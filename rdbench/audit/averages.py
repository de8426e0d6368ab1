"""Means over the symbols of an audit, with 95% intervals that fit how the symbols were drawn."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from scipy.special import stdtrit
from torch import Tensor

from rdbench.audit.symbols import BLOCKS, Symbols

Z95 = 1.959963984540054
_LEAST_BLOCKS = 4
# What symbols too rare to be drawn may add to a mean, and rounding to an exact sum: relative.
_UNSEEN, _EXACT = 1e-9, 16.0 * torch.finfo(torch.float64).eps
# A control variate varies where its spread exceeds rounding, which is relative to its own size.
_ROUNDING = 1e-8


@dataclass(frozen=True)
class Mean:
    """An estimated mean: it lies in [value - half + min(skew, 0), value + half + max(skew, 0)]."""

    value: float
    half: float
    """Half of the symmetric 95% interval: 0 for exact sums."""
    skew: float = 0.0
    """By how much the end in the long tail has to move out, with its sign."""

    @property
    def lo(self) -> float:
        """The lower end."""
        return self.value - self.half + min(self.skew, 0.0)

    @property
    def hi(self) -> float:
        """The upper end."""
        return self.value + self.half + max(self.skew, 0.0)

    @property
    def widest(self) -> float:
        """The larger distance of an end."""
        return self.half + abs(self.skew)


def least_half(symbols: Symbols, scale: float) -> float:
    """No interval is narrower than twice this, in nats.

    The spread of f - f* over draws says nothing of symbols that are rarer than the draws are many:
    a grid that ends at seven standard deviations has f below f* by 1e-11 at every symbol drawn.

    Args:
        symbols: what the mean is taken over.
        scale: the size of what is averaged, before a control is taken from it.
    """
    return (_UNSEEN if symbols.probabilities is None else _EXACT) * (1.0 + abs(scale))


def mean_of(values: Float[Tensor, " k"], symbols: Symbols) -> Mean:
    """The mean over X of a function known at the first k symbols.

    Exact sums over letters have no error. Of independent symbols the interval is by their spread,
    of stratified ones by that of the blocks' means, with Student's quantile; one of either has an
    error that cannot be estimated. Of rows in groups the spread is that between the groups.
    """
    if symbols.probabilities is not None:
        positive = symbols.probabilities > 0
        return Mean(float(symbols.probabilities[positive] @ values[positive]), 0.0)
    spread = values
    if symbols.weights is not None:
        spread = block_means(values, symbols)
        if len(spread) < _LEAST_BLOCKS:
            return Mean(weighted_mean(values, symbols.weights), math.inf)
    elif symbols.groups is not None:
        spread = _group_values(values, symbols.groups)
    n = len(spread)
    value = float(spread.mean())
    if n < 2:
        return Mean(value, math.inf)
    quantile = float(stdtrit(n - 1, 0.975)) if n <= BLOCKS else Z95
    return Mean(value, quantile * float(spread.std()) / math.sqrt(n), _skew(spread))


def block_means(values: Float[Tensor, " k"], symbols: Symbols) -> Float[Tensor, " b"]:
    """The mean within every whole block of the symbols that k reaches; none for exact sums.

    With weights w the mean of g is the ratio sum w g / sum w, so that a constant is known without
    error; the block's value is that ratio's linear part, and the blocks' mean is the ratio.
    """
    if symbols.probabilities is not None or symbols.block < 1:
        return values[:0]
    if symbols.groups is not None:
        # groups are in no order, so that the k-th block takes every 64th of them
        spread = _group_values(values, symbols.groups)
        count = min(len(spread), BLOCKS)
        return spread[: len(spread) // count * count].reshape(-1, count).mean(0)
    count = min(len(values) // symbols.block, BLOCKS)
    rows = count * symbols.block
    if symbols.weights is None:
        return values[:rows].reshape(count, symbols.block).mean(1)
    w = symbols.weights[:rows]
    # Where p underflows the weight is zero, whatever the value there is.
    products = torch.where(w > 0.0, w * values[:rows], 0.0)
    tops = products.reshape(count, symbols.block).mean(1)
    bottoms = w.reshape(count, symbols.block).mean(1)
    if count == 0:
        return tops
    ratio = tops.mean() / bottoms.mean()
    return ratio + (tops - ratio * bottoms) / bottoms.mean()


def _group_values(values: Float[Tensor, " k"], groups: Tensor) -> Float[Tensor, " g"]:
    """A value for every group, independent of the others, whose mean is that of the rows.

    With n rows in G groups and their mean m, group g has m + (G / n) sum_{i in g} (v_i - m): the
    linearised ratio of the groups' sums, whose spread is the cluster-robust error of m.
    """
    _, label = torch.unique(groups[: len(values)], return_inverse=True)
    count = int(label.max()) + 1
    mean = values.mean()
    sums = torch.zeros(count, dtype=values.dtype, device=values.device)
    sums.index_add_(0, label, values - mean)
    return mean + sums * (count / len(values))


def slope_on(
    values: Float[Tensor, " k"], control: Float[Tensor, " k"], symbols: Symbols
) -> float | None:
    """The slope of a regression of ``values`` on ``control``; None where the control is constant.

    Constant is what varies by no more than rounding, relative to the control's own size: on a
    sphere f* is one number, computed with errors of 1e-16 that correlate with anything.
    """
    w = torch.ones_like(control) if symbols.weights is None else symbols.weights[: len(control)]
    w = w / w.sum()
    centred = control - w @ control
    variance = float(w @ centred.square())
    size = math.sqrt(float(w @ control.square()))
    if not math.sqrt(variance) > _ROUNDING * size or len(control) < 3:
        return None
    return float(w @ (centred * (values - w @ values))) / variance


def weighted_mean(values: Float[Tensor, " k"], weights: Float[Tensor, " n"] | None) -> float:
    """sum w v / sum w over the first k rows, the plain mean without weights."""
    if weights is None:
        return float(values.mean())
    w = weights[: len(values)]
    return float(torch.where(w > 0.0, w * values, 0.0).sum()) / float(w.sum())


def _skew(values: Tensor) -> float:
    """By how much the end of an interval of a mean has to reach further into the long tail.

    To order 1/sqrt(n) the studentised mean has the quantiles z - g (2 z^2 + 1) / (6 sqrt(n)), g the
    skewness (Johnson 1978; Hall 1992): both ends move towards the long tail. Differences of
    potentials grow in the tails of the source, and g can be 10 or more; the sample's own g is
    then so uncertain that only the end that has to move out does, and none moves in.
    """
    n = len(values)
    if n < 3:
        return 0.0
    centred = values - values.mean()
    std = float(centred.square().mean().sqrt())
    if not 0.0 < std < math.inf:
        return 0.0
    skewness = float((centred / std).pow(3).mean())
    in_errors = skewness * (2.0 * Z95**2 + 1.0) / (6.0 * math.sqrt(n))
    return min(max(in_errors, -1.0), 1.0) * std / math.sqrt(n)
