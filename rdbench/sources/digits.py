"""Handwritten digits, 8 by 8 pixels, as a finite source: the data are the population.

They come with scikit-learn (the optional dependency ``rdbench[data]``); nothing is downloaded.
E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI repository, 1998, under
the licence Creative Commons Attribution 4.0.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from functools import cached_property
from typing import cast

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Generator, Tensor

from rdbench.arrays import converts, settle, whole
from rdbench.types import RdbenchError

_PIXELS = 64
_COUNT = 1797
# Far above what different linear-algebra libraries disagree by, far below what matters.
_DECIMALS = 6
_MISSING = "suite real_data needs scikit-learn: pip install 'rdbench[data]'"


@converts
@dataclass(frozen=True)
class DigitsSource:
    """The 1797 images with equal probabilities, pixels scaled to [0, 1].

    With ``components`` < 64 the images are centred and projected on so many principal axes.
    The data are read when they are first used.
    """

    components: int = _PIXELS

    def __post_init__(self) -> None:
        settle(self, components=whole(self.components, "a number of principal components"))
        if not 1 <= self.components <= _PIXELS:
            raise RdbenchError(
                f"digits have 1 to {_PIXELS} principal components, got {self.components}"
            )

    @property
    def name(self) -> str:
        """The number of pixels or components."""
        kept = "pixels" if self.components == _PIXELS else "principal components"
        return f"digits, {self.components} {kept}"

    @property
    def dim(self) -> int:
        """d."""
        return self.components

    @cached_property
    def support(self) -> Float[Tensor, "m d"]:
        """The images, or their coordinates rounded to 6 decimals.

        Raises:
            RdbenchError: scikit-learn is not installed.
        """
        pixels = _load()
        if self.components == _PIXELS:
            return torch.from_numpy(pixels)
        return torch.from_numpy(principal(pixels, self.components))

    @cached_property
    def pmf(self) -> Float[Tensor, " m"]:
        """1 / 1797 each."""
        return torch.full((_COUNT,), 1.0 / _COUNT, dtype=torch.float64)

    def sample(self, n: int, generator: Generator) -> Float[Tensor, "n d"]:
        """Draw n images with replacement."""
        dev = generator.device
        return self.support.to(dev)[torch.randint(_COUNT, (n,), generator=generator, device=dev)]


def principal(x: Float[ndarray, "n d"], components: int) -> Float[ndarray, "n k"]:
    """Principal coordinates of the rows of x, rounded to 6 decimals.

    The sign of an axis is such that its largest entry in absolute value is positive.
    """
    centred = x - x.mean(0)
    _, _, axes = np.linalg.svd(centred, full_matrices=False)
    axes = axes[:components]
    largest = np.abs(axes).argmax(1)
    axes = axes * np.sign(axes[np.arange(components), largest])[:, None]
    # + 0.0 turns -0.0 into 0.0
    return cast(ndarray, np.round(centred @ axes.T, _DECIMALS) + 0.0)


def require_digits() -> None:
    """Nothing where scikit-learn is installed; it is not imported.

    Raises:
        RdbenchError: it is not.
    """
    if importlib.util.find_spec("sklearn") is None:
        raise RdbenchError(_MISSING)


def _load() -> Float[ndarray, "n 64"]:
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        raise RdbenchError(_MISSING) from None
    pixels = np.asarray(load_digits().data, dtype=float) / 16.0
    if pixels.shape != (_COUNT, _PIXELS):
        raise RdbenchError(f"scikit-learn's digits have the shape {pixels.shape}, expected 1797x64")
    return pixels
