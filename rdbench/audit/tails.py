"""Whether a mean over plain draws may be trusted with an interval: how heavy its tail is."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from rdbench.audit.symbols import Symbols

# A potential grows no faster than |x|^2, so that moments of |x| below ``tail_index`` give those of
# half the order. An interval needs a third moment, and some room: its own spread has to settle.
_GROWTH = 2.0
_TRUSTED = 4.0
# The estimated index of a tail that the source does not declare, from the largest deviations.
_SUSPECT = 3.0
_LEAST = 20
_NEGLIGIBLE = 1e-4  # nats: an interval this narrow is left alone


def doubt(values: Float[Tensor, " n"], symbols: Symbols, half: float) -> str:
    """Why the interval of the mean of ``values`` is not to be trusted; empty where it is.

    Exact sums and symbols drawn in strata are trusted. Of plain draws the source's own
    ``tail_index`` decides; where it declares none, Hill's estimate (1975) from the sqrt(n) largest
    deviations from the median does.
    """
    if symbols.probabilities is not None or symbols.stratified or not half > _NEGLIGIBLE:
        return ""
    declared = symbols.tail_index
    if not math.isnan(declared):
        if declared >= _TRUSTED * _GROWTH:
            return ""
        return (
            f"the source has moments below the order {declared:g} only: "
            "the spread of its symbols is no measure of the error"
        )
    index = tail_index(values)
    if index >= _SUSPECT:
        return ""
    return (
        f"the potential's tail has an index of about {index:.2g}: "
        "the spread of the symbols is no measure of the error"
    )


def tail_index(values: Float[Tensor, " n"]) -> float:
    """Hill's estimate of a with P(|V - median| > v) ~ v^-a; infinite where it cannot be told."""
    away = (values - values.median()).abs()
    k = int(math.sqrt(len(values)))
    if k < _LEAST:
        return math.inf
    top = away.topk(k + 1).values
    if not float(top[-1]) > 0.0:
        return math.inf
    mean = float(torch.log(top[:-1] / top[-1]).mean())
    return 1.0 / mean if mean > 0.0 else math.inf
