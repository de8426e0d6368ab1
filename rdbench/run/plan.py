"""From what was asked for to the list of cells, each with its identity."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import msgspec

from rdbench import registry
from rdbench.certify.identity import canonical
from rdbench.data import DataCase, DataSpec, build
from rdbench.registry import EstimatorChoice
from rdbench.run import meaning
from rdbench.run.ladders import Asked, Ladder, data_ladder, ladder_of
from rdbench.run.seeds import digest
from rdbench.types import Case, HasHeldOut, RdbenchError, Suite


def slopes_of(betas: Sequence[float]) -> tuple[float, ...]:
    """The slopes, each once, in their order: what an estimator is asked."""
    return tuple(dict.fromkeys(betas))


@dataclass(frozen=True)
class Cell:
    """One suite, case, estimator with parameters and seed over its whole ladder of slopes.

    Plain data: it crosses to another process, which finds the case and the estimator by name.
    """

    id: str
    suite: str
    suite_version: int
    case: str
    build_dim: int | None
    dim: int
    distortion: str
    estimator: str
    label: str
    preset: str
    params: dict[str, Any]
    fields: dict[str, Any]
    seed: int
    budget: str
    betas: tuple[float, ...]
    """A slope for every row, ascending; on a straight piece of R(D) several rows have one."""
    target_rates: tuple[float | None, ...]
    n_train: int | None
    device: str
    estimator_file: str | None = None
    """The file of an estimator that was given as FILE.py:CLASS; no part of the identity."""
    data: dict[str, Any] | None = None
    """`rdbench.data.DataSpec` of a case that is made of data; the suite is not looked for then."""
    row_notes: tuple[str, ...] = ()
    """A remark for every row, or none; no part of the identity."""
    target_distortions: tuple[float | None, ...] = ()
    """The distortion that every row aims at, or none; no part of the identity."""

    @property
    def slopes(self) -> tuple[float, ...]:
        """The different slopes, ascending: what the estimator is asked."""
        return slopes_of(self.betas)

    @property
    def title(self) -> str:
        """How progress and lists call it."""
        return f"{self.suite}/{self.case} {self.label} seed {self.seed}"


@dataclass(frozen=True)
class Plan:
    """The cells in the order in which they run, and what the reader should know of them."""

    cells: tuple[Cell, ...]
    notes: tuple[str, ...]


def make_plan(
    suites: Sequence[Suite],
    choices: Sequence[EstimatorChoice],
    *,
    dims: Sequence[int] | None = None,
    cases: str | None = None,
    seeds: Sequence[int] = (0,),
    rates: Sequence[float] | None = None,
    betas: Sequence[float] | None = None,
    distortions: Sequence[float] | None = None,
    budgets: Sequence[str] = ("default",),
    n_train: int | None = None,
    device: str = "cpu",
) -> Plan:
    """The cells of every suite, case, seed and estimator.

    Args:
        suites: the suites.
        choices: the estimators.
        dims: dimensions, for the suites that take any, instead of each suite's own.
        cases: a glob over case names or over ``suite/case``.
        seeds: one cell each.
        rates: target rates in nats instead of each case's ladder.
        betas: slopes instead of rates.
        distortions: target distortions instead of rates.
        budgets: names of `rdbench.run.budgets.EFFORTS`, or CPU seconds such as 20s.
        n_train: a fixed training set of so many points.
        device: "cpu" or "cuda".

    Raises:
        RdbenchError: nothing matches, or no slope is left for a case.
    """
    asked = Asked(rates, distortions, betas)
    notes: list[str] = []
    cells: list[Cell] = []
    found: list[str] = []
    takes_dims = [suite.default_dims is not None for suite in suites]
    if dims is not None and any(takes_dims) and not all(takes_dims):
        others = [suite.name for suite, takes in zip(suites, takes_dims, strict=True) if not takes]
        notes.append(f"--dims does not apply to {', '.join(others)}: run without")
    for suite, takes in zip(suites, takes_dims, strict=True):
        # Where no suite takes dimensions, the first one refuses them.
        for build_dim, case in _cases(suite, dims if takes or not any(takes_dims) else None):
            found.append(f"{suite.name}/{case.name}")
            if cases is not None and not _matches(cases, suite, case):
                continue
            ladder = ladder_of(f"{suite.name}/{case.name}", case, asked, notes)
            cells += _cells(
                suite, case, build_dim, choices, seeds, budgets, ladder, n_train, device
            )
    if not cells:
        shown = ", ".join(found[:12]) + (", ..." if len(found) > 12 else "")
        raise RdbenchError(f"no case matches {cases!r}; there are: {shown}")
    return _plan(cells, notes)


def plan_data(
    data: DataCase,
    choices: Sequence[EstimatorChoice],
    *,
    asked: Asked,
    seeds: Sequence[int] = (0,),
    budgets: Sequence[str] = ("default",),
    n_train: int | None = None,
    device: str = "cpu",
) -> Plan:
    """The cells of a case that is made of data.

    Args:
        data: the case.
        choices: the estimators.
        asked: rates, distortions or slopes; about six rates where nothing is asked for.
        seeds: one cell each.
        budgets: names of `rdbench.run.budgets.EFFORTS`, or CPU seconds such as 20s.
        n_train: the first so many of the training rows.
        device: "cpu" or "cuda".

    Raises:
        RdbenchError: no slope is found, or there are fewer training rows than ``n_train``.
    """
    source = data.case.problem.source
    if n_train is not None and isinstance(source, HasHeldOut) and n_train > len(source.training):
        raise RdbenchError(
            f"{data.spec.title} has {len(source.training):,} rows to train on, not {n_train:,}"
        )
    notes: list[str] = []
    ladder = data_ladder(data, asked, notes)
    suite, spec = data.suite, dataclasses.asdict(data.spec)
    cells = _cells(suite, data.case, None, choices, seeds, budgets, ladder, n_train, device, spec)
    return _plan(cells, notes)


def _plan(cells: Sequence[Cell], notes: Sequence[str]) -> Plan:
    seen: dict[str, Cell] = {}
    for cell in cells:
        same = seen.setdefault(cell.id, cell)
        if same is not cell:
            raise RdbenchError(f"{same.title} and {cell.title} are the same: give one of them")
    return Plan(tuple(cells), tuple(notes))


QUICK = ("mixture_em", "wgd", "blahut_arimoto:structured")
BELOW = ("mixture_em+lower",)  # without one nobody could say what is left
"""Who runs on data where nobody is named: seconds each, and together good at any rate."""
_PARTICLES, _WIDEST = "wgd", 200
_CODEBOOK = "blahut_arimoto[support=codebook]"
_ON_LETTERS = ("blahut_arimoto",)
_ON_NUMBERS = ("wgd", _CODEBOOK)


def usual(data: DataCase) -> str:
    """The estimators for data where nobody is named, by the distortion measure."""
    problem = data.case.problem
    if problem.alphabet is not None:
        return ",".join(_ON_LETTERS)
    if problem.distortion.name == "squared_error":
        out = {_PARTICLES} if left_out(data) else set()
        return ",".join(name for name in (*QUICK, *BELOW) if name not in out)
    return ",".join(_ON_NUMBERS if problem.distortion.name == "absolute_error" else (_CODEBOOK,))


def left_out(data: DataCase) -> str:
    """Who is left out of `usual` though the distortion measure suits, and why; empty: nobody."""
    problem = data.case.problem
    source, dim = problem.source, problem.source.dim
    if problem.distortion.name != "squared_error" or not isinstance(source, HasHeldOut):
        return ""  # of rows that are the source particles find the points
    rows = len(source.training)
    if rows >= dim and dim <= _WIDEST:
        return ""
    return (
        f"{_PARTICLES} is left out: in {dim} dimensions it takes minutes, and of {rows:,} rows "
        f"its particles would remember them; --estimators {_PARTICLES} runs it"
    )


def case_of(cell: Cell) -> Case:
    """The case of a cell, in any process.

    Raises:
        RdbenchError: the suite or the data have changed since the plan was made.
    """
    if cell.data is not None:
        return build(DataSpec(**cell.data)).case
    return find_case(registry.load_suite(cell.suite), cell.case, cell.build_dim)


def find_case(suite: Suite, name: str, build_dim: int | None) -> Case:
    """The case that a cell names.

    Raises:
        RdbenchError: the suite has none of that name (it changed since the plan was made).
    """
    for case in suite.cases(None if build_dim is None else [build_dim]):
        if case.name == name:
            return case
    raise RdbenchError(f"suite {suite.name} has no case {name}")


def shard(cells: Sequence[Cell], index: int, count: int) -> list[Cell]:
    """The ``index``-th (from 1) of ``count`` parts, of equal size; together they are all the cells.

    Cells are dealt out in order of their identities, which are hashes, so that no part is one
    estimator, one case or one seed; each part keeps the order of the plan.
    """
    dealt = {cell.id for cell in sorted(cells, key=lambda cell: cell.id)[index - 1 :: count]}
    return [cell for cell in cells if cell.id in dealt]


def _cases(suite: Suite, dims: Sequence[int] | None) -> list[tuple[int | None, Case]]:
    suite.cases(dims)  # refuses what the suite does not take, before anything else
    chosen: Iterable[int | None]
    if suite.default_dims is None:
        chosen = [None]
    else:
        chosen = suite.default_dims if dims is None else dict.fromkeys(dims)
    out = [(d, c) for d in chosen for c in suite.cases(None if d is None else [d])]
    seen: set[str] = set()
    for _, case in out:
        if case.name in seen:
            raise RdbenchError(f"suite {suite.name} has two cases called {case.name}")
        seen.add(case.name)
    return out


def _matches(glob: str, suite: Suite, case: Case) -> bool:
    return fnmatchcase(case.name, glob) or fnmatchcase(f"{suite.name}/{case.name}", glob)


def _cells(
    suite: Suite,
    case: Case,
    build_dim: int | None,
    choices: Sequence[EstimatorChoice],
    seeds: Sequence[int],
    budgets: Sequence[str],
    ladder: Ladder,
    n_train: int | None,
    device: str,
    data: dict[str, Any] | None = None,
) -> list[Cell]:
    code = meaning.of_case(case)
    fields = [estimator_fields(choice.estimator) for choice in choices]
    return [
        _cell(suite, case, build_dim, *one, seed, budget, ladder, n_train, device, code, data)
        for budget in budgets
        for seed in seeds
        for one in zip(choices, fields, strict=True)
    ]


def _cell(
    suite: Suite,
    case: Case,
    build_dim: int | None,
    choice: EstimatorChoice,
    fields: dict[str, Any],
    seed: int,
    budget: str,
    ladder: Ladder,
    n_train: int | None,
    device: str,
    code_of_case: str,
    data: dict[str, Any] | None,
) -> Cell:
    identity: dict[str, Any] = {
        "suite": [suite.name, suite.version],
        "case": case.name,
        "estimator": [choice.name, fields],
        "seed": seed,
        "budget": budget,
        "betas": canonical(ladder.betas),  # the last digits depend on the processor
        "n_train": n_train,
        "device": device,
        "code": {
            "framework": meaning.of_framework(),
            "estimator": meaning.of_estimator(type(choice.estimator), choice.origin),
            "case": code_of_case,
        },
    }
    if len(set(ladder.betas)) < len(ladder.betas):
        # elsewhere a slope has one target rate, which the reference knows
        identity["target_rates"] = canonical(ladder.target_rates)
    return Cell(
        id=digest(identity),
        suite=suite.name,
        suite_version=suite.version,
        case=case.name,
        build_dim=build_dim,
        dim=case.problem.source.dim,
        distortion=case.problem.distortion.name,
        estimator=choice.name,
        label=choice.label,
        preset=choice.preset,
        params=msgspec.to_builtins(choice.params),
        fields=fields,
        seed=seed,
        budget=budget,
        betas=ladder.betas,
        target_rates=ladder.target_rates,
        n_train=n_train,
        device=device,
        estimator_file=choice.file,
        data=data,
        row_notes=ladder.row_notes,
        target_distortions=ladder.target_distortions,
    )


def estimator_fields(estimator: Any) -> dict[str, Any]:
    """Every hyper-parameter as it will be used, as plain JSON values."""
    values = {name: getattr(estimator, name) for name in registry.field_types(type(estimator))}
    assert dataclasses.is_dataclass(estimator)
    return {k: msgspec.to_builtins(v) for k, v in values.items()}
