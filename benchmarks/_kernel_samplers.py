"""The Metropolis-adjusted Langevin chain, and the gradient of the network that drives it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy import ndarray
from numpy.testing import assert_allclose

from benchmarks._kernel import Kernel, Prepare, prepares

_ERRORS = 5.0
"""Standard errors that a mean may be off; the seeds are fixed, so that it is or is not."""


def _standard_moments(z: ndarray) -> None:
    """Rows of ``z`` are independent N(0, I): their first two moments."""
    n, d = z.shape
    assert_allclose(z.mean(0), 0.0, rtol=0, atol=_ERRORS / math.sqrt(n), equal_nan=False)
    second, pooled = z.T @ z / n, _ERRORS * math.sqrt(2.0 / z.size)
    assert_allclose(second.trace() / d, 1.0, rtol=0, atol=pooled, equal_nan=False)
    off = _ERRORS * math.sqrt(2.0 / n)
    assert_allclose(second, np.eye(d), rtol=0, atol=off, equal_nan=False)


def _acceptance(start: ndarray, steps: int, tau: float) -> tuple[float, float]:
    """Mean acceptance of MALA on N(0, I) by a chain of our own, and its standard error."""
    rng = np.random.default_rng(7)
    y, taken = start.copy(), np.zeros(len(start))
    for _ in range(steps):
        new = (1.0 - tau) * y + math.sqrt(2.0 * tau) * rng.standard_normal(y.shape)

        def log_q(to: ndarray, at: ndarray) -> ndarray:
            return np.asarray(-((to - (1.0 - tau) * at) ** 2).sum(1) / (4.0 * tau))

        log_ratio = 0.5 * ((y**2).sum(1) - (new**2).sum(1)) + log_q(y, new) - log_q(new, y)
        accept = np.log(rng.random(len(y))) < log_ratio
        y[accept] = new[accept]
        taken += accept
    return float(taken.mean() / steps), float(taken.std() / steps / math.sqrt(len(y)))


@prepares
def _mala() -> Kernel:
    import torch

    from rdbench.inference.langevin import mala

    chains, dim, steps, tau = 2000, 5, 10, 0.5
    # Two slopes: covariances diag(s^2) and 4 diag(s^2), with the right preconditioner each.
    stds = torch.tensor([[1.0, 2.0, 0.5, 3.0, 0.1]], dtype=torch.float64)
    stds = torch.cat([stds, 2.0 * stds])
    factor = torch.diag_embed(stds)
    step_size = torch.full((2,), tau, dtype=torch.float64)
    generator = torch.Generator()
    whitened = torch.full((2, chains, dim), 2.0, dtype=torch.float64)
    start = whitened * stds[:, None]

    def potential(y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        grad = y / stds[:, None].square()
        return 0.5 * (y * grad).sum(-1), grad

    def work() -> Any:
        generator.manual_seed(3)
        return mala(potential, start, steps, step_size, factor, generator)

    def check(found: Any) -> None:
        states, accepted = found[0].numpy(), found[1].numpy()
        expected, error = _acceptance(whitened[0].numpy(), steps, tau)
        # The chains of the comparison are as many as those of one slope.
        atol = _ERRORS * math.sqrt(2.0) * error
        assert_allclose(accepted, expected, rtol=0, atol=atol, equal_nan=False)
        for y, s in zip(states, stds.numpy(), strict=True):
            _standard_moments(y / s)

    return Kernel(work, check, steps)


@prepares
def _network() -> Kernel:
    import torch

    from rdbench.inference.networks import BatchedMLP

    batch, rows, dim, hidden = 8, 1024, 5, 64
    generator = torch.Generator().manual_seed(5)
    network = BatchedMLP(batch, dim, hidden, generator, output_scale=1.0)
    y = torch.randn(batch, rows, dim, generator=generator)
    w1, b1, w2, b2, w3 = (
        getattr(network, name).detach().double().numpy() for name in ("w1", "b1", "w2", "b2", "w3")
    )

    def silu(a: ndarray) -> ndarray:
        return np.asarray(a / (1.0 + np.exp(-a)))

    def value(y: ndarray) -> ndarray:
        return np.asarray((silu(silu(y @ w1 + b1) @ w2 + b2) @ w3)[..., 0])

    def check(found: Any) -> None:
        at, h = y.double().numpy(), 1e-5
        along = np.eye(dim) * h
        slopes = [(value(at + step) - value(at - step)) / (2.0 * h) for step in along]
        # single precision: about 1e-6 of numbers of order one
        assert_allclose(found[0].numpy(), value(at), rtol=1e-4, atol=1e-4, equal_nan=False)
        assert_allclose(
            found[1].numpy(), np.stack(slopes, -1), rtol=1e-4, atol=1e-4, equal_nan=False
        )

    return Kernel(lambda: network.value_and_grad(y), check)


SAMPLERS: dict[str, Prepare] = {
    "mala_step": _mala,
    "network_gradient": _network,
}
