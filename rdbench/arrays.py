"""Arguments of constructors as float64: tensors, NumPy arrays and lists of any real dtype."""

from __future__ import annotations

import contextlib
import math
import operator
from typing import Any, TypeAlias, TypeVar

import numpy as np
import torch
from torch import Tensor

from rdbench.outcomes import RdbenchError

__all__ = [
    "Array", "Number", "array", "converts", "finite", "instance", "number", "positive",
    "probabilities", "settle", "whole",
]  # fmt: skip

Array: TypeAlias = Any
"""A tensor, a NumPy array or a (nested) list of real numbers."""
Number: TypeAlias = Any
"""A Python number or a NumPy or torch scalar."""

T = TypeVar("T")
_DECIMALS = 1e-9
"""How far the sum of float64 probabilities may be from one."""
_EPS = float(torch.finfo(torch.float64).eps)


def array(value: Array, what: str, ndim: int, *, finite: bool = True) -> Tensor:
    """``value`` as a float64 tensor of ``ndim`` dimensions; a float64 tensor comes back as it is.

    Raises:
        RdbenchError: it is not an array of real numbers, has another number of dimensions, is
            empty, or, with ``finite``, holds NaN or infinite numbers.
    """
    found = _tensor(value, what)
    if found.ndim != ndim or found.numel() == 0:
        shape = {1: "(m,)", 2: "(m, d)", 3: "(k, d, d)"}[ndim]
        raise RdbenchError(f"{what} must have the shape {shape}, got {tuple(found.shape)}")
    found = found.detach().double()
    if finite and not bool(found.isfinite().all()):
        raise RdbenchError(f"{what} must be finite")
    return found


def probabilities(value: Array, what: str) -> Tensor:
    """``value`` as float64 probabilities (m,) that sum to one.

    A law that was normalised in a shorter type sums to one within that type's rounding alone: it
    is normalised again.

    Raises:
        RdbenchError: as `array`; a negative number, or a sum that is not one within rounding.
    """
    given = _tensor(value, what)
    found = array(given, what, 1)
    eps = torch.finfo(given.dtype).eps if given.is_floating_point() else _EPS
    allowed = max(_DECIMALS, eps * (8.0 + 2.0 * math.sqrt(len(found))) if eps > _EPS else 0.0)
    total = float(found.sum())
    if not bool((found >= 0).all()) or abs(total - 1.0) > allowed:
        raise RdbenchError(
            f"{what} must be non-negative and sum to one; the sum is {total:.9g}"
            if bool((found >= 0).all())
            else f"{what} must be non-negative and sum to one; the least is {float(found.min()):g}"
        )
    # by rounding alone: as it is, so that it keeps its digits
    return found if abs(total - 1.0) <= 4.0 * _EPS * len(found) else found / total


def number(value: Number, what: str) -> float:
    """``value`` as a float, infinities and NaN included.

    Raises:
        RdbenchError: it is no real number (a list, a string, an array of several).
    """
    single = not isinstance(value, (str, bytes)) and getattr(value, "ndim", 0) == 0
    try:
        if single:
            return float(value.detach() if isinstance(value, Tensor) else value)
    except (TypeError, ValueError, OverflowError, RuntimeError):
        pass
    raise RdbenchError(f"{what} must be a number, got {_shown(value)}")


def finite(value: Number, what: str) -> float:
    """``value`` as a finite float.

    Raises:
        RdbenchError: as `number`; it is not finite.
    """
    found = number(value, what)
    if not math.isfinite(found):
        raise RdbenchError(f"{what} must be finite, got {found}")
    return found


def positive(value: Number, what: str) -> float:
    """``value`` as a float, positive and finite.

    Raises:
        RdbenchError: as `number`; it is not positive, or not finite.
    """
    found = number(value, what)
    if not 0.0 < found < math.inf:
        raise RdbenchError(f"{what} must be positive and finite, got {found}")
    return found


def whole(value: Number, what: str, least: float = -math.inf) -> int:
    """``value`` as an int of at least ``least``.

    Raises:
        RdbenchError: it is no whole number, or a smaller one.
    """
    found: int | None = None
    with contextlib.suppress(TypeError, RuntimeError):
        if not isinstance(value, bool) and getattr(value, "ndim", 0) == 0:
            found = operator.index(value)
    if found is None:
        raise RdbenchError(f"{what} must be a whole number, got {_shown(value)}")
    if found < least:
        raise RdbenchError(f"{what} must be at least {least}, got {found}")
    return found


def instance(value: Any, wanted: type[T], what: str) -> T:
    """``value``, which is a ``wanted``.

    Raises:
        RdbenchError: it is something else.
    """
    if not isinstance(value, wanted):
        raise RdbenchError(f"{what} must be a {wanted.__name__}, got {_shown(value)}")
    return value


def converts(cls: type[T]) -> type[T]:
    """A dataclass that converts what it is given, or refuses it in one line of its own.

    A run-time checker of annotations, which tests use, must not judge the arguments before that.
    """
    cls.__init__.__annotations__.clear()
    return cls


def settle(made: Any, **fields: Any) -> None:
    """Set fields of a frozen dataclass, in its ``__post_init__`` alone."""
    for name, value in fields.items():
        object.__setattr__(made, name, value)


def _tensor(value: Array, what: str) -> Tensor:
    """Any real dtype."""
    try:
        if isinstance(value, Tensor):
            found = value
        else:
            plain = np.asarray(value)
            if plain.dtype.kind not in "biuf":
                raise ValueError
            # a copy: what is written into the list or array later is not meant
            found = torch.tensor(plain if plain.dtype.itemsize <= 8 else plain.astype(float))
    except (TypeError, ValueError, RuntimeError, OverflowError):
        raise RdbenchError(f"{what} must be an array of numbers, got {_shown(value)}") from None
    if found.is_complex() or found.is_quantized or found.layout != torch.strided:
        raise RdbenchError(f"{what} must be an array of real numbers, got {_shown(value)}")
    return found


def _shown(value: Any) -> str:
    if isinstance(value, Tensor):
        return f"a tensor of the shape {tuple(value.shape)} and type {value.dtype}"
    text = " ".join(repr(value).split())
    return f"{type(value).__name__} {text[:60]}{'...' if len(text) > 60 else ''}"
