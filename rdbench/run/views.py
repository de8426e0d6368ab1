"""What an estimator is shown of a problem."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

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

    Args:
        problem: the source and the distortion.
        needs: "density" grants ``log_prob``, "support" grants ``support`` and ``pmf``, where the
            source has them.
        generator: the training stream; it lives on ``device``.
        device: where the estimator works.
        n_train: with a number, ``sample`` draws with replacement from that many fixed points.

    Returns:
        The view and its counter. With ``n_train`` the counter starts at ``n_train`` and stays.
    """
    source = problem.source
    counter = Counter()
    if n_train is None:

        def sample(n: int) -> Tensor:
            counter.drawn += n
            return _finite(source.sample(n, generator))

    else:
        fixed = _finite(source.sample(n_train, generator))
        counter.drawn = n_train

        def sample(n: int) -> Tensor:
            picked = torch.randint(len(fixed), (n,), generator=generator, device=generator.device)
            return fixed[picked]

    log_prob = None
    if "density" in needs and isinstance(source, HasDensity) and hasattr(source, "log_prob"):
        dense: HasDensity = source

        def log_prob(x: Tensor) -> Tensor:
            return dense.log_prob(x)

    support = pmf = None
    if "support" in needs and isinstance(source, HasSupport):
        # copies: an estimator that writes into them must not change the population
        support, pmf = source.support.to(device, copy=True), source.pmf.to(device, copy=True)

    alphabet = problem.alphabet
    view = View(
        dim=source.dim,
        distortion=problem.distortion,
        device=device,
        sample=sample,
        log_prob=log_prob,
        support=support,
        pmf=pmf,
        alphabet=None if alphabet is None else alphabet.to(device, copy=True),
        n_train=n_train,
    )
    return view, counter


def _finite(x: Tensor) -> Tensor:
    """The draws themselves.

    Raises:
        RdbenchError: some are no numbers; every estimator would fail on them in words of its own.
    """
    if not bool(torch.isfinite(x).all()):
        raise RdbenchError("the source drew symbols that are not finite")
    return x
