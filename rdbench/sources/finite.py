"""Sources on finitely many points, and a table of distortions between letters."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Generator, Tensor

from rdbench.types import RdbenchError


@dataclass(frozen=True, eq=False)
class FiniteSource:
    """P(X = support_i) = pmf_i. The support is the population: audits of it are exact sums."""

    name: str
    support: Float[Tensor, "m d"]
    pmf: Float[Tensor, " m"]

    def __post_init__(self) -> None:
        if self.support.ndim != 2 or self.pmf.shape != self.support.shape[:1]:
            raise RdbenchError("a finite source needs a support (m, d) and a pmf (m,)")
        if not bool((self.pmf >= 0).all()) or abs(float(self.pmf.sum()) - 1.0) > 1e-9:
            raise RdbenchError("a pmf must be non-negative and sum to one")

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


def bernoulli(p: float) -> FiniteSource:
    """P(X = 1) = p on {0, 1}."""
    if not 0.0 <= p <= 1.0:
        raise RdbenchError(f"a Bernoulli parameter lies in [0, 1], got {p}")
    pmf = torch.tensor([1.0 - p, p], dtype=torch.float64)
    return FiniteSource(f"Bernoulli({p:g})", _letters(2), pmf)


def zipf(m: int, exponent: float = 1.0) -> FiniteSource:
    """P(X = i) proportional to (i + 1)^-exponent on m letters."""
    if m < 1:
        raise RdbenchError(f"an alphabet needs at least one letter, got {m}")
    weights = torch.arange(1, m + 1, dtype=torch.float64).pow(-exponent)
    return FiniteSource(f"Zipf({m}, {exponent:g})", _letters(m), weights / weights.sum())


def uniform_letters(m: int) -> FiniteSource:
    """m letters 0, ..., m - 1 with equal probabilities."""
    if m < 1:
        raise RdbenchError(f"an alphabet needs at least one letter, got {m}")
    pmf = torch.full((m,), 1.0 / m, dtype=torch.float64)
    return FiniteSource(f"uniform on {m} letters", _letters(m), pmf)


def random_table(n: int, m: int, seed: int = 20240607) -> Float[Tensor, "n m"]:
    """Independent U[0, 1) distortions between n letters and m; the legacy generator is frozen."""
    table = np.random.RandomState(seed).random_sample((n, m))
    return torch.from_numpy(table)
