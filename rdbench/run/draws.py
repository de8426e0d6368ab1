"""Draws of a channel that are kept with its row, for pictures of p(y|x).

They come from streams of their own: keeping them changes no number of the audit.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from rdbench.run.records import Draws
from rdbench.types import Problem, TestChannel

MOST_DIM = 2
"""Draws are kept where they can be drawn: on the line and in the plane."""
SYMBOLS = 4
"""The number of symbols x at which p(y|x) is drawn."""
_CANDIDATES = 24


def keep(
    channel: TestChannel, problem: Problem, n: int, shared: Generator, own: Generator
) -> Draws | None:
    """n draws of p(y|x) at ``SYMBOLS`` symbols, and n pairs (x, y) of the joint law.

    Args:
        channel: the channel.
        problem: its source and distortion.
        n: how many; nothing is kept for 0.
        shared: draws the symbols and the x of the pairs: the same for every estimator and seed.
        own: draws the y.

    Returns:
        The draws to four digits; None in more than ``MOST_DIM`` dimensions and on finite
        alphabets, whose letters have no place in a picture.
    """
    source = problem.source
    if n < 1 or source.dim > MOST_DIM or problem.alphabet is not None:
        return None
    x = spread(source.sample(_CANDIDATES, shared))
    pairs = source.sample(n, shared)
    y = channel.sample_conditional(x, n, own)
    image = channel.sample_conditional(pairs, 1, own)[:, 0]
    return Draws(x=_numbers(x), y=_numbers(y), source=_numbers(pairs), reproduction=_numbers(image))


def spread(x: Float[Tensor, "n d"]) -> Float[Tensor, "m d"]:
    """``SYMBOLS`` of the points, each as far as can be from those before it; the first is x[0]."""
    chosen = [0]
    while len(chosen) < min(SYMBOLS, len(x)):
        distance = torch.cdist(x, x[chosen]).min(1).values
        chosen.append(int(distance.argmax()))
    return x[chosen]


def _numbers(values: Tensor) -> list:  # type: ignore[type-arg]  # nested as deep as the tensor
    def rounded(value: object) -> object:
        if isinstance(value, list):
            return [rounded(one) for one in value]
        return float(f"{value:.4g}")

    out = rounded(values.detach().to("cpu", torch.float64).tolist())
    assert isinstance(out, list)
    return out
