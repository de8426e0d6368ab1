"""The global state of a process that an estimator has to leave as it is."""

from __future__ import annotations

import os
import random
import signal
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

_EXPLAINED = {
    "torch's default dtype": "tensors that others make later change their type",
    "torch's number of threads": "the timings of everything that follows change",
    "torch's global random state": "draw from the generator that fit is given; do not call "
    "torch.manual_seed, and pass generator=... to torch.randn, multinomial and the like "
    "(layers of torch.nn draw their first weights from the global state too)",
    "numpy's global random state": "use numpy.random.Generator, seeded from the generator that fit "
    "is given",
    "the random state of Python's random": "use random.Random, seeded from the generator that fit "
    "is given",
    "torch's grad mode": "a generator function that yields inside torch.no_grad() or "
    "enable_grad() leaves the mode switched while the caller works",
    "torch's deterministic-algorithms flag": "others inherit it",
    "torch's float32 matmul precision": "others inherit it",
    "torch's default device": "tensors that others make later are elsewhere",
    "torch's anomaly detection": "everything that follows is slower, or stops at a NaN; use "
    "torch.autograd.detect_anomaly() as a context",
    "the flushing of denormal numbers": "the arithmetic of others changes",
    "numpy's handling of floating-point errors": "use numpy.errstate(...) as a context",
    "the recursion limit": "others inherit it",
    "the handlers of signals": "the runner stops its workers by signals, and Ctrl-C has to work",
    "the environment variables": "others inherit them",
    "the working directory": "relative paths of others break",
    "the warning filters": "warnings of others are lost; use warnings.catch_warnings()",
    "matplotlib's being imported": "import it where something is drawn",
}


_BEARTYPE = "beartype"
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)
_DENORMAL = 1e-310


@dataclass(frozen=True)
class Snapshot:
    """The state at one moment, by the name of each part."""

    parts: dict[str, Any]


def snapshot() -> Snapshot:
    """The state now."""
    state = random.getstate()
    _, keys, position, *rest = np.random.get_state(legacy=True)  # noqa: NPY002 (that is what is looked at)
    return Snapshot(
        {
            "torch's default dtype": torch.get_default_dtype(),
            "torch's number of threads": torch.get_num_threads(),
            "torch's global random state": torch.random.get_rng_state().numpy().tobytes(),
            "numpy's global random state": (np.asarray(keys).tobytes(), position, *rest),
            # beartype's checks of containers draw from it: where they are on, nobody can tell.
            "the random state of Python's random": 0 if _BEARTYPE in sys.modules else state,
            "torch's grad mode": torch.is_grad_enabled(),
            "torch's deterministic-algorithms flag": torch.are_deterministic_algorithms_enabled(),
            "torch's float32 matmul precision": torch.get_float32_matmul_precision(),
            "torch's default device": torch.get_default_device(),
            "torch's anomaly detection": (
                torch.is_anomaly_enabled(),
                torch.is_anomaly_check_nan_enabled(),
            ),
            "the flushing of denormal numbers": _flushing(),
            "numpy's handling of floating-point errors": np.geterr(),
            "the recursion limit": sys.getrecursionlimit(),
            "the handlers of signals": {one: signal.getsignal(one) for one in _SIGNALS},
            "the environment variables": dict(os.environ),
            "the working directory": os.getcwd(),
            "the warning filters": tuple(map(str, warnings.filters)),
            "matplotlib's being imported": "matplotlib" in sys.modules,
        }
    )


def _flushing() -> bool:
    return float(torch.tensor(_DENORMAL, dtype=torch.float64, device="cpu") * 1.0) == 0.0


def changed(before: Snapshot, after: Snapshot) -> list[str]:
    """The names of the parts that differ."""
    return [name for name, value in before.parts.items() if after.parts[name] != value]


def explained(name: str) -> str:
    """The name of a part, and why it matters."""
    return f"{name} changed ({_EXPLAINED[name]})"


@contextmanager
def kept(seed: int) -> Iterator[None]:
    """Seed the global generators, and put everything back at the end of the block.

    Two runs of the same work under different seeds differ exactly where it draws from them.
    """
    before = snapshot()
    torch_state, numpy_state = torch.random.get_rng_state(), np.random.get_state()  # noqa: NPY002
    python_state = random.getstate()
    filters, directory = list(warnings.filters), os.getcwd()
    torch.random.set_rng_state(torch.Generator().manual_seed(seed).get_state())
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002
    try:
        yield
    finally:
        parts = before.parts
        torch.set_default_dtype(parts["torch's default dtype"])
        if torch.get_num_threads() != parts["torch's number of threads"]:
            torch.set_num_threads(parts["torch's number of threads"])
        torch.random.set_rng_state(torch_state)
        np.random.set_state(numpy_state)  # noqa: NPY002
        random.setstate(python_state)
        torch.set_grad_enabled(parts["torch's grad mode"])
        torch.use_deterministic_algorithms(parts["torch's deterministic-algorithms flag"])
        torch.set_float32_matmul_precision(parts["torch's float32 matmul precision"])
        _restore_the_rest(parts)
        if os.getcwd() != directory:
            os.chdir(directory)
        _restore_environment(parts["the environment variables"])
        warnings.filters[:] = filters  # type: ignore[index]


def _restore_the_rest(before: dict[str, Any]) -> None:
    device = before["torch's default device"]
    if torch.get_default_device() != device:
        torch.set_default_device(None)  # leaves the mode that set_default_device enters
        if torch.get_default_device() != device:
            torch.set_default_device(device)
    torch.autograd.set_detect_anomaly(*before["torch's anomaly detection"])
    torch.set_flush_denormal(before["the flushing of denormal numbers"])
    np.seterr(**before["numpy's handling of floating-point errors"])
    if sys.getrecursionlimit() != before["the recursion limit"]:
        sys.setrecursionlimit(before["the recursion limit"])
    if threading.current_thread() is threading.main_thread():
        for one, handler in before["the handlers of signals"].items():
            # None: installed from outside of Python, where nothing can put it back.
            if handler is not None and signal.getsignal(one) != handler:
                signal.signal(one, handler)


def _restore_environment(before: dict[str, str]) -> None:
    for name in [name for name in os.environ if name not in before]:
        del os.environ[name]
    for name, value in before.items():
        if os.environ.get(name) != value:
            os.environ[name] = value
