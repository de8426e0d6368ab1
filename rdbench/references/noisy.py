"""A signal under Gaussian noise and squared error: the Shannon lower bound is tight.

X = V + N(0, s^2 I) has the optimal marginal V + N(0, (s^2 - v) I), v = 1 / (2 beta), for every
beta >= 1 / (2 s^2), whatever the law of V is. Given x and V the optimal y is Gaussian, so that
p*(y|x) is drawn where V can be drawn given x.

Where V has many dimensions or no density, h(X) is a mean over draws, with |N|^2, whose mean is
known, as a control variate:

    h(X) = E[-log p(X) - |N|^2 / (2 s^2)] + d/2.

All else is exact: the potential and p*(y|x) do not need h(X), and neither does a gap, which is the
mean of a difference of potentials.
"""

from __future__ import annotations

import json
import math
import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from rdbench.arrays import converts, instance
from rdbench.references.shannon import ShannonCurve, TightBound
from rdbench.references.shipped import shipped_file
from rdbench.types import HasDensity, Source

SEED = 20240607
"""Of the shipped entropies."""
_UNSHIPPED = 20_000
_BLOCK = 20_000
_Z95 = 1.959963984540054


@runtime_checkable
class NoisySignal(Source, HasDensity, Protocol):
    """X = V + noise N, N ~ N(0, I)."""

    @property
    def noise(self) -> float:
        """s."""

    def sample_signal(self, n: int, generator: Generator) -> Float[Tensor, "n d"]:
        """Draw V."""

    def signal_given(
        self, x: Float[Tensor, "n d"], k: int, generator: Generator
    ) -> Float[Tensor, "n k d"]:
        """k draws of V given every row of x."""


class NoisyBound(TightBound):
    """R(D) of a signal plus N(0, s^2 I) for beta >= 1 / (2 s^2)."""

    source: Any

    def sample_conditional(
        self, x: Float[Tensor, "n d"], k: int, beta: float, generator: Generator
    ) -> Float[Tensor, "n k d"]:
        """V given x, then N(V + g (x - V), v g I) with g = 1 - v / s^2."""
        self.curve.check(beta)
        v = 0.5 / beta
        gain = max(0.0, 1.0 - v / self.source.noise**2)
        signal: Tensor = self.source.signal_given(x, k, generator)
        z = torch.randn(signal.shape, generator=generator, device=x.device, dtype=torch.float64)
        y: Tensor = signal + gain * (x.double()[:, None] - signal) + math.sqrt(v * gain) * z
        return y


@dataclass(frozen=True)
class Entropy:
    """h(X) in nats: a mean over draws, with its 95% interval."""

    value: float
    half: float
    draws: int
    seed: int
    cpu_s: float = 0.0

    def meets(self, other: Entropy) -> bool:
        """Whether two independent estimates differ by no more than twice their 95% interval."""
        return abs(self.value - other.value) <= 2.0 * math.hypot(self.half, other.half)


@converts
@dataclass(frozen=True, eq=False)
class SampledBound(NoisyBound):
    """The bound with h(X) by Monte Carlo; its 95% interval is the bracket of F* and R*.

    Args:
        source: the signal and its noise.
        case: the name of the shipped entropy; without one, 20,000 draws are made when it is needed.
        draws: for the entropy that is shipped.
    """

    source: NoisySignal
    case: str = ""
    draws: int = 1_000_000

    def __post_init__(self) -> None:
        instance(self.source, NoisySignal, "the source of this bound")  # type: ignore[type-abstract]

    @property
    def parts(self) -> tuple[Path, ...]:
        """The file of the entropy."""
        return shipped_file(self.case)

    @cached_property
    def entropy(self) -> Entropy:
        """h(X)."""
        for file in self.parts:
            return Entropy(**json.loads(file.read_text())["entropy"])
        return sampled_entropy(self.source, _UNSHIPPED)

    @cached_property
    def curve(self) -> ShannonCurve:
        """The bound from beta = 1 / (2 s^2) on."""
        h, lowest = self.entropy, 0.5 / self.source.noise**2
        return ShannonCurve(h.value, self.source.dim, lowest, h.half)

    @property
    def accuracy(self) -> str:
        """How well h(X) is known, in words."""
        h = self.entropy
        return f"{self.kind}, h(X) within {h.half:.1e} nats (95%, {h.draws:,} draws)"


def sampled_entropy(source: NoisySignal, draws: int, seed: int = SEED) -> Entropy:
    """h(X) from independent draws."""
    started, generator = time.process_time(), torch.Generator().manual_seed(seed)
    parts = []
    for start in range(0, draws, _BLOCK):
        v = source.sample_signal(min(_BLOCK, draws - start), generator)
        z = torch.randn(v.shape, generator=generator, dtype=torch.float64)
        parts.append(-source.log_prob(v + source.noise * z) - 0.5 * z.square().sum(1))
    values = torch.cat(parts) + 0.5 * source.dim
    half = _Z95 * float(values.std()) / math.sqrt(draws)
    return Entropy(float(values.mean()), half, draws, seed, time.process_time() - started)
