"""The page of a paper: what was run, ours beside what is published, and what a person makes of it.

Pictures stand with the part whose name they carry (``figure-4`` with 4a and 4b), and where the
prose shows them; the others follow at the end.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from rdbench.report.grouping import case_namer
from rdbench.report.style import estimator_label
from rdbench.report.summary import troubles
from rdbench.report.units import nats_per
from rdbench.reproduce.numbers import NOT_PRINTED, Elsewhere
from rdbench.reproduce.paper import Found, Paper
from rdbench.reproduce.settings import SIDE_BY_SIDE
from rdbench.reproduce.sheet import Sheet, number
from rdbench.reproduce.tables import NOTES
from rdbench.run.progress import clock
from rdbench.run.records import CellRecord

_READING = (
    "The gap is F(q) − F\\*, audited, with its 95% interval. CPU seconds and source samples are of "
    "one fit, which is a whole ladder of slopes.",
    "Floor: the error of p(y|x) that exact draws exceed in 5% of cases.",
)
_LONGEST = 240
"""Letters of a reason."""


@dataclass(frozen=True)
class Material:
    """Everything that the page is made of."""

    paper: Paper
    found: tuple[Found, ...]
    sheets: tuple[Sheet, ...]
    pictures: tuple[Path, ...]
    command: str
    """The command that makes the page again."""
    units: str
    elsewhere: tuple[Elsewhere, ...] = ()
    """What is not compared, with the reasons."""
    warnings: tuple[str, ...] = ()
    """Figures that could not be drawn, with the reason."""


def page(material: Material) -> str:
    """The page in Markdown; the pictures are beside it."""
    paper, prose = material.paper, material.paper.prose
    drawn = [path.stem for path in material.pictures if path.suffix == ".png"]
    left = [stem for stem in drawn if f"({stem}.png)" not in prose]
    blocks = [
        f"# {paper.title}, reproduced",
        *_made_by(material),
        f"Rates and gaps are in {material.units}; distortion is summed over dimensions.",
        "\n".join(f"- {note}" for note in (*_READING, *NOTES)) if _has_cells(paper) else "",
        *(f"**Not made**: {line}" for line in material.warnings),
        *_table("published", material),
        _not_compared(material.elsewhere),
        prose,
    ]
    for figure, parts in _by_figure(material.found).items():
        blocks += [f"## Figure {figure}: {'; '.join(one.part.title for one in parts)}"]
        stem = f"figure-{figure}"
        here = [name for name in left if name == stem or name.startswith(f"{stem}-")]
        left = [name for name in left if name not in here]
        blocks += map(_picture, here)
        blocks += ["\n".join(map(_what_was_run, parts))]
        for one in parts:
            blocks += _table(f"table-{one.part.name}", material)
            blocks += _shortcomings(one, material.units)
    settings = _table(SIDE_BY_SIDE, material)
    if settings:
        here = [name for name in left if name == SIDE_BY_SIDE]
        left = [name for name in left if name not in here]
        blocks += ["## Published settings and ours, side by side", *map(_picture, here), *settings]
        blocks += _table(f"{SIDE_BY_SIDE}-cpu", material)
        for one in material.found:
            blocks += _shortcomings(one, material.units) if one.part.name == SIDE_BY_SIDE else []
    blocks += ["## Further figures", *map(_picture, left)] if left else []
    return "\n\n".join(block for block in blocks if block) + "\n"


def _not_compared(elsewhere: Iterable[Elsewhere]) -> str:
    lines = [
        f"- {one.where}, {one.problem}: {one.says}. {one.why}"
        + (f" (time and machine, as printed: {one.cost})" if one.cost != NOT_PRINTED else "")
        for one in elsewhere
    ]
    return "\n".join(["**Published, and not compared here**:", "", *lines]) if lines else ""


def _made_by(material: Material) -> list[str]:
    command, paper = material.command, material.paper
    records = {r.cell: r for one in material.found for r in one.records}.values()
    blocks = [f"`{command}` runs what is missing and writes this page with all its files."]
    if paper.stored or paper.more_seeds:
        blocks[0] += (
            " `--full` also shows the published settings and further seeds as far as they are "
            "stored; `--run-all` in its place runs them, which takes hours."
        )
    if not records:
        return [*blocks, "There are no records."] if _has_cells(paper) else blocks
    fit = math.fsum(r.cost.cpu_s or 0.0 for r in records)
    audit = math.fsum(p.audit_s or 0.0 for r in records for p in r.points)
    made = sorted({_commit(record) for record in records})
    machines = sorted({r.provenance.processor for r in records if r.provenance.processor})
    return [
        *blocks,
        f"It shows {len(records)} records, by the code of {', '.join(made)} on "
        f"{', '.join(machines) or 'an unknown processor'}. The fits took {clock(fit)} of CPU time, "
        f"the audits {clock(audit)} by the clock.",
    ]


def _has_cells(paper: Paper) -> bool:
    """Whether estimators are run for it, or it is a computation of its own."""
    return bool(paper.parts or paper.stored)


def _commit(record: CellRecord) -> str:
    commit = record.provenance.commit[:7] or "no commit"
    return f"{commit} with changes" if record.provenance.dirty else commit


def _by_figure(found: Iterable[Found]) -> dict[str, list[Found]]:
    """The parts by the number of their figure, without the settings."""
    out: dict[str, list[Found]] = {}
    for one in found:
        name = one.part.name
        if name != SIDE_BY_SIDE:
            figure = name.rstrip("abcdefgh") if name[0].isdigit() else name
            out.setdefault(figure, []).append(one)
    return out


def _what_was_run(one: Found) -> str:
    part = one.part
    seeds = sorted({record.seed for record in one.records})
    budgets = sorted({record.budget for record in one.records})
    trained = "fresh draws" if part.n_train is None else f"{part.n_train:,} fixed draws"
    rates = "the ladder of each case"
    if part.betas is not None:
        rates = f"β = {', '.join(f'{beta:.4g}' for beta in part.betas)}"
    elif part.rates is not None:
        rates = f"R = {', '.join(f'{rate:g}' for rate in part.rates)} nats"
    return (
        f"- {part.name}: {', '.join(part.cases)}, at {rates}, trained on {trained}; "
        f"{_count(len(one.records), 'cell')} at seed {', '.join(map(str, seeds)) or '-'}, budget "
        f"{', '.join(budgets) or '-'}. Numbers: [figure-{part.name}.csv](figure-{part.name}.csv)"
    )


def _picture(stem: str) -> str:
    return f"![{stem}]({stem}.png)\n\n[PDF]({stem}.pdf), [SVG]({stem}.svg)"


def _table(name: str, material: Material) -> list[str]:
    sheet = next((sheet for sheet in material.sheets if sheet.name == name), None)
    if sheet is None or not sheet.rows:
        return []
    files = ", ".join(f"[{ending}]({name}.{ending})" for ending in ("tex", "csv"))
    notes = [note for note in sheet.notes if note not in NOTES]
    return [f"**{sheet.title}** ({files})", sheet.text("md").rstrip(), *notes]


def _shortcomings(one: Found, units: str) -> list[str]:
    """Cells that failed, were refused or not run, and remarks of estimators on their answers."""
    scale = nats_per(units)
    failed = []
    for trouble in troubles(one.records, case_namer(one.records)):
        where = ", ".join(trouble.cases)
        if trouble.rates is not None:
            lo, hi = (number(rate, scale) for rate in trouble.rates)
            where += f"; R = {lo}" + (f" to {hi}" if hi != lo else "")
        reason = trouble.reason
        reason = reason if len(reason) <= _LONGEST else reason[: _LONGEST - 1] + "…"
        failed.append(
            f"- `{trouble.estimator}`: {trouble.status}, {_count(trouble.points, 'point')} "
            f"({where})" + (f": {reason}" if reason else "")
        )
    heads = ("Failed, refused or without a gap", "Said by estimators of their answers", "Not run")
    lists = (failed, _remarks(one), _not_run(one.missing))
    return [f"{head}:\n\n" + "\n".join(lines) for head, lines in zip(heads, lists, strict=True)
            if lines]  # fmt: skip


def _remarks(one: Found) -> list[str]:
    """The reasons that answered points carry, and at how many of how many points."""
    said: dict[tuple[str, str], int] = {}
    total: dict[str, int] = {}
    for record in one.records:
        label = estimator_label(record)
        for point in record.points:
            if point.status == "ok":
                total[label] = total.get(label, 0) + 1
                if point.reason:
                    said[label, point.reason] = said.get((label, point.reason), 0) + 1
    return [
        f"- `{label}` at {count} of {total[label]} points: {reason}."
        for (label, reason), count in said.items()
    ]


def _not_run(titles: Iterable[str]) -> list[str]:
    """One line per estimator and seed with its cases; titles read ``suite/case label seed n``."""
    cases: dict[str, list[str]] = {}
    for title in titles:
        where, _, what = title.partition(" ")
        cases.setdefault(what, []).append(where.partition("/")[2])
    return [
        f"- `{label}` seed {seed}: {', '.join(dict.fromkeys(where))}"
        for what, where in cases.items()
        for label, _, seed in [what.rpartition(" seed ")]
    ]


def _count(n: int, what: str) -> str:
    return f"{n} {what}" if n == 1 else f"{n} {what}s"
