"""The mixture encoder of `beta_vae` as a density with its sampler."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from rdbench.estimators.beta_vae.model import MixtureVAE
from rdbench.sources.mixture import LOG_2PI
from rdbench.types import Distortion


class ComponentEncoder:
    """e(z|x) of one slope as a normalised density on z with its sampler."""

    def __init__(self, model: MixtureVAE, distortion: Distortion) -> None:
        with torch.no_grad():
            self._linear = model.linear()
        self._model, self._distortion = model, distortion
        root, factor = self._linear.root[0], self._linear.factor[0]
        self._loading = factor @ root
        self._unloading = torch.linalg.inv(self._loading)
        self._log_det = torch.linalg.slogdet(self._loading).logabsdet

    def _parts(self, x: Float[Tensor, "n d"]) -> tuple[Tensor, Tensor, Tensor]:
        """Means of z (K, n, d), log widths (K, n, d), log responsibilities (n, K)."""
        with torch.no_grad():
            p = self._model.posterior(x, self._linear, self._distortion)
        factor, means = self._linear.factor[0], self._linear.means[0]
        centres = means[:, None] + p.mean[0] @ factor.transpose(-1, -2)
        return centres, p.log_width[0], p.log_responsibilities[0].T

    def sample(
        self, x: Float[Tensor, "n d"], k: int, generator: Generator
    ) -> Float[Tensor, "n k d"]:
        """k draws for every row of x."""
        centres, log_widths, log_responsibilities = self._parts(x)
        labels = torch.multinomial(
            log_responsibilities.exp(), k, replacement=True, generator=generator
        )
        e = torch.randn(
            (*labels.shape, x.shape[1]), generator=generator, device=x.device, dtype=torch.float64
        )
        out = torch.empty_like(e)
        for j, loading in enumerate(self._loading):
            row, column = torch.nonzero(labels == j, as_tuple=True)
            scaled = e[row, column] * log_widths[j, row].exp()
            out[row, column] = centres[j, row] + scaled @ loading.T
        return out

    def log_prob(self, z: Float[Tensor, "n k d"], x: Float[Tensor, "n d"]) -> Float[Tensor, "n k"]:
        """log e(z|x) in nats."""
        centres, log_widths, log_responsibilities = self._parts(x)
        total = torch.full(z.shape[:2], -math.inf, dtype=torch.float64, device=z.device)
        constant = 0.5 * z.shape[2] * LOG_2PI
        for j, unloading in enumerate(self._unloading):
            e = (z - centres[j][:, None]) @ unloading.T * (-log_widths[j]).exp()[:, None]
            log_density = -0.5 * e.square().sum(2) - constant - self._log_det[j]
            height = log_responsibilities[:, j] - log_widths[j].sum(1)
            total = torch.logaddexp(total, log_density + height[:, None])
        return total
