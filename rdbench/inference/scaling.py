"""Standard coordinates: training happens in (x - centre) / scale."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from rdbench.types import Distortion


@dataclass(frozen=True, eq=False)
class Scaling:
    """x -> (x - centre) / scale in float64; rho is homogeneous of degree ``power``.

    Networks then meet neither a mean of 100 nor a scale of 1e-3, and beta rho is unchanged when
    beta is replaced by beta scale^power.
    """

    centre: Float[Tensor, " d"]
    scale: float
    power: int

    def beta(self, beta: float) -> float:
        """The slope in standard coordinates."""
        return beta * self.scale**self.power

    def distortion(self, standard: float) -> float:
        """A distortion in standard coordinates, back in the source's."""
        return standard * self.scale**self.power

    def forward(self, x: Float[Tensor, "*b d"]) -> Float[Tensor, "*b d"]:
        """To standard coordinates."""
        return (x.double() - self.centre) / self.scale

    def backward(self, y: Float[Tensor, "*b d"]) -> Float[Tensor, "*b d"]:
        """Back to the source's coordinates."""
        return y.double() * self.scale + self.centre


def fit_scaling(x: Float[Tensor, "n d"], distortion: Distortion) -> Scaling:
    """Centre and root-mean-square scale of draws; the median where errors are absolute."""
    squared = distortion.name == "squared_error"
    centre = x.mean(0) if squared else x.median(0).values
    scale = float((x - x.mean(0)).square().mean().sqrt())
    # A constant source has no scale; any positive number will do.
    return Scaling(centre.double(), scale if scale > 0.0 else 1.0, 2 if squared else 1)
