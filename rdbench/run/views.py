"""The view of a problem that an estimator gets."""

from __future__ import annotations

import copy
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from rdbench.run.sealed import seal
from rdbench.types import (
    Grant,
    HasDensity,
    HasHeldOut,
    HasSupport,
    Problem,
    RdbenchError,
    Source,
    View,
)


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
            them with replacement. A source that is known by rows alone has its training rows there,
            the first ``n_train`` of them; on a given alphabet their letters and frequencies are
            the ``support`` and ``pmf``.

    Returns:
        The view and its counter. With fixed points the counter starts at their number and stays.

    Raises:
        RdbenchError: ``n_train`` is more than a source has rows.
    """
    problem = apart(problem)
    source = problem.source
    counter = Counter()
    training = None
    if n_train is None and not isinstance(source, HasHeldOut):

        def sample(n: int) -> Tensor:
            counter.drawn += n
            # a copy: a source may hand out what it draws from
            return _finite(source.sample(n, generator)).clone()

    else:
        fixed = _fixed(source, n_train, generator)
        training = fixed.clone()  # an estimator that writes into it must not change the draws
        counter.drawn = len(fixed)

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
    elif "support" in needs and problem.alphabet is not None and training is not None:
        # letters: their frequencies are all that rows tell of the population
        support, counts = torch.unique(training, dim=0, return_counts=True)
        pmf = counts.double() / len(training)

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


def _fixed(source: Source, n: int | None, generator: Generator) -> Tensor:
    """A fixed training set: n draws, or the rows that a source consists of."""
    if not isinstance(source, HasHeldOut):
        assert n is not None
        return _finite(source.sample(n, generator)).clone()
    rows = source.training
    if n is not None and n > len(rows):
        raise RdbenchError(f"{source.name} has {len(rows)} training rows, not {n}")
    return _finite(rows[:n].to(generator.device, copy=True).double())


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
