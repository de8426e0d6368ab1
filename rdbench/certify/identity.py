"""The key of a certificate, by its problem: the same numbers, the same key, on every machine."""

from __future__ import annotations

import dataclasses
import hashlib
import math
from typing import Any

import numpy as np
import torch

from rdbench.types import HasLineDensity, HasSupport, Problem

CODE_VERSION = 1
"""Raise this whenever a change of rdbench.certify changes what a certificate says."""

_DIGITS = ".9g"
"""Linear algebra differs between machines in the last digits; a changed problem does not."""


def problem_digest(problem: Problem) -> str:
    """A digest of the source, the distortion and the alphabet.

    Of a dataclass the class and every field count; of a finite source its points and their
    probabilities alone; of a density of one's own what it declares, and its values at many points.
    Numbers count to nine digits.
    """
    source: Any = problem.source
    described = source
    if isinstance(source, HasSupport):
        described = ("finite", source.support, source.pmf)
    elif isinstance(source, HasLineDensity):
        described = ("line", *_declared(source))
    text = canonical((described, problem.distortion, problem.alphabet))
    return hashlib.sha256(text.encode()).hexdigest()


def _declared(source: HasLineDensity) -> tuple[Any, ...]:
    tail = source.tail
    stops = [*source.interval, *source.breakpoints, *(tail.beyond if tail else ())]
    finite = [float(v) for v in stops if math.isfinite(v)] or [0.0]
    middle, span = 0.5 * (min(finite) + max(finite)), max(finite) - min(finite)
    # Over the declared stretch and beyond it, and at every size about its middle.
    away = np.geomspace(1e-8, 1e8, 161)
    x = np.concatenate([
        min(finite) + span * np.linspace(0.0, 1.0, 258)[1:-1], middle + away, middle - away,
    ])  # fmt: skip
    values = source.log_prob(torch.from_numpy(x)[:, None]).double()
    return (source.interval, source.breakpoints, tail, values)


def certificate_key(digest: str, beta: float, tolerance: float) -> str:
    """The key of a certificate: problem, slope, tolerance and code version."""
    text = f"{digest} {float(beta)!r} {float(tolerance)!r} {CODE_VERSION}"
    return hashlib.sha256(text.encode()).hexdigest()


def canonical(value: Any) -> str:
    """A value as text that does not depend on the machine.

    Raises:
        TypeError: a value without such a text (a function, an object that is not a dataclass).
    """
    if value is None or isinstance(value, (bool, int, str)):
        return repr(value)
    if isinstance(value, float):
        return format(value, _DIGITS)
    if isinstance(value, torch.Tensor):
        return canonical(value.detach().cpu().numpy())
    if isinstance(value, np.ndarray):
        numbers = ",".join(format(x, _DIGITS) for x in value.astype(float).ravel().tolist())
        return f"{list(value.shape)}[{numbers}]"
    if isinstance(value, (tuple, list)):
        return "(" + ",".join(map(canonical, value)) + ")"
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = ",".join(
            f"{f.name}={canonical(getattr(value, f.name))}" for f in dataclasses.fields(value)
        )
        return f"{type(value).__name__}({fields})"
    raise TypeError(f"a {type(value).__name__} cannot be part of a certified problem")
