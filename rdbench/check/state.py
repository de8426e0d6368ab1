"""The global state of a process that an estimator has to leave as it is."""

from __future__ import annotations

import os
import random
import sys
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
    "the environment variables": "others inherit them",
    "the working directory": "relative paths of others break",
    "the warning filters": "warnings of others are lost; use warnings.catch_warnings()",
    "matplotlib's being imported": "import it where something is drawn",
}


_BEARTYPE = "beartype"


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
            "the environment variables": dict(os.environ),
            "the working directory": os.getcwd(),
            "the warning filters": tuple(map(str, warnings.filters)),
            "matplotlib's being imported": "matplotlib" in sys.modules,
        }
    )


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
        if os.getcwd() != directory:
            os.chdir(directory)
        _restore_environment(parts["the environment variables"])
        warnings.filters[:] = filters  # type: ignore[index]


def _restore_environment(before: dict[str, str]) -> None:
    for name in [name for name in os.environ if name not in before]:
        del os.environ[name]
    for name, value in before.items():
        if os.environ.get(name) != value:
            os.environ[name] = value
