"""Distances between all pairs, and expectation-maximisation."""

from __future__ import annotations

from functools import partial
from typing import Any, Literal

import numpy as np
from numpy import ndarray
from numpy.testing import assert_allclose

from benchmarks._kernel import Kernel, Prepare, prepares

Metric = Literal["sqeuclidean", "cityblock"]
"""By SciPy's names."""


def _distances(measure: str, metric: Metric, dim: int, seed: int) -> Kernel:
    """All pairs of 2000 and 1000 points, against SciPy's loops in C."""
    import torch

    from rdbench import distortions

    # d = 20 far from the origin, where an expanded square would cancel if it were not centred
    x, y = (
        np.random.default_rng(s).standard_normal((n, dim)) + 100.0 * (dim == 20)
        for n, s in ((2000, seed), (1000, seed + 1))
    )
    a, b, rho = torch.from_numpy(x), torch.from_numpy(y), getattr(distortions, measure)()

    def check(found: Any) -> None:
        from scipy.spatial.distance import cdist

        assert_allclose(found.numpy(), cdist(x, y, metric), rtol=1e-10, atol=1e-10, equal_nan=False)

    return Kernel(lambda: rho.pairwise(a, b), check)


def _em_by_hand(
    x: ndarray, w: ndarray, means: ndarray, covs: ndarray, least: float
) -> tuple[ndarray, ndarray, ndarray]:
    """One step of EM, component by component; eigenvalues of covariances raised to ``least``."""
    from scipy.stats import multivariate_normal

    joint = np.stack(
        [np.log(w[k]) + multivariate_normal(means[k], covs[k]).logpdf(x) for k in range(len(w))],
        1,
    )
    responsibilities = np.exp(joint - np.logaddexp.reduce(joint, 1)[:, None])
    total = responsibilities.sum(0)
    new_means = responsibilities.T @ x / total[:, None]
    new_covs = []
    for weights in responsibilities.T:
        values, vectors = np.linalg.eigh(np.cov(x.T, aweights=weights, ddof=0))
        new_covs.append(vectors * np.maximum(values, least) @ vectors.T)
    return total / len(x), new_means, np.stack(new_covs)


@prepares
def _em() -> Kernel:
    import torch

    from rdbench.inference.reproduction import fit_observed
    from rdbench.sources.mixture import GaussianMixture

    rng = np.random.default_rng(9)
    size, dim, steps, least = 8, 5, 3, 0.5
    centres = 3.0 * rng.standard_normal((size, dim))
    x = centres[rng.integers(0, size, 4000)] + rng.standard_normal((4000, dim))
    start = np.full(size, 1.0 / size), x[:size].copy(), np.stack([2.0 * np.eye(dim)] * size)
    weights, means, covs = (torch.from_numpy(a) for a in start)
    draws, mixture = torch.from_numpy(x), GaussianMixture(weights, means, covs)

    def work() -> Any:
        # No gain is ever below minus infinity: every call makes all steps.
        return fit_observed(draws, mixture, least, iterations=steps, tolerance=-np.inf)

    def check(found: Any) -> None:
        expected = start
        for _ in range(steps):
            expected = _em_by_hand(x, *expected, least)
        for ours, theirs in zip((found.weights, found.means, found.covs), expected, strict=True):
            assert_allclose(ours.numpy(), theirs, rtol=1e-7, atol=1e-9, equal_nan=False)

    return Kernel(work, check, steps)


SUMS: dict[str, Prepare] = {
    "distances_squared_d2": prepares(partial(_distances, "SquaredError", "sqeuclidean", 2, 1)),
    "distances_squared_d20": prepares(partial(_distances, "SquaredError", "sqeuclidean", 20, 3)),
    "distances_absolute_d5": prepares(partial(_distances, "AbsoluteError", "cityblock", 5, 5)),
    "em_step": _em,
}
