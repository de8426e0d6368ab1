"""Distances between all pairs, and expectation-maximisation."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy import ndarray
from numpy.testing import assert_allclose

from benchmarks._kernel import Kernel, Prepare, prepares

Metric = Literal["sqeuclidean", "cityblock", "hamming"]
"""By SciPy's names."""


def _distances(measure: Any, x: ndarray, y: ndarray, metric: Metric, scale: float = 1.0) -> Kernel:
    """All pairs, against SciPy's loops in C."""
    import torch

    a, b = torch.from_numpy(x), torch.from_numpy(y)

    def check(found: Any) -> None:
        from scipy.spatial.distance import cdist

        expected = scale * cdist(x, y, metric)
        assert_allclose(found.numpy(), expected, rtol=1e-10, atol=1e-10, equal_nan=False)

    return Kernel(lambda: measure.pairwise(a, b), check)


def _normal(rows: int, dim: int, seed: int) -> ndarray:
    return np.random.default_rng(seed).standard_normal((rows, dim))


@prepares
def _squared_plane() -> Kernel:
    from rdbench.distortions import SquaredError

    return _distances(SquaredError(), _normal(2000, 2, 1), _normal(1000, 2, 2), "sqeuclidean")


@prepares
def _squared_20() -> Kernel:
    from rdbench.distortions import SquaredError

    # Far from the origin, where an expanded square would cancel if it were not centred.
    x, y = _normal(2000, 20, 3) + 100.0, _normal(1000, 20, 4) + 100.0
    return _distances(SquaredError(), x, y, "sqeuclidean")


@prepares
def _absolute() -> Kernel:
    from rdbench.distortions import AbsoluteError

    return _distances(AbsoluteError(), _normal(2000, 5, 5), _normal(1000, 5, 6), "cityblock")


@prepares
def _hamming() -> Kernel:
    from rdbench.distortions import Hamming

    rng = np.random.default_rng(7)
    x, y = (rng.integers(0, 4, (n, 5)).astype(float) for n in (2000, 1000))
    return _distances(Hamming(), x, y, "hamming", scale=5.0)


def _em_by_hand(
    x: ndarray, w: ndarray, means: ndarray, covs: ndarray, least: float
) -> tuple[ndarray, ndarray, ndarray]:
    """One step of EM, component by component; eigenvalues of covariances raised to ``least``."""
    from scipy.stats import multivariate_normal

    joint = np.stack(
        [np.log(w[k]) + multivariate_normal(means[k], covs[k]).logpdf(x) for k in range(len(w))],
        1,
    )
    share = np.exp(joint - np.logaddexp.reduce(joint, 1)[:, None])
    total = share.sum(0)
    new_means = share.T @ x / total[:, None]
    new_covs = []
    for weights in share.T:
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
    "distances_squared_d2": _squared_plane,
    "distances_squared_d20": _squared_20,
    "distances_absolute_d5": _absolute,
    "distances_hamming_d5": _hamming,
    "em_step": _em,
}
