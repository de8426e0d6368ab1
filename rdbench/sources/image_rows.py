"""Images as a finite source: the rows that a package ships are the population."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from rdbench.arrays import converts
from rdbench.sources.images import NoisyImages


@converts
@dataclass(frozen=True)
class ImageRows:
    """The images of ``data`` with equal probabilities, pixels in [0, 1], without any noise."""

    data: Literal["digits", "mnist"] = "mnist"

    def __post_init__(self) -> None:
        NoisyImages(self.data)  # refuses what is none

    @property
    def name(self) -> str:
        """The images."""
        return f"{'5000 of MNIST' if self.data == 'mnist' else 'digits'}, {self.dim} pixels"

    @property
    def dim(self) -> int:
        """The number of pixels."""
        return NoisyImages(self.data).dim

    @cached_property
    def support(self) -> Float[Tensor, "m d"]:
        """The images, one a row.

        Raises:
            RdbenchError: they are not installed, or other ones are.
        """
        return NoisyImages(self.data).images

    @cached_property
    def pmf(self) -> Float[Tensor, " m"]:
        """The same for each."""
        m = len(self.support)
        return torch.full((m,), 1.0 / m, dtype=torch.float64)

    def sample(self, n: int, generator: Generator) -> Float[Tensor, "n d"]:
        """Draw n images with replacement."""
        dev = generator.device
        images = self.support.to(dev)
        return images[torch.randint(len(images), (n,), generator=generator, device=dev)]
