"""The Python front door: `estimate` for data, `run` for suites, `load` for what is stored."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rdbench import registry
from rdbench.curve import Curve
from rdbench.data import build, described
from rdbench.data.memory import DRAWS, kept, table_of
from rdbench.outcomes import RdbenchError
from rdbench.run.budgets import seconds_of
from rdbench.run.ladders import Asked
from rdbench.run.plan import Plan, make_plan, plan_data, usual
from rdbench.run.session import carry_out
from rdbench.run.store import load as read_store

Numbers = Iterable[float] | None


def estimate(
    data: Any,
    *,
    distortion: Any = "squared_error",
    rates: Numbers = None,
    distortions: Numbers = None,
    betas: Numbers = None,
    estimators: str | Sequence[str] | None = None,
    of: str = "population",
    groups: Any = None,
    patches: int | None = None,
    draws: int = DRAWS,
    seeds: Sequence[int] = (0,),
    budget: str = "default",
    jobs: int = 1,
    results: str | Path | None = None,
) -> Curve:
    """R(D) of data: estimators are fitted and audited as ``rdbench run --data`` does.

    Give one of ``rates``, ``distortions`` and ``betas``, or none for about six rates up to what so
    many rows can tell.

    Args:
        data: an array, a tensor or a data frame (n, d), a torch ``Dataset``, a callable that draws
            n symbols, or the path of a file. Rows are symbols.
        distortion: squared_error, absolute_error, hamming, FILE.py:NAME, or a table (n, m) of
            distortions between letters, as an array or FILE.npy.
        rates: target rates in nats.
        distortions: target distortions.
        betas: slopes -dR/dD.
        estimators: specifications such as ``"mixture_em,wgd[particles=4000]"``; by default those
            that take seconds.
        of: ``population``: the rows are a sample, a fifth of which is held out for audits;
            ``rows``: the rows are the source, and sums are exact.
        groups: the column, or a label for every row, that says which rows belong together.
        patches: of a folder of pictures, the side of the patches they are cut into.
        draws: how many symbols a callable draws.
        seeds: of the fits.
        budget: quick, default, full, or CPU seconds such as ``20s``.
        jobs: fits that run at the same time.
        results: a results folder, which keeps what was run; by default nothing is kept.

    Raises:
        RdbenchError: the data cannot be a source, or an argument is wrong; nothing was run then.
    """
    seconds_of(budget)
    asked = Asked(
        rates=_positive("rates", rates),
        distortions=_positive("distortions", distortions),
        betas=_positive("betas", betas),
    )
    with _folder(results) as folder:
        path, column = kept(data, folder / "data", groups, draws)
        spec = described(
            path,
            of=of,
            groups=column,
            distortion=table_of(distortion, folder / "data"),
            patches=patches,
        )
        found = build(spec)
        chosen = registry.choose_all(_listed(estimators) or usual(found))
        plan = plan_data(found, chosen, asked=asked, seeds=list(seeds), budgets=[budget])
        return _carried_out(plan, folder, jobs, found.notes)


def run(
    suite: str,
    *,
    estimators: str | Sequence[str] = "all",
    cases: str | None = None,
    dims: Sequence[int] | None = None,
    rates: Numbers = None,
    distortions: Numbers = None,
    betas: Numbers = None,
    seeds: Sequence[int] = (0,),
    budget: str = "default",
    n_train: int | None = None,
    jobs: int = 1,
    results: str | Path | None = None,
) -> Curve:
    """Estimators on suites whose truth is known, as ``rdbench run --suite`` does.

    Args:
        suite: names such as ``"scalar,planar"``, or ``"all"``.
        estimators: specifications, or ``"all"``.
        cases: a glob over names of cases.
        dims: dimensions, for the suites that take any.
        rates: target rates in nats, instead of each case's own.
        distortions: target distortions instead.
        betas: slopes instead.
        seeds: one cell each.
        budget: quick, default, full, or CPU seconds such as ``20s``.
        n_train: train on so many fixed samples.
        jobs: cells that run at the same time.
        results: a results folder, which keeps what was run; by default nothing is kept.

    Raises:
        RdbenchError: an unknown name or a wrong argument; nothing was run then.
    """
    seconds_of(budget)
    plan = make_plan(
        registry.load_suites(suite),
        registry.choose_all(_listed(estimators)),
        dims=dims,
        cases=cases,
        seeds=list(seeds),
        rates=_positive("rates", rates),
        betas=_positive("betas", betas),
        distortions=_positive("distortions", distortions),
        budgets=[budget],
        n_train=n_train,
    )
    with _folder(results) as folder:
        return _carried_out(plan, folder, jobs, ())


def load(results: str | Path = "rdbench-results") -> Curve:
    """What a results folder holds.

    Raises:
        RdbenchError: there are no results in the folder.
    """
    loaded = read_store(Path(results))
    return Curve(tuple(loaded.records.values()), tuple(loaded.warnings))


def _carried_out(plan: Plan, folder: Path, jobs: int, notes: Sequence[str]) -> Curve:
    if jobs < 1:
        raise RdbenchError(f"jobs is a number of fits, 1 or more, got {jobs}")
    records = carry_out(plan.cells, folder, jobs=jobs)
    return Curve(tuple(records), (*notes, *plan.notes))


@contextmanager
def _folder(results: str | Path | None) -> Iterator[Path]:
    """The results folder; a temporary one where nothing is to be kept."""
    if results is not None:
        yield Path(results)
        return
    with tempfile.TemporaryDirectory(prefix="rdbench-") as scratch:
        yield Path(scratch)


def _listed(estimators: str | Sequence[str] | None) -> str:
    if estimators is None or isinstance(estimators, str):
        return estimators or ""
    return ",".join(estimators)


def _positive(name: str, values: Numbers) -> list[float] | None:
    if values is None:
        return None
    try:
        found = [float(value) for value in values]
    except (TypeError, ValueError):
        raise RdbenchError(f"{name} takes a list of numbers, got {values!r}") from None
    if not found or not all(0.0 < value < math.inf for value in found):
        raise RdbenchError(f"{name} takes positive finite numbers, got {list(values)!r}")
    return found
