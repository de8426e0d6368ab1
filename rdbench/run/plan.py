"""From what was asked for to the list of cells, each with its identity."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import msgspec

from rdbench import registry
from rdbench.fitting.support import SAME_SLOPE
from rdbench.registry import EstimatorChoice
from rdbench.run import meaning
from rdbench.run.seeds import digest
from rdbench.types import Case, OutOfRange, RdbenchError, Suite


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


@dataclass(frozen=True)
class Ladder:
    """The slopes of one case, ascending, with the rates they aim at; a slope may come again."""

    betas: tuple[float, ...]
    target_rates: tuple[float | None, ...]


def make_plan(
    suites: Sequence[Suite],
    choices: Sequence[EstimatorChoice],
    *,
    dims: Sequence[int] | None = None,
    cases: str | None = None,
    seeds: Sequence[int] = (0,),
    rates: Sequence[float] | None = None,
    betas: Sequence[float] | None = None,
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
        budgets: names of `rdbench.run.budgets.EFFORTS`, or CPU seconds such as 20s.
        n_train: a fixed training set of so many points.
        device: "cpu" or "cuda".

    Raises:
        RdbenchError: nothing matches, or no slope is left for a case.
    """
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
            ladder = _ladder(f"{suite.name}/{case.name}", case, rates, betas, notes)
            code_of_case = meaning.of_case(case)
            cells += [
                _cell(
                    suite,
                    case,
                    build_dim,
                    choice,
                    seed,
                    budget,
                    ladder,
                    n_train,
                    device,
                    code_of_case,
                )
                for budget in budgets
                for seed in seeds
                for choice in choices
            ]
    if not cells:
        shown = ", ".join(found[:12]) + (", ..." if len(found) > 12 else "")
        raise RdbenchError(f"no case matches {cases!r}; there are: {shown}")
    seen: dict[str, Cell] = {}
    for cell in cells:
        same = seen.setdefault(cell.id, cell)
        if same is not cell:
            raise RdbenchError(f"{same.title} and {cell.title} are the same: give one of them")
    return Plan(tuple(cells), tuple(notes))


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


def _ladder(
    title: str,
    case: Case,
    rates: Sequence[float] | None,
    betas: Sequence[float] | None,
    notes: list[str],
) -> Ladder:
    pairs: list[tuple[float, float | None]] = []
    if betas is not None:
        for beta in _apart(title, betas, notes):
            try:
                pairs.append((beta, case.reference.point(beta).rate.mid))
            except OutOfRange as reason:
                notes.append(f"{title}: no truth at beta {beta:g} ({reason}); it is run without")
                pairs.append((beta, None))
    else:
        for rate in sorted(set(case.rates if rates is None else rates)):
            try:
                pairs.append((float(case.reference.slope(rate)), rate))
            except OutOfRange as reason:
                notes.append(f"{title}: no slope known at {rate:g} nats ({reason}); left out")
    if not pairs:
        raise RdbenchError(
            f"{title}: its reference knows no slope at any rate asked for; it holds for "
            f"{case.reference.validity} (give --betas to run without a truth)"
        )
    slopes = merged([b for b, _ in pairs])
    pairs = sorted(
        ((slope, rate) for slope, (_, rate) in zip(slopes, pairs, strict=True)),
        key=lambda pair: pair[0],
    )
    return Ladder(tuple(b for b, _ in pairs), tuple(r for _, r in pairs))


def merged(betas: Sequence[float]) -> list[float]:
    """The slopes, those too close to be told apart replaced by the least of them."""
    first: dict[float, float] = {}
    least = -math.inf
    for beta in sorted(set(betas)):
        if not math.isclose(beta, least, rel_tol=SAME_SLOPE):
            least = beta
        first[beta] = least
    return [first[beta] for beta in betas]


def _apart(title: str, betas: Sequence[float], notes: list[str]) -> list[float]:
    """The slopes asked for, each once."""
    given = sorted(set(betas))
    kept = sorted(set(merged(given)))
    if len(kept) < len(given):
        gone = ", ".join(f"{b!r}" for b in given if b not in kept)
        notes.append(f"{title}: beta {gone} is one slope with its neighbour; it is run once")
    return kept


def _cell(
    suite: Suite,
    case: Case,
    build_dim: int | None,
    choice: EstimatorChoice,
    seed: int,
    budget: str,
    ladder: Ladder,
    n_train: int | None,
    device: str,
    code_of_case: str,
) -> Cell:
    fields = estimator_fields(choice.estimator)
    identity: dict[str, Any] = {
        "suite": [suite.name, suite.version],
        "case": case.name,
        "estimator": [choice.name, fields],
        "seed": seed,
        "budget": budget,
        "betas": list(ladder.betas),
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
        identity["target_rates"] = list(ladder.target_rates)
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
    )


def estimator_fields(estimator: Any) -> dict[str, Any]:
    """Every hyper-parameter as it will be used, as plain JSON values."""
    values = {name: getattr(estimator, name) for name in registry.field_types(type(estimator))}
    assert dataclasses.is_dataclass(estimator)
    return {k: msgspec.to_builtins(v) for k, v in values.items()}
