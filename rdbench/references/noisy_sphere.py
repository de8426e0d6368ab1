"""A sphere plus Gaussian noise under squared error: the Shannon lower bound, h(X) by quadrature."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from scipy.special import gammaln

from rdbench.arrays import converts, instance
from rdbench.certify.radial.sums import panel_rule
from rdbench.references.noisy import NoisyBound
from rdbench.references.shannon import ShannonCurve
from rdbench.sources.sphere import NoisySphereSource

_PANELS, _NODES = 200, 20
_BEYOND = 12.0
"""Standard deviations beyond which the radius is not integrated (its density falls to 1e-31)."""


@converts
@dataclass(frozen=True, eq=False)
class NoisySphere(NoisyBound):
    """R(D) of a sphere plus N(0, s^2 I) for beta >= 1 / (2 s^2)."""

    source: NoisySphereSource

    def __post_init__(self) -> None:
        instance(self.source, NoisySphereSource, "the source of this closed form")

    @cached_property
    def curve(self) -> ShannonCurve:
        """The bound from beta = 1 / (2 s^2) on."""
        lowest = 0.5 / self.source.noise**2
        return ShannonCurve(noisy_sphere_entropy(self.source), self.source.dim, lowest)


def noisy_sphere_entropy(source: NoisySphereSource, refine: int = 1) -> float:
    """h(X) in nats: Gauss's rule on panels of the radius, which has the density S r^(d-1) p(r)."""
    d, top = source.dim, source.radius + source.noise * (math.sqrt(source.dim) + _BEYOND)
    r, w = panel_rule(np.linspace(0.0, top, _PANELS * refine + 1), _NODES)
    at = torch.zeros(len(r), d, dtype=torch.float64)
    at[:, 0] = torch.from_numpy(r)
    log_p = source.log_prob(at).numpy()
    log_area = math.log(2.0) + 0.5 * d * math.log(math.pi) - gammaln(0.5 * d)
    radial = np.exp(log_p + log_area + (d - 1.0) * np.log(r))
    return -float((w * radial) @ log_p)
