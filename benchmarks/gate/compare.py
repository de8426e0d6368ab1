"""The whole comparison of two sides: measure in turn, confirm what looks worse, list everything."""

from __future__ import annotations

import dataclasses
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import groupby

from benchmarks._cases import BANDS
from benchmarks.gate import fits, gaps
from benchmarks.gate.accuracy import Cell, Measured, measure, offers
from benchmarks.gate.options import Options
from benchmarks.gate.sides import Side
from benchmarks.gate.verdicts import Finding, Point, Verdict

MOST = 6
"""How many cells are confirmed worse (and slower) before the others are just listed."""
_BEGAN = time.monotonic()


def compare(base: Side, head: Side, options: Options) -> list[Finding]:
    """Everything that was found, one finding per metric."""
    found = {
        one.metric: one
        for one in _first_looks(base, head, options)
        if one.metric in options.metrics
    }

    def other_seeds(cell: Cell, suspected: Sequence[str]) -> list[Finding]:
        bands = [band for band in range(len(BANDS)) if cell.gaps[band] in suspected]
        return _confirm_gaps(base, head, cell, bands, options)

    def pairs(cell: Cell, suspected: Sequence[str]) -> list[Finding]:
        _say(f"both: {suspected[0]} in pairs")
        take = partial(fits.pair, cell, base, head, options.seed)
        return [fits.confirm(cell.fit, take, options.ratio)]

    suspects: dict[Cell, list[str]] = {}
    for kind, confirm in (("worse", other_seeds), ("slower", pairs)):
        for cell in options.cells:
            names = cell.gaps if kind == "worse" else (cell.fit,)
            suspects[cell] = [
                name for name in names if name in found and found[name].verdict == "suspected"
            ]
        _look_again(suspects, found, confirm, kind)
    return list(found.values())


def _say(words: str) -> None:
    """Tell of a step as it begins."""
    minutes, seconds = divmod(round(time.monotonic() - _BEGAN), 60)
    print(f"[{minutes}:{seconds:02d}] {words}", file=sys.stderr, flush=True)


def _first_looks(base: Side, head: Side, options: Options) -> Iterator[Finding]:
    """Case by case, A B, B A, A B ...: what drifts, drifts through both."""
    seeds = {"BASE": options.seed, "HEAD": options.seed + options.offset}
    for index, (case, group) in enumerate(groupby(options.cells, lambda cell: cell.case)):
        cells, got = list(group), {}
        for side in (base, head) if index % 2 == 0 else (head, base):
            _say(f"{side.name}: {case.name}")
            got[side.name] = measure(side, cells, [seeds[side.name]], f"first-{case.name}")
        for cell in cells:
            has = (offers(base, cell), offers(head, cell))
            yield from _first_look(cell, has, got["BASE"], got["HEAD"], options)


def _first_look(
    cell: Cell, has: tuple[bool, bool], ours: Measured, theirs: Measured, options: Options
) -> list[Finding]:
    """The findings of one cell with one seed, or that a side does not have it.

    Args:
        cell: what was run.
        has: whether BASE has it, and HEAD.
        ours: what was measured of BASE.
        theirs: of HEAD.
        options: the seeds, and what is allowed.
    """
    if has == (True, False):
        note = "HEAD has no such estimator or suite"
        return [Finding(metric, "missing", note=note) for metric in (*cell.gaps, cell.fit)]
    if not has[0]:
        verdict: Verdict = "new" if has[1] else "both fail"
        return [Finding(metric, verdict, note="not in BASE") for metric in (*cell.gaps, cell.fit)]
    seed, other = options.seed, options.seed + options.offset
    found = []
    for band in range(len(BANDS)):
        before, after = ours.points[cell, band, seed], theirs.points[cell, band, other]
        found.append(gaps.first_look(cell, band, before, after, options.tolerance))
    cpu = (ours.cpu_s.get((cell, seed)), theirs.cpu_s.get((cell, other)))
    return [*found, fits.first_look(cell, *cpu, options.ratio)]


def _look_again(
    suspects: dict[Cell, list[str]],
    found: dict[str, Finding],
    confirm: Callable[[Cell, Sequence[str]], list[Finding]],
    kind: str,
) -> None:
    """Confirm the suspicions of every cell, the plainest first.

    Args:
        suspects: the names that are suspected, by cell.
        found: the first looks, which the confirmations replace.
        confirm: measures a cell again; takes the names that are suspected.
        kind: what a confirmed suspicion is called.
    """
    order = sorted(
        (cell for cell, names in suspects.items() if names),
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
    base: Side, head: Side, cell: Cell, suspected: Sequence[int], options: Options
) -> list[Finding]:
    """Other seeds for a cell's suspected bands: two, two more, four more if those do not decide."""
    points: dict[tuple[str, int], list[Point]] = defaultdict(list)
    going_on, tolerance, first = list(suspected), options.tolerance, options.seed + 1
    for part in (range(first, first + 2), range(first + 2, first + 4), range(first + 4, first + 8)):
        for side, offset in ((base, 0), (head, options.offset)):
            _say(f"{side.name}: {cell.name} with {len(part)} other seeds")
            mine = [seed + offset for seed in part]
            got = measure(side, [cell], mine, "other-seeds")
            for band in going_on:
                points[side.name, band] += [got.points[cell, band, seed] for seed in mine]
        going_on = [
            band
            for band in going_on
            if gaps.goes_on(cell, points["BASE", band], points["HEAD", band], tolerance)
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
