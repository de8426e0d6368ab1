"""A distortion measure out of a user's file: a function of two sets of points, or a class."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from rdbench.outcomes import RdbenchError, in_words
from rdbench.targets import class_in, import_module
from rdbench.types import Distortion

_PARTS = ("name", "pairwise", "value_and_grad", "noise", "log_noise_mass")
_MANY, _FEW = 7, 5
"""How many symbols and reproductions a measure is tried on; not the same, so that axes differ."""


@dataclass(frozen=True)
class FunctionDistortion:
    """rho(x, y) by a function that takes x (n, d), y (m, d) in float64 and returns (n, m).

    It has neither a gradient nor noise, so that estimators which need them refuse it.
    """

    name: str
    rho: Callable[[Tensor, Tensor], Tensor]

    def pairwise(self, x: Float[Tensor, "n d"], y: Float[Tensor, "m d"]) -> Float[Tensor, "n m"]:
        """rho(x_i, y_j)."""
        return self.rho(x.double(), y.double())

    def value_and_grad(
        self, x: Float[Tensor, "*b d"], y: Float[Tensor, "*b d"]
    ) -> tuple[Float[Tensor, "*b"], Float[Tensor, "*b d"]]:
        """Not known: raises NotImplementedError."""
        raise NotImplementedError(f"the function {self.name} comes without a gradient")

    def noise(self, beta: float, n: int, dim: int, generator: Generator) -> Float[Tensor, "n d"]:
        """Not known: raises NotImplementedError."""
        raise NotImplementedError(f"the function {self.name} comes without noise")

    def log_noise_mass(self, beta: float, dim: int) -> float:
        """Not known: raises NotImplementedError."""
        raise NotImplementedError(f"the function {self.name} comes without noise")


def own_measure(file: str, name: str) -> Distortion:
    """The distortion measure FILE.py:NAME.

    Args:
        file: the file.
        name: a function rho(x (n, d), y (m, d)) -> (n, m), a class with the parts of
            `rdbench.types.Distortion`, which is made without arguments, or such an object.

    Raises:
        RdbenchError: there is no such thing in the file, or it is no distortion.
    """
    title = f"{Path(file).name}:{name}"
    found: Any = class_in(import_module(file), file, name)
    if isinstance(found, type):
        try:
            found = found()
        except Exception as problem:
            raise RdbenchError(f"{title} cannot be made: {in_words(problem)}") from problem
    if callable(found) and not hasattr(found, "pairwise"):
        found = FunctionDistortion(name, found)
    lacking = [part for part in _PARTS if not hasattr(found, part)]
    if lacking:
        raise RdbenchError(f"{title} is no distortion: no {lacking[0]}")
    made: Distortion = found
    return made


def check_values(distortion: Distortion, x: Float[Tensor, "n d"], y: Float[Tensor, "m d"]) -> None:
    """Try a measure on a few points.

    Raises:
        RdbenchError: it raises, or gives anything but values >= 0 in float64 of the shape (n, m).
    """
    x, y = x[:_MANY], y[:_FEW]
    shape = (len(x), len(y))
    try:
        found: Any = distortion.pairwise(x, y)
    except Exception as problem:
        raise RdbenchError(
            f"the distortion {distortion.name} of {shape[0]} symbols and {shape[1]} reproductions "
            f"failed: {in_words(problem)}"
        ) from problem
    if not isinstance(found, Tensor) or tuple(found.shape) != shape:
        got = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
        raise RdbenchError(
            f"the distortion {distortion.name} of x {tuple(x.shape)} and y {tuple(y.shape)} is to "
            f"be a tensor {shape}, a row for every symbol, not {got}"
        )
    if found.dtype != torch.float64:
        raise RdbenchError(
            f"the distortion {distortion.name} is {found.dtype} of points in float64: it is "
            "multiplied by beta and has to keep float64"
        )
    if not bool((found >= 0.0).all()):
        raise RdbenchError(
            f"the distortion {distortion.name} has values that are negative or NaN: it is 0 or more"
        )
