"""Sources on finitely many points, and a table of distortions between letters."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Generator, Tensor

from rdbench.arrays import Number, array, converts, finite, number, probabilities, settle, whole
from rdbench.types import RdbenchError


@converts
@dataclass(frozen=True, eq=False)
class FiniteSource:
    """P(X = support_i) = pmf_i. The support is the population: audits of it are exact sums.

    Lists and arrays of any real type are taken; probabilities that were normalised in float32 are
    normalised again in float64.

    Raises:
        RdbenchError: no finite points (m, d), or no m probabilities.
    """

    name: str
    support: Float[Tensor, "m d"]
    pmf: Float[Tensor, " m"]

    def __post_init__(self) -> None:
        support = array(self.support, "the support of a finite source", 2)
        pmf = probabilities(self.pmf, "a pmf")
        if len(pmf) != len(support):
            raise RdbenchError(
                "a finite source needs a support (m, d) and a pmf (m,); "
                f"got {len(support)} points and {len(pmf)} probabilities"
            )
        settle(self, support=support, pmf=pmf)

    @property
    def dim(self) -> int:
        """d."""
        return self.support.shape[1]

    def sample(self, n: int, generator: Generator) -> Float[Tensor, "n d"]:
        """Draw n symbols."""
        dev = generator.device
        picked = torch.multinomial(self.pmf.to(dev), n, replacement=True, generator=generator)
        return self.support.to(dev)[picked]


def _letters(m: int) -> Tensor:
    return torch.arange(m, dtype=torch.float64)[:, None]


def bernoulli(p: Number) -> FiniteSource:
    """P(X = 1) = p on {0, 1}."""
    p = number(p, "a Bernoulli parameter")
    if not 0.0 <= p <= 1.0:
        raise RdbenchError(f"a Bernoulli parameter lies in [0, 1], got {p}")
    pmf = torch.tensor([1.0 - p, p], dtype=torch.float64)
    return FiniteSource(f"Bernoulli({p:g})", _letters(2), pmf)


def zipf(m: Number, exponent: Number = 1.0) -> FiniteSource:
    """P(X = i) proportional to (i + 1)^-exponent on m letters."""
    m, exponent = whole(m, "a number of letters", 1), finite(exponent, "a Zipf exponent")
    weights = torch.arange(1, m + 1, dtype=torch.float64).pow(-exponent)
    return FiniteSource(f"Zipf({m}, {exponent:g})", _letters(m), weights / weights.sum())


def uniform_letters(m: Number) -> FiniteSource:
    """m letters 0, ..., m - 1 with equal probabilities."""
    m = whole(m, "a number of letters", 1)
    pmf = torch.full((m,), 1.0 / m, dtype=torch.float64)
    return FiniteSource(f"uniform on {m} letters", _letters(m), pmf)


def random_table(n: Number, m: Number, seed: Number = 20240607) -> Float[Tensor, "n m"]:
    """Independent U[0, 1) distortions between n letters and m; the legacy generator is frozen."""
    size = tuple(whole(letters, "a number of letters", 1) for letters in (n, m))
    return torch.from_numpy(np.random.RandomState(whole(seed, "a seed", 0)).random_sample(size))
