"""The global state of a process that an estimator has to leave as it is."""

from __future__ import annotations

import os
import random
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)
_DENORMAL = 1e-310


@dataclass(frozen=True)
class _Part:
    """One part of the state: how it is read, how it is put back, and why it matters."""

    name: str
    why: str
    read: Callable[[], Any]
    put_back: Callable[[Any], object] = lambda _: None


def _torch_random() -> bytes:
    return torch.random.get_rng_state().numpy().tobytes()


def _set_torch_random(state: bytes) -> None:
    torch.random.set_rng_state(torch.frombuffer(bytearray(state), dtype=torch.uint8))


def _numpy_random() -> tuple[Any, ...]:
    kind, keys, *rest = np.random.get_state(legacy=True)  # noqa: NPY002 (that is what is looked at)
    return kind, np.asarray(keys).tobytes(), *rest


def _set_numpy_random(state: tuple[Any, ...]) -> None:
    kind, keys, *rest = state
    np.random.set_state((kind, np.frombuffer(keys, dtype=np.uint32), *rest))  # noqa: NPY002


def _set_default_device(device: torch.device) -> None:
    torch.set_default_device(None)  # leaves the mode that set_default_device enters
    if torch.get_default_device() != device:
        torch.set_default_device(device)


def _flushing() -> bool:
    return float(torch.tensor(_DENORMAL, dtype=torch.float64, device="cpu") * 1.0) == 0.0


def _set_handlers(handlers: Mapping[signal.Signals, Any]) -> None:
    if threading.current_thread() is threading.main_thread():
        for one, handler in handlers.items():
            # None: installed from outside of Python, where nothing can put it back.
            if handler is not None and signal.getsignal(one) != handler:
                signal.signal(one, handler)


def _set_environment(before: Mapping[str, str]) -> None:
    for name in set(os.environ) - set(before):
        del os.environ[name]
    os.environ.update({k: v for k, v in before.items() if os.environ.get(k) != v})


def _set_filters(filters: list[Any]) -> None:
    warnings.filters[:] = filters  # type: ignore[index]


_PYTHON_RANDOM = "the random state of Python's random"
_PARTS = (
    _Part("torch's default dtype", "tensors that others make later change their type",
          torch.get_default_dtype, torch.set_default_dtype),
    _Part("torch's number of threads", "the timings of everything that follows change",
          torch.get_num_threads, torch.set_num_threads),
    _Part("torch's global random state",
          "draw from the generator that fit is given; do not call torch.manual_seed, and pass "
          "generator=... to torch.randn, multinomial and the like (layers of torch.nn draw their "
          "first weights from the global state too)",
          _torch_random, _set_torch_random),
    _Part("numpy's global random state",
          "use numpy.random.Generator, seeded from the generator that fit is given",
          _numpy_random, _set_numpy_random),
    _Part(_PYTHON_RANDOM, "use random.Random, seeded from the generator that fit is given",
          random.getstate, random.setstate),
    _Part("torch's grad mode",
          "a generator function that yields inside torch.no_grad() or enable_grad() leaves the "
          "mode switched while the caller works",
          torch.is_grad_enabled, torch.set_grad_enabled),
    _Part("torch's deterministic-algorithms flag", "others inherit it",
          torch.are_deterministic_algorithms_enabled, torch.use_deterministic_algorithms),
    _Part("torch's float32 matmul precision", "others inherit it",
          torch.get_float32_matmul_precision, torch.set_float32_matmul_precision),
    _Part("torch's default device", "tensors that others make later are elsewhere",
          torch.get_default_device, _set_default_device),
    _Part("torch's anomaly detection",
          "everything that follows is slower, or stops at a NaN; use "
          "torch.autograd.detect_anomaly() as a context",
          lambda: (torch.is_anomaly_enabled(), torch.is_anomaly_check_nan_enabled()),
          lambda flags: torch.autograd.set_detect_anomaly(*flags)),
    _Part("the flushing of denormal numbers", "the arithmetic of others changes",
          _flushing, torch.set_flush_denormal),
    _Part("numpy's handling of floating-point errors", "use numpy.errstate(...) as a context",
          np.geterr, lambda kinds: np.seterr(**kinds)),
    _Part("the recursion limit", "others inherit it",
          sys.getrecursionlimit, sys.setrecursionlimit),
    _Part("the handlers of signals",
          "the runner stops its workers by signals, and Ctrl-C has to work",
          lambda: {one: signal.getsignal(one) for one in _SIGNALS}, _set_handlers),
    _Part("the environment variables", "others inherit them",
          lambda: dict(os.environ), _set_environment),
    _Part("the working directory", "relative paths of others break", os.getcwd, os.chdir),
    _Part("the warning filters",
          "warnings of others are lost; use warnings.catch_warnings()",
          lambda: list(warnings.filters), _set_filters),
    _Part("matplotlib's being imported", "import it where something is drawn",
          lambda: "matplotlib" in sys.modules),
)  # fmt: skip
_WHY = {part.name: part.why for part in _PARTS}


def snapshot() -> dict[str, Any]:
    """The state now, by the name of each part."""
    return {part.name: part.read() for part in _PARTS}


def changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """The names of the parts that differ."""
    # beartype's checks of containers draw from Python's random: where they are on, nobody can tell.
    ignored = _PYTHON_RANDOM if "beartype" in sys.modules else ""
    return [name for name, value in before.items() if after[name] != value and name != ignored]


def explained(name: str) -> str:
    """The name of a part, and why it matters."""
    return f"{name} changed ({_WHY[name]})"


@contextmanager
def kept(seed: int) -> Iterator[None]:
    """Seed the global generators, and put everything back at the end of the block.

    Two runs of the same work under different seeds differ exactly where it draws from them.
    """
    before = snapshot()
    torch.random.set_rng_state(torch.Generator().manual_seed(seed).get_state())
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002
    try:
        yield
    finally:
        for part in _PARTS:
            if part.read() != before[part.name]:
                part.put_back(before[part.name])
