"""The view of a problem that an estimator gets."""

from __future__ import annotations

import copy
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from rdbench.run.sealed import seal
from rdbench.types import Grant, HasDensity, HasSupport, Problem, RdbenchError, View


@dataclass
class Counter:
    """How many training draws an estimator took."""

    drawn: int = 0


def make_view(
    problem: Problem,
    needs: AbstractSet[Grant],
    generator: Generator,
    device: torch.device,
    n_train: int | None = None,
) -> tuple[View, Counter]:
    """A view of ``problem`` for an estimator with these needs, and the counter of its draws.

    It stands on a copy of the problem: what an estimator writes into a table, an alphabet, draws or
    whatever else it is handed reaches neither the audit nor the reference. Its callables are
    sealed, so that none of them shows the source or the generator.

    Args:
        problem: the source and the distortion.
        needs: "density" grants ``log_prob``, "support" grants ``support`` and ``pmf``, where the
            source has them.
        generator: the training stream; it lives on ``device``.
        device: where the estimator works.
        n_train: with a number, ``training`` holds that many fixed points, and ``sample`` draws from
            them with replacement.

    Returns:
        The view and its counter. With ``n_train`` the counter starts at ``n_train`` and stays.
    """
    problem = apart(problem)
    source = problem.source
    counter = Counter()
    training = None
    if n_train is None:

        def sample(n: int) -> Tensor:
            counter.drawn += n
            # a copy: a source may hand out what it draws from
            return _finite(source.sample(n, generator)).clone()

    else:
        fixed = _finite(source.sample(n_train, generator)).clone()
        training = fixed.clone()  # an estimator that writes into it must not change the draws
        counter.drawn = n_train

        def sample(n: int) -> Tensor:
            picked = torch.randint(len(fixed), (n,), generator=generator, device=generator.device)
            return fixed[picked]

    log_prob = None
    if "density" in needs and isinstance(source, HasDensity) and hasattr(source, "log_prob"):
        dense: HasDensity = source

        def density(x: Tensor) -> Tensor:
            return dense.log_prob(x).clone()

        log_prob = seal(density)

    support = pmf = None
    if "support" in needs and isinstance(source, HasSupport):
        # copies: an estimator that writes into them must not change the population
        support, pmf = source.support.to(device, copy=True), source.pmf.to(device, copy=True)

    alphabet = problem.alphabet
    view = View(
        dim=source.dim,
        distortion=problem.distortion,
        device=device,
        sample=seal(sample),
        log_prob=log_prob,
        support=support,
        pmf=pmf,
        alphabet=None if alphabet is None else alphabet.to(device, copy=True),
        training=training,
    )
    return view, counter


def apart(problem: Problem) -> Problem:
    """A copy of a problem that shares no tensor with it.

    Raises:
        RdbenchError: a part of it cannot be copied.
    """
    try:
        return copy.deepcopy(problem)
    except Exception as reason:  # a source of somebody else's may raise anything
        what = " ".join(str(reason).split())
        raise RdbenchError(
            f"the problem of {problem.source.name} cannot be copied ({what}): its source and its "
            "distortion have to allow copy.deepcopy"
        ) from reason


def _finite(x: Tensor) -> Tensor:
    """The draws themselves.

    Raises:
        RdbenchError: some are no numbers; every estimator would fail on them in words of its own.
    """
    if not bool(torch.isfinite(x).all()):
        raise RdbenchError("the source drew symbols that are not finite")
    return x
