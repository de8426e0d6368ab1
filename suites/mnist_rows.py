"""5,000 images of MNIST, 784 pixels, as an empirical source: the rows are the population."""

from __future__ import annotations

from rdbench.distortions import SquaredError
from rdbench.references.unknown import Unknown
from rdbench.sources.image_rows import ImageRows
from rdbench.sources.images import require_images
from rdbench.types import Case, Problem, Suite

# Rates in nats and the slopes at which to look for them: none is above log(5000) = 8.52.
_LADDER = ((1.0, 0.12), (2.0, 0.135), (4.0, 0.16), (6.0, 0.185), (8.0, 0.28))
_WHY = "no certificate of so many images in so many dimensions comes with the package"


def _build(_dim: int | None) -> tuple[Case, ...]:
    require_images()
    problem = Problem(ImageRows("mnist"), SquaredError())
    rates = tuple(rate for rate, _ in _LADDER)
    return (Case("mnist-rows", problem, Unknown(_LADDER, _WHY), rates),)


SUITE = Suite("mnist_rows", 1, __doc__ or "", _build)
