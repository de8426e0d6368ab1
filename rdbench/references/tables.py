"""The tables of certified values: what belongs into them, computing them, checking them."""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rdbench.certify.certificate import Certificate
from rdbench.certify.described import described
from rdbench.certify.duals import dual_of
from rdbench.certify.rates import Known
from rdbench.certify.store import from_plain
from rdbench.references.certified import Bounded
from rdbench.references.composite import Composite
from rdbench.references.noisy import Entropy, SampledBound, sampled_entropy
from rdbench.references.product import ProductReference
from rdbench.references.shipped import plain_rung, rate_name
from rdbench.types import Case, OutOfRange, Reference

FORMAT = 1
"""Of the files; raised when what a field means changes."""
_WIDER = 1.5
FEWER = 50
"""An entropy is checked with so many times fewer draws, by another seed."""


@dataclass(frozen=True)
class Wanted:
    """The rungs that the built-in suites need of one table."""

    reference: Bounded
    rates: tuple[float, ...]


def wanted(cases: Iterable[Case]) -> dict[str, Wanted]:
    """Every table that the cases name, with the rates at which they ask for it."""
    found: dict[str, Wanted] = {}
    for case in cases:
        for part, rates in _parts(case.reference, case.rates):
            if part.case:
                before = found[part.case].rates if part.case in found else ()
                names = {rate_name(r): r for r in (*before, *rates)}
                found[part.case] = Wanted(part, tuple(sorted(names.values())))
    return found


def _parts(
    reference: Reference, rates: tuple[float, ...]
) -> Iterator[tuple[Bounded, tuple[float, ...]]]:
    """The certified references inside a reference, with their own target rates."""
    if isinstance(reference, Bounded):
        yield reference, rates
    elif isinstance(reference, Composite):
        yield from _parts(reference.lower, tuple(r for r in rates if not _covers(reference, r)))
    elif isinstance(reference, ProductReference) and len(reference.scalars) == 1:
        yield from _parts(
            reference.scalars[0], tuple(rate / reference.source.dim for rate in rates)
        )


def _covers(reference: Composite, rate: float) -> bool:
    try:
        reference.upper.slope(rate)
    except OutOfRange:
        return False
    return True


def sampled(cases: Iterable[Case]) -> dict[str, SampledBound]:
    """Every entropy that the cases name, with its reference."""
    found = (case.reference for case in cases)
    return {r.case: r for r in found if isinstance(r, SampledBound) and r.case}


# ---------------------------------------------------------------- computing


def compute(asked: Wanted, say: Callable[[str], None] = lambda _: None) -> Iterator[dict[str, Any]]:
    """The rungs of a table, from no table and no cache; one line to ``say`` for each."""
    reference = asked.reference
    solve = functools.cache(reference.solve)
    near: float | None = None
    for rate in asked.rates:
        near = reference.search(rate, lambda beta: solve(beta, reference.rough), near)
        centre = solve(near, reference.tolerance)
        sides = {
            reference.key(beta): Known.of(solve(beta, reference.tolerance))
            for beta in reference.side_slopes(centre)
            if beta > 0.0
        }
        say(describe(reference.case, rate, centre))
        yield completed(reference, plain_rung(rate, reference.key(centre.beta), centre, sides))


def completed(reference: Bounded, rung: dict[str, Any]) -> dict[str, Any]:
    """A rung with the lambda of its lower end, which a check without the solver needs."""
    found = rung["certificate"]
    dual = dual_of(reference.problem, from_plain(found))
    return {**rung, "certificate": {**found, "lambda": dual}}


def describe(case: str, rate: float, found: Certificate) -> str:
    """One line about a certificate."""
    missed = (
        ""
        if found.reached or found.kind == "bounds"
        else f", asked {found.tolerance:g}: {found.reason}"
    )
    return (
        f"{case} R={rate:g} beta={found.beta:.6g} F in [{found.lo:.16g}, {found.hi:.16g}] "
        f"width {found.width:.2e} ({found.kind}, {found.cpu_s:.2f} CPU s){missed}"
    )


def write(folder: Path, reference: Bounded, rungs: list[dict[str, Any]]) -> Path:
    """Write one table: a file of certificates (docs/certificates.md, "The file").

    Raises:
        OSError: the folder cannot be written.
    """
    path = folder / f"{reference.case}.json"
    lines = ",\n".join(json.dumps(rung, separators=(",", ":")) for rung in rungs)
    about = {
        "format": FORMAT,
        "case": reference.case,
        "problem": described(reference.problem),
        "tolerance": reference.tolerance,
    }
    head = json.dumps(about, separators=(",", ":"))[:-1] + ',"rungs":[\n'
    path.write_text(f"{head}{lines}\n]}}\n")
    return path


def describe_entropy(case: str, found: Entropy) -> str:
    """One line about an entropy."""
    return (
        f"{case} h(X) = {found.value:.9g} +- {found.half:.1e} (95%, {found.draws} draws, "
        f"{found.cpu_s:.2f} CPU s)"
    )


def write_entropy(folder: Path, case: str, found: Entropy) -> Path:
    """Write one entropy.

    Raises:
        OSError: the folder cannot be written.
    """
    path = folder / f"{case}.json"
    path.write_text(json.dumps({"case": case, "entropy": dataclasses.asdict(found)}) + "\n")
    return path


# ---------------------------------------------------------------- checking


def missing(asked: Wanted) -> list[str]:
    """The rungs that a table lacks, or holds for another problem or version; one line each."""
    reference, table = asked.reference, asked.reference.table
    found = []
    for rate in asked.rates:
        beta = table.slopes.get(rate_name(rate))
        if beta is None:
            found.append(f"{reference.case}: no slope for R = {rate:g}")
        elif (centre := table.centres.get(reference.key(beta))) is None:
            found.append(f"{reference.case}: no certificate at beta = {beta:g} by this version")
        else:
            found += [
                f"{reference.case}: no neighbour at beta = {b:g}"
                for b in reference.side_slopes(centre)
                if b > 0.0 and reference.key(b) not in table.sides
            ]
    return found


def disagreement(reference: Bounded, stored: Certificate) -> tuple[str, float]:
    """The fault of a stored certificate beside a fresh one, if any, and the CPU seconds it took."""
    fresh = dataclasses.replace(reference, case="").solve(stored.beta)
    where = f"{reference.case} at beta = {stored.beta:g}"
    brackets = (
        f"[{stored.lo:.16g}, {stored.hi:.16g}] is stored, "
        f"[{fresh.lo:.16g}, {fresh.hi:.16g}] computed"
    )
    if fresh.lo > stored.hi or stored.lo > fresh.hi:
        return f"{where}: the brackets do not meet: {brackets}", fresh.cpu_s
    # Within the tolerance a solver may stop anywhere, and does on another machine.
    if fresh.width > max(_WIDER * stored.width, stored.tolerance):
        return f"{where}: the bracket became wider: {brackets}", fresh.cpu_s
    return "", fresh.cpu_s


def off(reference: SampledBound, seed: int) -> tuple[str, float]:
    """The fault of a stored entropy beside fresh draws, if any, and the CPU seconds it took."""
    stored = reference.entropy
    fresh = sampled_entropy(reference.source, stored.draws // FEWER, stored.seed + 1 + seed)
    line = (
        f"{reference.case}: h(X) = {stored.value:.9g} +- {stored.half:.1e} is stored, "
        f"{fresh.value:.9g} +- {fresh.half:.1e} computed"
    )
    return "" if stored.meets(fresh) else line, fresh.cpu_s
