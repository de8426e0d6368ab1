"""Where `beta_vae` starts: K Gaussians about the sample mean, none of them fitted.

With sample mean c and covariance C = U U^T, one component is N(c, C); several have equal weights,
means c + .8 U e with e ~ N(0, I), and covariances .36 C, so that all together resemble N(c, C).
Networks start at zero, so that only the affine part of the model is left: under squared error its
encoder is the exact posterior, and the bound is F of the prior in closed form
(`MixtureVAE.potential`).
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from rdbench.estimators.beta_vae.model import MixtureVAE
from rdbench.inference.em import fit_gaussian, matrix_root
from rdbench.sources.mixture import GaussianMixture
from rdbench.types import Distortion

_MEANS, _WIDTH = 0.8, 0.6  # .8^2 + .6^2 = 1


def neutral(x: Float[Tensor, "n d"], size: int, generator: Generator) -> GaussianMixture:
    """The prior at the start.

    Args:
        x: draws of the source, for c and C alone.
        size: K.
        generator: draws the means.
    """
    overall = fit_gaussian(x)
    if size == 1:
        return overall
    shape, device = (size, overall.dim), generator.device
    e = torch.randn(shape, generator=generator, device=device, dtype=torch.float64)
    means = overall.means + _MEANS * e @ matrix_root(overall.covs[0]).T
    covs = (_WIDTH**2 * overall.covs).expand(size, -1, -1).clone()
    return GaussianMixture(means.new_full((size,), 1.0 / size), means, covs)


def untrained(
    x: Float[Tensor, "n d"],
    size: int,
    slopes: Float[Tensor, " B"],
    distortion: Distortion,
    widths: tuple[int, int, int],
    generator: Generator,
) -> MixtureVAE:
    """One such model for every slope.

    Args:
        x: draws of the source.
        size: K.
        slopes: beta.
        distortion: squared or absolute error.
        widths: of the networks, layers of the flow and bins of its splines.
        generator: draws means and first layers.
    """
    prior, overall = neutral(x, size, generator), fit_gaussian(x)
    covs = overall.covs.expand(size, -1, -1)
    units = GaussianMixture(prior.weights, prior.means, covs)
    noise = assumed_noise(slopes, distortion)
    return MixtureVAE(units, [prior] * len(slopes), slopes, noise, *widths, generator)


def assumed_noise(slopes: Float[Tensor, " B"], distortion: Distortion) -> Float[Tensor, " B"]:
    """v, the variance of the Gaussian noise that linear posteriors assume.

    Absolute error has no such algebra. The Gaussian N(x, v) that is closest to a posterior under a
    flat prior has v = pi / (2 beta^2).
    """
    if distortion.name == "squared_error":
        return 0.5 / slopes
    return 0.5 * math.pi / slopes.square()
