"""The numerical state of a process: an audit runs under the worker's, whatever a fit left behind.

A fit may set the default dtype, the grad mode or the number of threads, and yield in the middle of
``torch.no_grad()``. None of that may reach the numbers of the audit, and the fit has to find its
own state again when it goes on.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

_DENORMAL = 1e-310


@dataclass(frozen=True)
class Ambient:
    """The settings that the arithmetic of a process depends on."""

    dtype: torch.dtype
    device: torch.device
    threads: int
    grad: bool
    deterministic: bool
    precision: str
    anomaly: tuple[bool, bool]
    flushes: bool
    errors: Any
    torch_random: Tensor
    numpy_random: Any
    python_random: Any


def ambient() -> Ambient:
    """The state now."""
    return Ambient(
        dtype=torch.get_default_dtype(),
        device=torch.get_default_device(),
        threads=torch.get_num_threads(),
        grad=torch.is_grad_enabled(),
        deterministic=torch.are_deterministic_algorithms_enabled(),
        precision=torch.get_float32_matmul_precision(),
        anomaly=(torch.is_anomaly_enabled(), torch.is_anomaly_check_nan_enabled()),
        flushes=float(torch.tensor(_DENORMAL, dtype=torch.float64, device="cpu") * 1.0) == 0.0,
        errors=np.geterr(),
        torch_random=torch.random.get_rng_state(),
        numpy_random=np.random.get_state(),  # noqa: NPY002 (others may draw from it)
        python_random=random.getstate(),
    )


@contextmanager
def under(wanted: Ambient) -> Iterator[None]:
    """Run the block in the state ``wanted`` and put back what there was."""
    before = ambient()
    _enter(wanted, before)
    try:
        yield
    finally:
        _enter(before, ambient())


def _enter(wanted: Ambient, now: Ambient) -> None:
    torch.set_default_dtype(wanted.dtype)
    if wanted.device != now.device:
        torch.set_default_device(None)  # leaves the mode that set_default_device enters
        if torch.get_default_device() != wanted.device:
            torch.set_default_device(wanted.device)
    if wanted.threads != now.threads:
        torch.set_num_threads(wanted.threads)
    torch.set_grad_enabled(wanted.grad)
    torch.use_deterministic_algorithms(wanted.deterministic)
    torch.set_float32_matmul_precision(wanted.precision)
    torch.autograd.set_detect_anomaly(*wanted.anomaly)
    torch.set_flush_denormal(wanted.flushes)
    np.seterr(**wanted.errors)
    torch.random.set_rng_state(wanted.torch_random)
    np.random.set_state(wanted.numpy_random)  # noqa: NPY002
    random.setstate(wanted.python_random)
