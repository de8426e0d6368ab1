"""A codebook of k-means centres, weighted for every slope: an estimator for rdbench."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Generator, Tensor

from rdbench.fitting import split
from rdbench.types import Atoms, Claim, EstimatorInfo, Monitor, Refusal, TestChannel, View


@dataclass(frozen=True)
class KMeans:
    """q on ``atoms`` centres, with the weights of one Blahut-Arimoto step; R <= log atoms."""

    info: ClassVar[EstimatorInfo] = EstimatorInfo(
        summary="k-means centres, weighted by one Blahut-Arimoto step",
        citation="S. P. Lloyd, IEEE Trans. Inf. Theory 28(2):129-137, 1982",
        distortions=("squared_error",),
        alphabet=False,
    )
    atoms: int = 256

    def fit(
        self, view: View, betas: Sequence[float], generator: Generator, monitor: Monitor
    ) -> Iterator[TestChannel | Refusal]:
        """Lloyd's algorithm on training samples, then the weights, slope by slope."""
        rho, samples = view.distortion.pairwise, split(view, generator)
        x = samples.sample(max(self.atoms, round(20 * self.atoms * monitor.effort)))
        y = x[torch.randperm(len(x), generator=generator, device=x.device)[: self.atoms]]
        for i in range(20):
            if not monitor.advance(i / 20):
                break
            nearest = torch.nn.functional.one_hot(rho(x, y).argmin(1), len(y)).double()
            count = nearest.sum(0)[:, None]
            y = torch.where(count > 0, nearest.T @ x / count.clamp(min=1.0), y)
        monitor.count(parameters=y.numel())
        fresh = samples.claim(2000)  # a claim on the samples of the fit would be too good
        for beta in betas:
            log_w = torch.softmax(-beta * rho(x, y), 1).mean(0).clamp(min=1e-30).log()

            def draw(
                x: Tensor, k: int, g: Generator, beta: float = beta, log_w: Tensor = log_w
            ) -> Tensor:
                p = torch.softmax(log_w - beta * rho(x, y), 1)  # Bayes' rule: p(y|x)
                return y[torch.multinomial(p, k, replacement=True, generator=g)]

            joint = log_w - beta * rho(fresh, y)
            lagrangian = -float(joint.logsumexp(1).mean())  # F(q) = R + beta D
            distortion = float((joint.softmax(1) * rho(fresh, y)).sum(1).mean())
            claim = Claim(lagrangian - beta * distortion, distortion, samples.side)
            yield TestChannel(beta, Atoms(y, log_w), claim, draw)
