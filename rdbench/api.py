"""The Python front door: `estimate` for data, `run` for suites, `load` for what is stored."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rdbench import arguments, registry, shipped
from rdbench.curve import Curve
from rdbench.data import build, described
from rdbench.data.memory import DRAWS, kept, table_of
from rdbench.run.budgets import seconds_of
from rdbench.run.ladders import Asked
from rdbench.run.plan import Plan, left_out, make_plan, plan_data, usual
from rdbench.run.session import carry_out
from rdbench.run.store import RECORDS, writable
from rdbench.run.store import load as read_store
from rdbench.version import __version__

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
            n symbols (and is given a ``generator``, if it has an argument of that name), or the
            path of a file. Rows are symbols.
        distortion: squared_error, absolute_error, hamming, FILE.py:NAME (a function or a class), or
            a table (n, m) of distortions between letters, as an array or FILE.npy.
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
    seconds_of(arguments.word("budget", budget))
    asked = _asked(rates, distortions, betas)
    seeds, jobs = arguments.integers("seeds", seeds, 0), arguments.integer("jobs", jobs, 1)
    chosen = arguments.specifications(estimators)
    if patches is not None:
        patches = arguments.integer("patches", patches, 1)
    with _folder(results) as folder:
        path, column = kept(data, folder / "data", groups, draws)
        spec = described(
            path,
            of=arguments.word("of", of),
            groups=column,
            distortion=table_of(distortion, folder / "data"),
            patches=patches,
        )
        found = build(spec)
        missing = "" if chosen else left_out(found)
        choices = registry.choose_all(chosen or usual(found))
        plan = plan_data(found, choices, asked=asked, seeds=seeds, budgets=[budget])
        return _carried_out(plan, folder, jobs, (*found.notes, *filter(None, [missing])))


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
    seconds_of(arguments.word("budget", budget))
    asked, jobs = _asked(rates, distortions, betas), arguments.integer("jobs", jobs, 1)
    seeds = arguments.integers("seeds", seeds, 0)
    dims = None if dims is None else arguments.integers("dims", dims, 1)
    n_train = None if n_train is None else arguments.integer("n_train", n_train, 1)
    chosen = arguments.specifications(estimators) or "all"
    plan = make_plan(
        registry.load_suites(arguments.word("suite", suite)),
        registry.choose_all(chosen),
        dims=dims,
        cases=None if cases is None else arguments.word("cases", cases),
        seeds=seeds,
        rates=asked.rates,
        betas=asked.betas,
        distortions=asked.distortions,
        budgets=[budget],
        n_train=n_train,
    )
    with _folder(results) as folder:
        return _carried_out(plan, folder, jobs, ())


def load(results: str | Path = "rdbench-results") -> Curve:
    """What a results folder holds, or the reference run that comes with the package.

    Args:
        results: a folder. ``"reference"`` is the committed reference run, unless the working
            directory has a results folder of this name; ``"./reference"`` and a ``Path`` always
            are folders.

    Raises:
        RdbenchError: there are no results in the folder.
    """
    folder = arguments.path("results", results)
    if isinstance(results, str) and results in shipped.NAMES and not (folder / RECORDS).exists():
        found = shipped.records(results)
        made_by = dict.fromkeys(one.provenance.versions.get("rdbench", "?") for one in found)
        note = (
            f"The {results} run that comes with rdbench {__version__}, "
            f"made by rdbench {', '.join(made_by)}"
        )
        return Curve(tuple(found), (note,))
    loaded = read_store(folder)
    return Curve(tuple(loaded.records.values()), tuple(loaded.warnings))


def _asked(rates: Numbers, distortions: Numbers, betas: Numbers) -> Asked:
    return Asked(
        rates=arguments.positive("rates", rates),
        distortions=arguments.positive("distortions", distortions),
        betas=arguments.positive("betas", betas),
    )


def _carried_out(plan: Plan, folder: Path, jobs: int, notes: Sequence[str]) -> Curve:
    records = carry_out(plan.cells, folder, jobs=jobs)
    return Curve(tuple(records), (*notes, *plan.notes))


@contextmanager
def _folder(results: str | Path | None) -> Iterator[Path]:
    """The results folder; a temporary one where nothing is to be kept."""
    if results is not None:
        folder = arguments.path("results", results)
        writable(folder)  # before anything is written or run
        yield folder
        return
    with tempfile.TemporaryDirectory(prefix="rdbench-") as scratch:
        yield Path(scratch)
