"""The audit of one channel, by the four methods that are cheap.

The source is N(0, s^2) under squared error and q = N(0, v) with the wrong variance, in the four
forms that a marginal may have. Then F(q), its gap and its distortion are known in closed form:

    F(q) = log(1 + 2 beta v) / 2 + beta s^2 / (1 + 2 beta v),  F* = log(2 beta s^2) / 2 + 1/2,
    D    = (1 - g)^2 s^2 + g / (2 beta),                       g = v / (v + 1 / (2 beta)).
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
from numpy.testing import assert_allclose

from benchmarks._kernel import Kernel, Prepare, prepares

_BETA, _STD, _VARIANCE = 2.0, 1.0, 0.6


def _closed_form() -> tuple[float, float]:
    """The gap in nats, and D."""
    spread, s2 = 1.0 + 2.0 * _BETA * _VARIANCE, _STD**2
    f = 0.5 * math.log(spread) + _BETA * s2 / spread
    gain = _VARIANCE / (_VARIANCE + 0.5 / _BETA)
    return (
        f - 0.5 * math.log(2.0 * _BETA * s2) - 0.5,
        (1.0 - gain) ** 2 * s2 + gain / (2.0 * _BETA),
    )


def _audited(marginal: Any, symbols: int, widest: float, above: float = 0.0) -> Kernel:
    """The audit of q with few symbols.

    ``widest`` is the largest distance in nats from the gap to the end of its interval that shows
    the method at work; ``above`` is by how much it may lie too high in expectation.
    """
    import torch

    from rdbench.audit import SIZES, audit
    from rdbench.distortions import SquaredError
    from rdbench.references.gaussian import WaterFilling
    from rdbench.sources.gaussian import scalar_gaussian
    from rdbench.types import Claim, Problem, TestChannel

    source = scalar_gaussian(0.0, _STD)
    problem, reference = Problem(source, SquaredError()), WaterFilling(source)
    size = dataclasses.replace(
        SIZES["quick"], symbols=symbols, plug_in_draws=1000, paper_draws=0, conditional_symbols=0
    )
    channel = TestChannel(_BETA, marginal, Claim(0.0, 0.0, "estimate"), _no_draws)
    generator = torch.Generator()

    def work() -> Any:
        generator.manual_seed(11)
        return audit(channel, problem, reference, size=size, generator=generator)

    def check(found: Any) -> None:
        gap, distortion = _closed_form()
        half = found.gap_hi - found.gap
        assert found.accepted, "the audit's own gate failed"
        assert 0.0 < half < widest, f"the interval reaches {half:g} nats"
        # The interval is one of 95%, two standard errors: we allow four.
        assert -2.0 * half <= found.gap - gap <= 2.0 * half + above, (
            f"gap {found.gap:g} + {half:g} instead of {gap:g} nats"
        )
        lagrangian = found.rate + _BETA * found.distortion
        assert_allclose(lagrangian, found.lagrangian, rtol=1e-9, equal_nan=False)
        assert_allclose(found.distortion, distortion, rtol=0.05, equal_nan=False)

    return Kernel(work, check)


def _no_draws(_x: Any, _k: int, _generator: Any) -> Any:
    raise AssertionError("the conditional is not audited here")


def _sample(n: int, generator: Any) -> Any:
    import torch

    z = torch.randn(n, 1, generator=generator, dtype=torch.float64)
    return math.sqrt(_VARIANCE) * z


def _energy(y: Any) -> tuple[Any, Any]:
    return 0.5 * y.square().sum(1) / _VARIANCE, y / _VARIANCE


@prepares
def _atoms() -> Kernel:
    import torch

    from rdbench.types import Atoms

    y = np.linspace(-4.0, 4.0, 201)
    log_w = -0.5 * y**2 / _VARIANCE
    log_w -= np.logaddexp.reduce(log_w)
    return _audited(Atoms(torch.from_numpy(y[:, None]), torch.from_numpy(log_w)), 4000, 0.005)


@prepares
def _quadrature() -> Kernel:
    from rdbench.types import Energy

    return _audited(Energy(_sample, _energy), 4000, 0.005)


@prepares
def _importance() -> Kernel:
    from rdbench.types import Density

    constant = 0.5 * math.log(2.0 * math.pi * _VARIANCE)
    return _audited(Density(_sample, lambda y: -_energy(y)[0] - constant), 500, 0.02, 0.003)


@prepares
def _latent() -> Kernel:
    from rdbench.types import Pushforward

    return _audited(Pushforward(lambda z: math.sqrt(_VARIANCE) * z, 1), 500, 0.02, 0.003)


AUDITS: dict[str, Prepare] = {
    "audit_atoms": _atoms,
    "audit_quadrature": _quadrature,
    "audit_importance": _importance,
    "audit_latent": _latent,
}
