"""A problem, and what an estimator is shown of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from rdbench.arrays import array, converts, settle
from rdbench.outcomes import RdbenchError
from rdbench.types.source import HasSupport, Source


@runtime_checkable
class Distortion(Protocol):
    """A distortion measure rho(x, y), summed over dimensions.

    A constant added to all rho(x, .) of one x changes nothing but D, so that negative values are
    as good as others; +inf forbids y to x.
    """

    name: ClassVar[str]

    def pairwise(self, x: Float[Tensor, "n d"], y: Float[Tensor, "m d"]) -> Float[Tensor, "n m"]:
        """rho(x_i, y_j); never through an expanded square that cancels."""

    def value_and_grad(
        self, x: Float[Tensor, "*b d"], y: Float[Tensor, "*b d"]
    ) -> tuple[Float[Tensor, "*b"], Float[Tensor, "*b d"]]:
        """rho(x, y) and its gradient (or a subgradient) in y, row by row."""

    def noise(self, beta: float, n: int, dim: int, generator: Generator) -> Float[Tensor, "n d"]:
        """Draws of the noise with density proportional to exp(-beta rho(0, z)).

        Args:
            beta: the slope > 0.
            n: how many.
            dim: d.
            generator: of all draws.

        Raises:
            NotImplementedError: this distortion has no such noise on R^d.
        """

    def log_noise_mass(self, beta: float, dim: int) -> float:
        """log of the integral of exp(-beta rho(0, z)) dz over R^d."""


@runtime_checkable
class HasLetters(Protocol):
    """A distortion that is defined between given letters alone, such as a table."""

    @property
    def letters(self) -> Float[Tensor, "m d"]:
        """The reproduction letters."""

    def check_letters(
        self, x: Float[Tensor, "n k"] | None, y: Float[Tensor, "m d"], dim: int
    ) -> None:
        """Refuse a source or an alphabet that the letters do not fit.

        Raises:
            RdbenchError: a point that is not a letter, or another number of source letters.
        """


def given_letters(distortion: Distortion) -> Float[Tensor, "m d"] | None:
    """The reproduction letters that a distortion brings itself, if it does."""
    return distortion.letters if isinstance(distortion, HasLetters) else None


@converts
@dataclass(frozen=True)
class Problem:
    """A source and a distortion; ``alphabet`` limits the reproduction to given points.

    The alphabet may be a list or an array. Left out, it is that of the distortion where it has
    one: all columns of a table.

    Raises:
        RdbenchError: an alphabet that is not an array of finite points of the source's dimension,
            or that a table does not fit.
    """

    source: Source
    distortion: Distortion
    alphabet: Float[Tensor, "m d"] | None = None

    def __post_init__(self) -> None:
        dim = self.source.dim
        alphabet = given_letters(self.distortion)
        if self.alphabet is not None:
            alphabet = array(self.alphabet, "the alphabet", 2)
            if alphabet.shape[1] != dim:
                raise RdbenchError(
                    f"the alphabet must be points (m, {dim}), as the source's are; "
                    f"got the shape {tuple(alphabet.shape)}"
                )
        settle(self, alphabet=alphabet)
        if isinstance(self.distortion, HasLetters) and alphabet is not None:
            support = self.source.support if isinstance(self.source, HasSupport) else None
            self.distortion.check_letters(support, alphabet, dim)


@dataclass(frozen=True)
class View:
    """All that an estimator is shown of a problem.

    It holds sealed callables, not the source, so that nothing in it tells the parameters, the
    name or the target rate. ``log_prob``, ``support`` and ``pmf`` are there only for an estimator
    whose ``info.needs`` asks for them and a source that has them.
    """

    dim: int
    distortion: Distortion
    device: torch.device
    sample: Callable[[int], Tensor]
    """``sample(n)``: fresh training draws (n, d) in float64, a stream that depends on the suite,
    the case and the seed alone. Where there are ``training`` points it draws from them, with
    replacement."""
    log_prob: Callable[[Tensor], Tensor] | None = None
    support: Tensor | None = None
    pmf: Tensor | None = None
    alphabet: Tensor | None = None
    training: Float[Tensor, "n d"] | None = None
    """A fixed training set: independent draws of the source, all that there are. A fit splits them
    by `rdbench.fitting.split`, so that it does not choose and claim on what it was fitted to."""

    @property
    def n_train(self) -> int | None:
        """The number of fixed training points; None where draws are fresh."""
        return None if self.training is None else len(self.training)
