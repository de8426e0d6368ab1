"""The whole comparison of two sides: measure in turn, confirm what looks worse, list everything."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from benchmarks._cases import BANDS
from benchmarks.gate import fits, gaps, kernels, times
from benchmarks.gate.accuracy import Cell, Measured, measure, offers
from benchmarks.gate.progress import Progress
from benchmarks.gate.selection import Selection
from benchmarks.gate.sides import Side
from benchmarks.gate.verdicts import Finding, Point

CELL_SECONDS = 8.0
"""About what a cell at the quick budget takes with its audit, for the time left."""
TIMED_SECONDS = 2.0


@dataclass(frozen=True)
class Settings:
    """How the two sides are compared."""

    tolerance: float = gaps.TOLERANCE
    """Nats by which a gap may grow."""
    ratio: float = 1.25
    """What a time may be multiplied by."""
    budget: str = "quick"
    seed: int = 0
    """Of the first look; the next ones confirm."""
    confirming: int = 4
    """How many seeds confirm; as many again where those do not decide."""
    offset: int = 0
    """What is added to HEAD's seeds: not zero only to measure the gate's own false alarms."""
    most: int = 6
    """How many cells are confirmed worse (and slower) before the others are just listed."""


def compare(
    base: Side, head: Side, selection: Selection, settings: Settings, progress: Progress
) -> list[Finding]:
    """Everything that was found, one finding per metric."""
    ours, theirs = _first_pass(base, head, selection, settings, progress)
    found: dict[str, Finding] = {}
    for cell in selection.cells:
        there = (offers(base, cell), offers(head, cell))
        for band in range(len(BANDS)):
            one = ours.points[cell, band, settings.seed]
            two = theirs.points[cell, band, settings.seed + settings.offset]
            look = gaps.absent(cell, band, *there) or gaps.first_look(
                cell, band, one, two, settings.tolerance
            )
            found[look.metric] = look
        cpu = ours.cpu_s.get((cell, settings.seed))
        other = theirs.cpu_s.get((cell, settings.seed + settings.offset))
        lacking = gaps.absent(cell, 0, *there)
        found[cell.fit] = (
            dataclasses.replace(lacking, metric=cell.fit)
            if lacking is not None
            else fits.first_look(cell, cpu, other, settings.ratio)
        )
    found = {name: one for name, one in found.items() if name in selection.metrics}
    with kernels.Bench(base, head) as bench:
        for name in selection.timed:
            progress.step(f"both: {name}", TIMED_SECONDS)
            found[name] = kernels.first_look(bench, name, settings.ratio)

        def kernel(name: str, index: int) -> Finding:  # noqa: ARG001
            return kernels.confirm(bench, name, settings.ratio)

        def fit(name: str, index: int) -> Finding:
            return fits.confirm(
                cells[name],
                base,
                head,
                settings.seed,
                settings.budget,
                settings.ratio,
                f"pairs-{index}",
            )

        _confirm_gaps(base, head, selection.cells, found, settings, progress)
        cells = {cell.fit: cell for cell in selection.cells}
        _confirm_times(selection.timed, 4.0 * times.PAIRS, kernel, found, settings, progress)
        _confirm_times(cells, 2 * CELL_SECONDS * times.PAIRS, fit, found, settings, progress)
    return list(found.values())


def seconds(selection: Selection) -> float:
    """About how long the first pass takes on a quiet machine."""
    return 2 * CELL_SECONDS * len(selection.cells) + TIMED_SECONDS * len(selection.timed)


def _first_pass(
    base: Side, head: Side, selection: Selection, settings: Settings, progress: Progress
) -> tuple[Measured, Measured]:
    """Case by case, A B, B A, A B ...: what drifts, drifts through both."""
    results = {"BASE": Measured(), "HEAD": Measured()}
    cases: dict[str, list[Cell]] = defaultdict(list)
    for cell in selection.cells:
        cases[cell.case.name].append(cell)
    for index, (name, cells) in enumerate(cases.items()):
        for side in (base, head) if index % 2 == 0 else (head, base):
            progress.step(f"{side.name}: {name}", CELL_SECONDS * len(cells))
            seed = settings.seed + (settings.offset if side is head else 0)
            part = measure(side, cells, [seed], settings.budget, f"first-{name}")
            results[side.name].points |= part.points
            results[side.name].cpu_s |= part.cpu_s
    return results["BASE"], results["HEAD"]


def _confirm_gaps(
    base: Side,
    head: Side,
    cells: Sequence[Cell],
    found: dict[str, Finding],
    settings: Settings,
    progress: Progress,
) -> None:
    """Other seeds for every cell with a suspicion, the plainest first."""
    suspects = {
        cell: [b for b in range(len(BANDS)) if _suspected(found, cell.metric(b))] for cell in cells
    }
    order = sorted(
        (cell for cell in cells if suspects[cell]),
        key=lambda cell: -max(_excess(found[cell.metric(b)]) for b in suspects[cell]),
    )
    seeds = [settings.seed + 1 + i for i in range(2 * settings.confirming)]
    half, enough = settings.confirming // 2, settings.confirming
    progress.more(2 * CELL_SECONDS * enough * len(order))
    worse = 0
    for cell in order:
        if worse == settings.most:
            _left(found, [cell.metric(band) for band in suspects[cell]], "worse")
            continue
        bands = suspects[cell]
        points: dict[tuple[str, int], list[Point]] = defaultdict(list)
        for part in (seeds[:half], seeds[half:enough], seeds[enough:]):
            for side, offset in ((base, 0), (head, settings.offset)):
                words = f"{side.name}: {cell.name} with {len(part)} other seeds"
                progress.step(words, CELL_SECONDS * len(part))
                other = [seed + offset for seed in part]
                got = measure(side, [cell], other, settings.budget, "other-seeds")
                for band in bands:
                    points[side.name, band] += got.of(cell, band, other)
            # After all of the first seeds only what they do not decide is worth as many again.
            goes_on = gaps.unresolved if part[-1] == seeds[enough - 1] else gaps.persists
            bands = [
                band
                for band in bands
                if goes_on(cell, points["BASE", band], points["HEAD", band], settings.tolerance)
            ]
            if not bands:
                break
        for band in suspects[cell]:
            verdict = gaps.confirm(
                cell, band, points["BASE", band], points["HEAD", band], settings.tolerance
            )
            found[verdict.metric] = verdict
        worse += any(found[cell.metric(band)].regression for band in suspects[cell])


def _confirm_times(
    metrics: Iterable[str],
    cost: float,
    look_again: Callable[[str, int], Finding],
    found: dict[str, Finding],
    settings: Settings,
    progress: Progress,
) -> None:
    """Pairs of new processes for every suspicion, the plainest first."""
    order = sorted(
        (name for name in metrics if _suspected(found, name)),
        key=lambda name: -(found[name].change or 0.0),
    )
    progress.more(cost * len(order))
    slower = 0
    for index, name in enumerate(order):
        if slower == settings.most:
            _left(found, [name], "slower")
            continue
        progress.step(f"both: {name} in pairs of new processes", cost)
        found[name] = look_again(name, index)
        slower += found[name].regression


def _suspected(found: dict[str, Finding], metric: str) -> bool:
    return metric in found and found[metric].verdict == "suspected"


def _excess(finding: Finding) -> float:
    """How far beyond what is allowed, in units of it; a failure is beyond everything."""
    return (finding.change or 0.0) / finding.limit if finding.limit else float("inf")


def _left(found: dict[str, Finding], metrics: Sequence[str], kind: str) -> None:
    for name in metrics:
        note = f"{found[name].note}; not looked at again, others are {kind} already"
        found[name] = dataclasses.replace(found[name], note=note)
