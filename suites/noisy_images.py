"""Handwritten digits plus Gaussian noise, 64 pixels and (MNIST) 784; squared error, high rates."""

from __future__ import annotations

from rdbench.distortions import SquaredError
from rdbench.references.noisy import SampledBound
from rdbench.sources.images import NoisyImages, require_images
from rdbench.suites._ladders import geometric, most
from rdbench.types import Case, Problem, Suite

# Images, noise, and the rate at beta = 1 / (2 noise^2), where the truth begins, rounded up.
_CASES = (("digits", 0.3, 6.93), ("digits", 0.5, 5.1), ("mnist", 0.3, 8.52), ("mnist", 0.5, 8.51))


def _case(data: str, noise: float, lowest: float) -> Case:
    source, name = NoisyImages(data, noise), f"{data}-{noise:g}"  # type: ignore[arg-type]
    # The images of MNIST lie so far apart that fewer draws are enough.
    draws = 1_000_000 if data == "digits" else 200_000
    reference = SampledBound(source, f"noisy_images-{name}", draws)
    rates = geometric(lowest, most(source.dim), 5)
    return Case(name, Problem(source, SquaredError()), reference, rates)


def _build(_dim: int | None) -> tuple[Case, ...]:
    require_images()
    return tuple(_case(*case) for case in _CASES)


SUITE = Suite("noisy_images", 1, __doc__ or "", _build)
