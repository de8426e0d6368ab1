"""The audit of one channel, by the four methods that are cheap.

The source is N(0, s^2) under squared error and q = N(0, v) with the wrong variance, in the four
forms that a marginal may have. Then F(q), its gap and its distortion are known in closed form:

    F(q) = log(1 + 2 beta v) / 2 + beta s^2 / (1 + 2 beta v),  F* = log(2 beta s^2) / 2 + 1/2,
    D    = (1 - g)^2 s^2 + g / (2 beta),                       g = v / (v + 1 / (2 beta)).
"""

from __future__ import annotations

import dataclasses
import math
from functools import partial
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


def _audited(kind: str, symbols: int, widest: float, above: float = 0.0) -> Kernel:
    """The audit of q with few symbols.

    Args:
        kind: the form of q.
        symbols: how many.
        widest: the largest distance in nats from the gap to the end of its interval that shows the
            method at work.
        above: by how many nats the gap may lie too high in expectation.
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
    channel = TestChannel(_BETA, _marginal(kind), Claim(0.0, 0.0, "estimate"), _no_draws)
    generator = torch.Generator()

    def work() -> Any:
        generator.manual_seed(11)
        return audit(channel, problem, reference, size=size, generator=generator)

    def check(found: Any) -> None:
        gap, distortion = _closed_form()
        half = found.gap_hi - found.gap
        assert found.accepted, "the audit's acceptance test failed"
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


def _marginal(kind: str) -> Any:
    """q as atoms, an energy, a density or a pushforward."""
    import torch

    from rdbench.types import Atoms, Density, Energy, Pushforward

    if kind == "atoms":
        y = np.linspace(-4.0, 4.0, 201)
        log_w = -0.5 * y**2 / _VARIANCE
        log_w -= np.logaddexp.reduce(log_w)
        return Atoms(torch.from_numpy(y[:, None]), torch.from_numpy(log_w))
    if kind == "energy":
        return Energy(_sample, _energy)
    if kind == "density":
        constant = 0.5 * math.log(2.0 * math.pi * _VARIANCE)
        return Density(_sample, lambda y: -_energy(y)[0] - constant)
    return Pushforward(lambda z: math.sqrt(_VARIANCE) * z, 1)


AUDITS: dict[str, Prepare] = {
    "audit_atoms": prepares(partial(_audited, "atoms", 4000, 0.005)),
    "audit_quadrature": prepares(partial(_audited, "energy", 4000, 0.005)),
    "audit_importance": prepares(partial(_audited, "density", 500, 0.02, 0.003)),
    "audit_latent": prepares(partial(_audited, "pushforward", 500, 0.02, 0.003)),
}
