"""The numerical state of a process: an audit runs under the worker's, whatever a fit left behind.

A fit may set the default dtype, the grad mode or the number of threads, and yield in the middle of
``torch.no_grad()``. None of that may reach the numbers of the audit, and the fit has to find its
own state again when it goes on.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

Ambient = Mapping[str, Any]
"""The settings that the arithmetic of a process depends on, by the names of `_PARTS`."""

_DENORMAL = 1e-310


def _set_device(wanted: torch.device) -> None:
    if torch.get_default_device() != wanted:
        torch.set_default_device(None)  # leaves the mode that set_default_device enters
        if torch.get_default_device() != wanted:
            torch.set_default_device(wanted)


def _set_threads(wanted: int) -> None:
    if torch.get_num_threads() != wanted:
        torch.set_num_threads(wanted)


_PARTS: dict[str, tuple[Callable[[], Any], Callable[[Any], object]]] = {
    "dtype": (torch.get_default_dtype, torch.set_default_dtype),
    "device": (torch.get_default_device, _set_device),
    "threads": (torch.get_num_threads, _set_threads),
    "grad": (torch.is_grad_enabled, torch.set_grad_enabled),
    # Not use_deterministic_algorithms: it imports torch's compiler, 2.5 CPU seconds.
    "deterministic": (torch.get_deterministic_debug_mode, torch.set_deterministic_debug_mode),
    "precision": (torch.get_float32_matmul_precision, torch.set_float32_matmul_precision),
    "anomaly": (
        lambda: (torch.is_anomaly_enabled(), torch.is_anomaly_check_nan_enabled()),
        lambda flags: torch.autograd.set_detect_anomaly(*flags),
    ),
    "flushes": (
        lambda: float(torch.tensor(_DENORMAL, dtype=torch.float64, device="cpu") * 1.0) == 0.0,
        torch.set_flush_denormal,
    ),
    "errors": (np.geterr, lambda kinds: np.seterr(**kinds)),
    "torch_random": (torch.random.get_rng_state, torch.random.set_rng_state),
    "numpy_random": (np.random.get_state, np.random.set_state),
    "python_random": (random.getstate, random.setstate),
}
"""How each part is read, and how it is put back."""


def ambient() -> Ambient:
    """The state now."""
    return {name: read() for name, (read, _) in _PARTS.items()}


@contextmanager
def under(wanted: Ambient) -> Iterator[None]:
    """Run the block in the state ``wanted`` and put back what there was."""
    before = ambient()
    _enter(wanted)
    try:
        yield
    finally:
        _enter(before)


def _enter(wanted: Ambient) -> None:
    for name, (_, put_back) in _PARTS.items():
        put_back(wanted[name])
