"""Figures 2 to 6 of the paper, drawn again from records."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from rdbench.paper._fig_curves import curves_beside_source, curves_figure
from rdbench.paper._fig_presets import presets_figure
from rdbench.paper.cells import Found
from rdbench.paper.samples import conditional_figure, reconstruction_figure, source_draws
from rdbench.report.series import Panel, Sources, panels_of
from rdbench.report.style import (
    PRINT_SIZE,
    Look,
    SeriesStyle,
    estimator_label,
    house_style,
    save,
    series_styles,
)
from rdbench.report.units import nats_per
from rdbench.run.records import CellRecord

_CURVES, _HALVES, _DRAWS = ("2", "3"), ("4a", "4b"), "5"
"""The names of the parts, as the recipe has them."""
_NAMES = (*_CURVES, *_HALVES, _DRAWS)


def save_figures(
    found: Sequence[Found],
    out: Path,
    looks: Mapping[str, Look],
    units: str,
    sources: Sources | None = None,
) -> list[Path]:
    """Draw Figures 2 to 6 as PDF, PNG and SVG, as wide as both columns of a paper.

    2 and 3 show the audited points over the true curve and their gaps below; 4 the same for
    training on fresh and on fixed draws, beside draws of the source; 5 draws of p(y|x), for all
    estimators and for the first one alone; 6 the source and its reconstruction at the highest
    rate. A part without records has no figure.

    Args:
        found: the parts of the recipe with their records.
        out: the folder; it is made if need be.
        looks: colours and markers that estimators ask for, by name.
        units: ``nats`` or ``bits``.
        sources: where the truth between the points of the records is known.

    Returns:
        The files.

    Raises:
        RdbenchError: an unknown unit, or a folder that cannot be written.
    """
    nats_per(units)
    parts = {name: part for name in _NAMES if (part := _part(found, name))}
    panels = {name: panels_of(part.records, sources) for name, part in parts.items()}
    styles = _styles([*panels.values(), *(panels_of(one.records) for one in found)], looks)
    saved: list[Path] = []
    with house_style(PRINT_SIZE):
        for name in _CURVES:
            if name in parts:
                note = _absent([parts[name]])
                figure = curves_figure(panels[name], styles, units, parts[name].part.title, note)
                saved += save(figure, out, f"figure-{name}")
        halves = [name for name in _HALVES if name in parts]
        if halves:
            titled = [(parts[name].part.title, panel) for name in halves for panel in panels[name]]
            source = source_draws(parts[_DRAWS].records) if _DRAWS in parts else None
            note = _absent([parts[name] for name in halves])
            saved += save(
                curves_beside_source(titled, source, styles, units, note), out, "figure-4"
            )
        if _DRAWS in parts:
            saved += _save_samples(parts[_DRAWS], out, units)
    return saved


def _save_samples(part: Found, out: Path, units: str) -> list[Path]:
    """Figures 5 and 6, of the lowest seed of each estimator; only of sources in the plane."""
    records = first_seeds(record for record in part.records if record.dim == 2)
    kept = [record for record in records if any(point.draws for point in record.points)]
    if not kept:
        return []
    note = _absent([part])
    saved = save(conditional_figure(records, part.part.title, units, note), out, "figure-5")
    alone = [record for record in kept if record.estimator == kept[0].estimator][:1]
    figure = conditional_figure(alone, part.part.title, units)
    saved += save(figure, out, "figure-5-alone")
    reconstruction = reconstruction_figure(records, units, note)
    if reconstruction is not None:
        saved += save(reconstruction, out, "figure-6")
    return saved


def side_by_side(
    found: Sequence[Found], out: Path, looks: Mapping[str, Look], units: str
) -> list[Path]:
    """Draw the gap against the rate of every estimator with all its presets, case by case.

    Args:
        found: the parts of the recipe, those with presets among them; of cells trained on fixed
            draws nothing is shown.
        out: the folder; it is made if need be.
        looks: colours and markers that estimators ask for, by name.
        units: ``nats`` or ``bits``.

    Returns:
        The files; none where no estimator has records of two presets.

    Raises:
        RdbenchError: an unknown unit, or a folder that cannot be written.
    """
    nats_per(units)
    # A part with draws has slopes of its own, of cases that are there anyway.
    records = {
        record.cell: record
        for part in found
        for record in part.records
        if record.n_train is None and not part.part.draws
    }
    panels = panels_of(list(records.values()))
    labels = {(s.estimator, s.label) for panel in panels for s in panel.series}
    if len(labels) == len({name for name, _ in labels}):
        return []
    with house_style(PRINT_SIZE):
        return save(presets_figure(panels, _styles([panels], looks), units), out, "side-by-side")


def first_seeds(records: Iterable[CellRecord]) -> list[CellRecord]:
    """The record of the lowest seed of each estimator, in the order of the first appearance."""
    chosen: dict[str, CellRecord] = {}
    for record in records:
        label = estimator_label(record)
        if label not in chosen or record.seed < chosen[label].seed:
            chosen[label] = record
    return list(chosen.values())


def _part(found: Sequence[Found], name: str) -> Found | None:
    """All that was found under the name of a figure, None where it has no records."""
    parts = [one for one in found if one.part.name == name]
    records = tuple({r.cell: r for one in parts for r in one.records}.values())
    if not records:
        return None
    missing = tuple(title for one in parts for title in one.missing)
    stale = tuple(title for one in parts for title in one.stale)
    return Found(parts[0].part, records, missing, stale)


def _styles(drawn: Iterable[Sequence[Panel]], looks: Mapping[str, Look]) -> dict[str, SeriesStyle]:
    """One style per series of all the panels, the same in every figure."""
    panels = [panel for some in drawn for panel in some]
    return series_styles(((s.estimator, s.label) for p in panels for s in p.series), looks)


def _absent(parts: Sequence[Found]) -> str:
    """What of the parts could not be drawn or is of earlier code, in words; empty if nothing."""
    missing, stale = (
        sum(len(getattr(part, field)) for part in parts) for field in ("missing", "stale")
    )
    texts = [
        f"{count} cell{'' if count == 1 else 's'} {what}"
        for count, what in ((missing, "not run"), (stale, "by earlier code"))
        if count
    ]
    return "; ".join(texts)
