"""The truth between the rungs, for pictures: a record's case, found again and asked.

Here the records meet what made them. A reference is asked only where its suite is at hand in the
version of the records, and agrees with what they say.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from rdbench import registry
from rdbench.band import Band, Reached, Tangent
from rdbench.certify import store
from rdbench.references.certified import Bounded
from rdbench.references.composite import Composite
from rdbench.references.product import ProductReference
from rdbench.report.rungs import Rung
from rdbench.run.plan import find_case
from rdbench.run.records import CellRecord
from rdbench.types import Case, HasHeldOut, HasSupport, OutOfRange, RdbenchError, Reference

CPU_S = 8.0
"""CPU seconds for certificates between the rungs in one command; they are kept in the user's
cache, so that the next picture has them."""
_UNKNOWN_S = 0.5
"""The assumed cost of a certificate, in CPU seconds, where none of its case is shipped."""
_FREE_S = 1e-3
_SLOPES, _BEYOND = 400, 8.0
"""How many slopes of a truth that costs nothing are asked, and how far beyond the ladder."""


_Key = tuple[str, int, str, int]


@dataclass
class Allowance:
    """CPU seconds that are left."""

    left: float = CPU_S


@dataclass(eq=False)
class ReferenceSource:
    """One reference as `rdbench.report.rungs.TruthSource` has it."""

    reference: Reference
    allowance: Allowance
    _asked: dict[float, Rung | None] = field(default_factory=dict)
    _costs: dict[float, float] = field(default_factory=dict)

    def known(self) -> list[Rung]:
        """The rungs of the shipped tables."""
        slopes = {beta for part in _bounded(self.reference) for beta in part.table.slopes.values()}
        found = [self.ask(beta) for beta in sorted(slopes) if not self.cost(beta)]
        return [rung for rung in found if rung is not None]

    def cost(self, beta: float) -> float:
        """CPU seconds of the certificates that have to be computed."""
        if beta in self._asked:
            return 0.0
        if beta not in self._costs:
            found = _cost(self.reference, beta)
            self._costs[beta] = found if found >= _FREE_S else 0.0
        return self._costs[beta]

    def ask(self, beta: float) -> Rung | None:
        """The rung; None out of range, or where it costs more than is left."""
        if beta not in self._asked:
            cost = self.cost(beta)
            if cost > max(self.allowance.left, 0.0):  # overspent, what is free is still free
                return None
            began = time.process_time()
            try:
                self._asked[beta] = _rung(self.reference, beta)
            except (OutOfRange, ValueError, ArithmeticError):
                self._asked[beta] = None
            if cost:
                self.allowance.left -= time.process_time() - began
        return self._asked[beta]


class TruthSources:
    """The sources of cases, each found once; together they have one allowance."""

    def __init__(self, cpu_s: float = CPU_S) -> None:
        self._allowance = Allowance(cpu_s)
        self._cases: dict[_Key, Case | None] = {}
        self._found: dict[_Key, ReferenceSource] = {}

    def case(self, records: Sequence[CellRecord]) -> Case | None:
        """The case of the records; None where its suite is not known here in their version."""
        keys = {(r.suite, r.suite_version, r.case, r.dim) for r in records}
        if len(keys) != 1:
            return None
        (key,) = keys
        if key not in self._cases:
            self._cases[key] = _case_of(*key)
        return self._cases[key]

    def __call__(self, records: Sequence[CellRecord]) -> ReferenceSource | None:
        """The source for the records of one case.

        None where the suite is not known here, has another version, or says something else.
        """
        case = self.case(records)
        if case is None:
            return None
        key = (records[0].suite, records[0].suite_version, records[0].case, records[0].dim)
        if key not in self._found:
            self._found[key] = ReferenceSource(case.reference, self._allowance)
        found = self._found[key]
        return found if _agrees(found, records) else None

    def is_finite(self, records: Sequence[CellRecord]) -> bool | None:
        """Whether the source has finitely many points, or is known by rows; None: not known."""
        case = self.case(records)
        return None if case is None else isinstance(case.problem.source, (HasSupport, HasHeldOut))


def known_band(records: Sequence[CellRecord], sources: TruthSources) -> Band:
    """What the reference of the records' case says for nothing, at many slopes, and `silent_of`.

    Args:
        records: cells of one case.
        sources: where the truth is asked.
    """
    case, source = sources.case(records), sources(records)
    silent = _silent_of_data(records[0]) if case is None else silent_of(case)
    slopes = [p.beta for record in records for p in record.points if p.beta > 0.0]
    if source is None or not slopes:
        return Band(silent=silent)
    rungs = source.known()
    for beta in np.geomspace(min(slopes) / _BEYOND, max(slopes) * _BEYOND, _SLOPES).tolist():
        if not source.cost(beta) and (rung := source.ask(beta)) is not None:
            rungs.append(rung)
    by = f"truth ({source.reference.kind})"
    tangents = tuple(Tangent(rung.beta, rung.lo, by) for rung in rungs)
    reached = tuple(Reached(*rung.reached, by) for rung in rungs)
    return Band(tangents, reached, silent)


def _silent_of_data(record: CellRecord) -> float | None:
    """What `rdbench.data.silent` says of a record's data, where they are still as they were.

    A measure from a file of code is not asked: reading records runs no code that they name.
    """
    if record.data is None or ".py:" in str(record.data.get("distortion")):
        return None
    from rdbench.data import DataSpec, build
    from rdbench.data.silent import silent

    try:
        return silent(build(DataSpec(**record.data)).case.problem)
    except (RdbenchError, OSError, TypeError):
        return None


def silent_of(case: Case) -> float | None:
    """E rho(X, y) of the best constant y; None where it is not known.

    Of a closed form it is D at beta = 0; of finitely many points under squared error the sum of
    their variances.
    """
    source = case.problem.source
    if case.problem.distortion.name == "squared_error" and isinstance(source, HasSupport):
        x, p = source.support.double(), source.pmf.double()
        return float(((x - p @ x).square() * p[:, None]).sum())
    if case.reference.kind != "closed form":
        return None
    try:
        found = case.reference.point(0.0)
    except (OutOfRange, ValueError, ArithmeticError):
        return None
    known = found.rate.hi == 0.0 and math.isfinite(found.distortion.hi)
    return found.distortion.hi if known else None


def _case_of(suite_name: str, version: int, name: str, dim: int) -> Case | None:
    try:
        suite = registry.load_suite(suite_name)
    except RdbenchError:
        return None
    if suite.version != version:
        return None
    dims = [None] if suite.default_dims is None else [dim, *suite.default_dims]
    for build_dim in dims:
        try:
            case = find_case(suite, name, build_dim)
        except RdbenchError:
            continue
        if case.problem.source.dim == dim:
            return case
    return None


def _agrees(source: ReferenceSource, records: Sequence[CellRecord]) -> bool:
    """Whether what the records say of F* is what the reference says, where that costs nothing."""
    stated = {
        p.beta: (p.truth_lo, p.truth_hi)
        for record in records
        for p in record.points
        if p.truth_lo is not None and p.truth_hi is not None
    }
    for beta, (lo, hi) in stated.items():
        if source.cost(beta):
            continue
        rung = source.ask(beta)
        slack = 1e-6 * (1.0 + abs(hi))
        if rung is None or rung.lo > hi + slack or rung.hi < lo - slack:
            return False
    return True


def _bounded(reference: Reference) -> list[Bounded]:
    """The parts of a reference that are solved numerically."""
    if isinstance(reference, Bounded):
        return [reference]
    if isinstance(reference, Composite):
        return _bounded(reference.upper) + _bounded(reference.lower)
    if isinstance(reference, ProductReference):
        return [part for scalar in reference.scalars for part in _bounded(scalar)]
    return []


def _cost(reference: Reference, beta: float) -> float:
    """CPU seconds that `_rung` is expected to take."""
    if isinstance(reference, Bounded):
        stored = reference.table.centres
        key = reference.key(beta)
        if key in stored or store.recall(key) is not None:
            return 0.0
        near = min(stored.values(), key=lambda c: abs(math.log(c.beta / beta)), default=None)
        return _UNKNOWN_S if near is None else near.cpu_s
    if isinstance(reference, Composite):
        return _cost(_part(reference, beta), beta)
    if isinstance(reference, ProductReference):
        return sum(_cost(scalar, beta) for scalar in reference.scalars)
    return 0.0


def _part(reference: Composite, beta: float) -> Reference:
    """The part of a composite that answers at beta."""
    if _bounded(reference.upper):
        return reference.lower
    try:
        reference.upper.point(beta)
    except OutOfRange:
        return reference.lower
    return reference.upper


def _rung(reference: Reference, beta: float) -> Rung:
    """The truth at beta: of a certificate with the distortion and rate that its q achieves.

    That is one certificate, where `Reference.point` takes three for its bracket of D*.

    Raises:
        OutOfRange: the reference does not cover beta.
    """
    if isinstance(reference, Bounded):
        found = reference.certificate(beta)
        reached = (found.distortion, max(0.0, found.hi - beta * found.distortion))
        return Rung(beta, found.lo, found.hi, found.distortion, reached)
    if isinstance(reference, Composite):
        return _rung(_part(reference, beta), beta)
    if isinstance(reference, ProductReference):
        groups = reference.source.groups()
        scalars = zip(reference.scalars, groups, strict=True)
        parts = [(_rung(scalar, beta), len(where)) for scalar, (_, where) in scalars]
        return Rung(
            beta,
            sum(n * r.lo for r, n in parts),
            sum(n * r.hi for r, n in parts),
            sum(n * r.distortion for r, n in parts),
            (sum(n * r.reached[0] for r, n in parts), sum(n * r.reached[1] for r, n in parts)),
        )
    point = reference.point(beta)
    return Rung(
        beta, point.lagrangian.lo, point.lagrangian.hi, point.distortion.mid,
        (point.distortion.hi, point.rate.hi),
    )  # fmt: skip
