"""The whole comparison of two sides: measure in turn, confirm what looks worse, list everything."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from benchmarks._cases import BANDS
from benchmarks.gate import fits, gaps
from benchmarks.gate.accuracy import Cell, Measured, measure, offers
from benchmarks.gate.options import Options
from benchmarks.gate.sides import Side
from benchmarks.gate.verdicts import Finding, Point, Verdict

Say = Callable[[str], None]
"""Told of each step as it begins."""
CONFIRMING = 4
"""How many seeds confirm a gap; as many again where those do not decide."""
MOST = 6
"""How many cells are confirmed worse (and slower) before the others are just listed."""


def compare(base: Side, head: Side, options: Options, say: Say) -> list[Finding]:
    """Everything that was found, one finding per metric."""
    ours, theirs = _first_pass(base, head, options, say)
    found = {
        one.metric: one
        for cell in options.cells
        for one in _first_looks(cell, base, head, ours, theirs, options)
        if one.metric in options.metrics
    }

    def other_seeds(cell: Cell, suspected: Sequence[str]) -> list[Finding]:
        bands = [band for band in range(len(BANDS)) if cell.gaps[band] in suspected]
        return _confirm_gaps(base, head, cell, bands, options, say)

    def pairs(cell: Cell, suspected: Sequence[str]) -> list[Finding]:
        say(f"both: {suspected[0]} in pairs")
        take = partial(fits.pair, cell, base, head, options.seed)
        return [fits.confirm(cell.fit, take, options.ratio)]

    _look_again({cell: cell.gaps for cell in options.cells}, found, other_seeds, "worse")
    _look_again({cell: (cell.fit,) for cell in options.cells}, found, pairs, "slower")
    return list(found.values())


def _first_pass(base: Side, head: Side, options: Options, say: Say) -> tuple[Measured, Measured]:
    """Case by case, A B, B A, A B ...: what drifts, drifts through both."""
    results = {"BASE": Measured(), "HEAD": Measured()}
    cases: dict[str, list[Cell]] = defaultdict(list)
    for cell in options.cells:
        cases[cell.case.name].append(cell)
    for index, (name, cells) in enumerate(cases.items()):
        for side in (base, head) if index % 2 == 0 else (head, base):
            say(f"{side.name}: {name}")
            seed = options.seed + (options.offset if side is head else 0)
            part = measure(side, cells, [seed], f"first-{name}")
            results[side.name].points |= part.points
            results[side.name].cpu_s |= part.cpu_s
    return results["BASE"], results["HEAD"]


def _first_looks(
    cell: Cell, base: Side, head: Side, ours: Measured, theirs: Measured, options: Options
) -> list[Finding]:
    """The findings of one cell with one seed, or that a side does not have it."""
    has = (offers(base, cell), offers(head, cell))
    if has == (True, False):
        note = "HEAD has no such estimator or suite"
        return [Finding(metric, "missing", note=note) for metric in (*cell.gaps, cell.fit)]
    if not has[0]:
        verdict: Verdict = "new" if has[1] else "both fail"
        return [Finding(metric, verdict, note="not in BASE") for metric in (*cell.gaps, cell.fit)]
    seed, other = options.seed, options.seed + options.offset
    found = [
        gaps.first_look(
            cell,
            band,
            ours.points[cell, band, seed],
            theirs.points[cell, band, other],
            options.tolerance,
        )
        for band in range(len(BANDS))
    ]
    cpu = (ours.cpu_s.get((cell, seed)), theirs.cpu_s.get((cell, other)))
    return [*found, fits.first_look(cell, *cpu, options.ratio)]


def _look_again(
    metrics: Mapping[Cell, Sequence[str]],
    found: dict[str, Finding],
    confirm: Callable[[Cell, Sequence[str]], list[Finding]],
    kind: str,
) -> None:
    """Confirm the suspicions of every cell, the plainest first.

    Args:
        metrics: the names that are looked at, by cell.
        found: the first looks, which the confirmations replace.
        confirm: measures a cell again; takes the names that are suspected.
        kind: what a confirmed suspicion is called.
    """
    suspects = {
        cell: [name for name in names if name in found and found[name].verdict == "suspected"]
        for cell, names in metrics.items()
    }
    order = sorted(
        (cell for cell in metrics if suspects[cell]),
        key=lambda cell: -max(_excess(found[name]) for name in suspects[cell]),
    )
    confirmed = 0
    for cell in order:
        if confirmed < MOST:
            found |= {one.metric: one for one in confirm(cell, suspects[cell])}
            confirmed += any(found[name].regression for name in suspects[cell])
            continue
        for name in suspects[cell]:
            note = f"{found[name].note}; not looked at again, others are {kind} already"
            found[name] = dataclasses.replace(found[name], note=note)


def _confirm_gaps(
    base: Side,
    head: Side,
    cell: Cell,
    suspected: Sequence[int],
    options: Options,
    say: Say,
) -> list[Finding]:
    """Other seeds for a cell's suspected bands: two, two more, four more if those do not decide."""
    seeds = [options.seed + 1 + i for i in range(2 * CONFIRMING)]
    points: dict[tuple[str, int], list[Point]] = defaultdict(list)
    going_on, tolerance = list(suspected), options.tolerance
    for part in (seeds[: CONFIRMING // 2], seeds[CONFIRMING // 2 : CONFIRMING], seeds[CONFIRMING:]):
        for side, offset in ((base, 0), (head, options.offset)):
            say(f"{side.name}: {cell.name} with {len(part)} other seeds")
            mine = [seed + offset for seed in part]
            got = measure(side, [cell], mine, "other-seeds")
            for band in going_on:
                points[side.name, band] += got.of(cell, band, mine)
        # After all of the first seeds only what they do not decide is worth as many again.
        goes_on = gaps.unresolved if part[-1] == seeds[CONFIRMING - 1] else gaps.persists
        going_on = [
            band
            for band in going_on
            if goes_on(cell, points["BASE", band], points["HEAD", band], tolerance)
        ]
        if not going_on:
            break
    return [
        gaps.confirm(cell, band, points["BASE", band], points["HEAD", band], tolerance)
        for band in suspected
    ]


def _excess(finding: Finding) -> float:
    """How far beyond what is allowed, in units of it; a failure is beyond everything."""
    return (finding.change or 0.0) / finding.limit if finding.limit else float("inf")
