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
from torch import Tensor

from rdbench.run.ambient import ambient, under

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)


@dataclass(frozen=True)
class _Part:
    """A part of the state beside the numerical one: how it is read and how it is put back."""

    name: str
    why: str
    read: Callable[[], Any]
    put_back: Callable[[Any], object] = lambda _: None


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
_NUMERICAL = {
    "dtype": ("torch's default dtype", "tensors that others make later change their type"),
    "threads": (
        "torch's number of threads",
        "the timings of everything that follows change",
    ),
    "torch_random": (
        "torch's global random state",
        "draw from the generator that fit is given; do not call torch.manual_seed, and pass "
        "generator=... to torch.randn, multinomial and the like (layers of torch.nn draw their "
        "first weights from the global state too)",
    ),
    "numpy_random": (
        "numpy's global random state",
        "use numpy.random.Generator, seeded from the generator that fit is given",
    ),
    "python_random": (
        _PYTHON_RANDOM,
        "use random.Random, seeded from the generator that fit is given",
    ),
    "grad": (
        "torch's grad mode",
        "a generator function that yields inside torch.no_grad() or enable_grad() leaves the "
        "mode switched while the caller works",
    ),
    "deterministic": ("torch's deterministic-algorithms flag", "others inherit it"),
    "precision": ("torch's float32 matmul precision", "others inherit it"),
    "device": ("torch's default device", "tensors that others make later are elsewhere"),
    "anomaly": (
        "torch's anomaly detection",
        "everything that follows is slower, or stops at a NaN; use "
        "torch.autograd.detect_anomaly() as a context",
    ),
    "flushes": ("the flushing of denormal numbers", "the arithmetic of others changes"),
    "errors": (
        "numpy's handling of floating-point errors",
        "use numpy.errstate(...) as a context",
    ),
}
"""The parts of `rdbench.run.ambient`: the name of each in words, and why it matters."""
_OTHERS = (
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
_WHY = dict(_NUMERICAL.values()) | {part.name: part.why for part in _OTHERS}


def snapshot() -> dict[str, Any]:
    """The state now, by the name of each part, in values that ``==`` compares."""
    now = ambient()
    numerical = {name: _plain(now[part]) for part, (name, _) in _NUMERICAL.items()}
    return numerical | {part.name: part.read() for part in _OTHERS}


def _plain(value: Any) -> Any:
    """Bytes for a tensor or an array, and for those in a tuple."""
    if isinstance(value, (Tensor, np.ndarray)):
        return np.asarray(value).tobytes()
    return tuple(map(_plain, value)) if isinstance(value, tuple) else value


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
    before = {part.name: part.read() for part in _OTHERS}
    with under(ambient()):
        torch.random.set_rng_state(torch.Generator().manual_seed(seed).get_state())
        random.seed(seed)
        np.random.seed(seed % 2**32)  # noqa: NPY002
        try:
            yield
        finally:
            for part in _OTHERS:
                if part.read() != before[part.name]:
                    part.put_back(before[part.name])
