"""The page of findings: what was run, what agrees with the paper and what does not."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rdbench.paper.cells import SIDE_BY_SIDE, Found
from rdbench.paper.judgement import SMALL_ERROR, Finding, is_mixture, remarks
from rdbench.paper.markup import Sheet, text_of
from rdbench.paper.numbers import number
from rdbench.paper.tables import NOTES
from rdbench.report.claims import TOLERANCE
from rdbench.report.grouping import case_namer
from rdbench.report.style import estimator_label
from rdbench.report.summary import troubles
from rdbench.report.units import nats_per
from rdbench.run.progress import clock
from rdbench.run.records import CellRecord
from rdbench.suites._recipe import Recipe


@dataclass(frozen=True)
class Material:
    """What the page is made of."""

    recipe: Recipe
    found: tuple[Found, ...]
    findings: tuple[Finding, ...]
    sheets: tuple[Sheet, ...]
    experiments: tuple[str, ...]
    """Findings of the experiments that no record answers, in words."""
    pictures: tuple[Path, ...]
    command: str
    """What makes the page again."""
    units: str
    warnings: tuple[str, ...] = ()
    """What could not be drawn or computed."""


def page(material: Material) -> str:
    """The page in Markdown; the pictures are beside it."""
    recipe = material.recipe
    blocks = [
        f"# {recipe.title}: the figures again",
        _made_by(material),
        _how_to_read(material.units),
        *(f"**Not made**: {line}" for line in material.warnings),
        "## What agrees and what does not",
        _verdicts(material.findings),
    ]
    drawn = {path.stem for path in material.pictures if path.suffix == ".png"}
    for number_, parts in _by_figure(material.found).items():
        blocks += _section(number_, parts, material, drawn)
    elsewhere = [f for f in material.findings if not f.figure[0].isdigit()]
    if elsewhere:
        blocks += ["## In the text", _said(elsewhere)]
    blocks += _side_by_side(material, drawn)
    if material.experiments:
        blocks += ["## Theorem 1 and the limit β → ∞"]
        blocks += [_picture(stem) for stem in ("figure-theorem-1", "figure-limit") if stem in drawn]
        blocks += ["\n".join(f"- {line}" for line in material.experiments)]
    return "\n\n".join(block for block in blocks if block) + "\n"


def _made_by(material: Material) -> str:
    records = _all(material.found)
    fit = math.fsum(r.cost.cpu_s or 0.0 for r in records)
    audit = math.fsum(p.audit_s or 0.0 for r in records for p in r.points)
    made = sorted({_commit(record) for record in records})
    machines = sorted({r.provenance.processor for r in records if r.provenance.processor})
    text = f"Made by `{material.command}`; the same command makes it again and runs what is missing"
    if not records:
        return f"{text}. There are no records."
    text += (
        f". From {len(records)} records ({', '.join(made)}; {', '.join(machines) or 'unknown'}): "
        f"{clock(fit)} CPU of fits, {clock(audit)} by the clock of audits."
    )
    full = {r.cell: r for one in material.found for r in one.records if _is_full(r, material)}
    if full:
        hours = math.fsum(_wall(record) for record in full.values()) / 3600.0
        text += (
            f" The published settings and the further seeds, {len(full)} of these records, took "
            f"{hours:.2g} hours of cells, one after the other (`{material.recipe.full_command}`)."
        )
    elif material.recipe.full_command:
        text += (
            f" `{material.recipe.full_command}` runs the published settings and further seeds; "
            "`--full` shows them."
        )
    return text


def _is_full(record: CellRecord, material: Material) -> bool:
    ours = {label for part in material.recipe.parts for label in part.estimators}
    return record.seed not in material.recipe.seeds or estimator_label(record) not in ours


def _wall(record: CellRecord) -> float:
    return (record.cost.wall_s or 0.0) + math.fsum(p.audit_s or 0.0 for p in record.points)


def _commit(record: CellRecord) -> str:
    commit = record.provenance.commit[:7] or "no commit"
    return f"{commit} with changes" if record.provenance.dirty else commit


def _how_to_read(units: str) -> str:
    scale = nats_per(units)
    return (
        f"Rates and gaps in {units}, distortion summed over dimensions. gap = F(q) − F\\*, audited "
        f"with its 95% interval; ≤ where only the upper end is meant. *Accurate* means a gap of at "
        f"most {number(TOLERANCE, scale)} √d {units}, *a good p(y|x)* one within {SMALL_ERROR:.0%} "
        "of the spread of the optimal one (or its floor): the paper's pictures show no less. "
        "`not decided`: the interval does not tell, a point failed, or the paper cannot be read; "
        "`q is a fitted mixture`: no trained model took part, which decides nothing about one. "
        f"{' '.join(NOTES)} Floor: what exact draws of p(y|x) exceed in 5% of cases. CPU s and "
        "source samples are of one fit, a whole ladder of slopes."
    )


def _verdicts(findings: Sequence[Finding]) -> str:
    rows = []
    for claim, some in _by_claim(findings):
        said = "; ".join(map(_verdict, some))
        rows.append(f"| {some[0].figure} | {_cell(claim)} | {said} |")
    if not rows:
        return "Nothing is claimed."
    return "\n".join(["| where | what is said | verdict |", "|---|---|---|", *rows])


def _verdict(finding: Finding) -> str:
    of = f"`{finding.of}` " if finding.of else ""
    note = f" ({finding.note})" if finding.note and "mixture" not in finding.verdict else ""
    return f"{of}**{finding.verdict}**{note}"


def _by_claim(findings: Sequence[Finding]) -> list[tuple[str, list[Finding]]]:
    out: dict[str, list[Finding]] = {}
    for finding in findings:
        out.setdefault(finding.claim, []).append(finding)
    return list(out.items())


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _said(findings: Sequence[Finding]) -> str:
    """One bullet per claim, below it one per estimator."""
    lines = []
    for claim, some in _by_claim(findings):
        if len(some) == 1 and not some[0].of:
            lines.append(f"- {claim}: **{some[0].verdict}**. {_text(some[0])}")
            continue
        lines.append(f"- {claim}")
        lines += [f"    - `{f.of}`: **{f.verdict}**. {_text(f)}" for f in some]
    return "\n".join(lines)


def _text(finding: Finding) -> str:
    note = finding.note
    return f"{finding.text} {note[0].upper()}{note[1:]}." if note else finding.text


def _by_figure(found: Iterable[Found]) -> dict[str, list[Found]]:
    """The parts by the number of their figure."""
    out: dict[str, list[Found]] = {}
    for one in found:
        if one.part.name != SIDE_BY_SIDE:
            out.setdefault(one.part.name.rstrip("abcdefgh"), []).append(one)
    return out


def _section(figure: str, parts: Sequence[Found], material: Material, drawn: set[str]) -> list[str]:
    numbers = {figure, *(one.part.name for one in parts)}
    with_draws = any(one.part.draws for one in parts)
    stems = [f"figure-{figure}"] + (["figure-5-alone", "figure-6"] if with_draws else [])
    numbers |= {"6"} if with_draws else set()
    found = [f for f in material.findings if f.figure in numbers]
    names = f"Figures {figure} and 6" if with_draws else f"Figure {figure}"
    blocks = [f"## {names}: {'; '.join(one.part.title for one in parts)}"]
    blocks += [_picture(stem) for stem in stems if stem in drawn]
    blocks += ["\n".join(_what_was_run(one) for one in parts)]
    blocks += [_said(found)]
    for one in parts:
        blocks += _table(f"table-{one.part.name}", material)
        blocks += _shortcomings(one, material.units)
    return blocks


def _what_was_run(one: Found) -> str:
    part = one.part
    seeds = sorted({record.seed for record in one.records})
    budgets = sorted({record.budget for record in one.records})
    trained = "fresh draws" if part.n_train is None else f"{part.n_train:,} fixed draws"
    rates = "the ladder of each case"
    if part.rates is not None:
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
    if sheet is None:
        return []
    files = ", ".join(f"[{ending}]({name}.{ending})" for ending in ("tex", "csv"))
    notes = [note for note in sheet.notes if note not in NOTES]
    return [f"**{sheet.title}** ({files})", text_of(sheet, "md").rstrip(), *notes]


def _shortcomings(one: Found, units: str) -> list[str]:
    """What failed, was refused or was not run, and what estimators say of their own answers."""
    scale = nats_per(units)
    lines = []
    mixture = []
    for trouble in troubles(one.records, case_namer(one.records)):
        where = ", ".join(trouble.cases)
        if trouble.rates is not None:
            lo, hi = (number(rate, scale) for rate in trouble.rates)
            where += f"; R = {lo}" + (f" to {hi}" if hi != lo else "")
        reason = trouble.reason if len(trouble.reason) <= 240 else trouble.reason[:239] + "…"
        lines.append(
            f"- `{trouble.estimator}`: {trouble.status}, {_count(trouble.points, 'point')} "
            f"({where})" + (f": {reason}" if reason else "")
        )
    for label in one.part.estimators:
        ours = [record for record in one.records if estimator_label(record) == label]
        said = {p.reason for record in ours for p in record.points if is_mixture(p)}
        for reason, (count, total) in remarks(ours).items():
            if reason in said:
                mixture.append(f"- `{label}` at {count} of {total} points: {reason}.")
    blocks = []
    if lines:
        blocks.append("Failed, refused or without a gap:\n\n" + "\n".join(lines))
    if mixture:
        blocks.append(
            "Where the answer is the fitted mixture that the fit starts from, the row measures "
            "that mixture and no trained model. How good it is depends on how near the best q is "
            "to such a mixture:\n\n" + "\n".join(mixture)
        )
    if one.missing:
        blocks.append("Not run:\n\n" + "\n".join(_not_run(one.missing)))
    return blocks


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


def _side_by_side(material: Material, drawn: set[str]) -> list[str]:
    blocks = ["## Published settings and ours, side by side"]
    blocks += [_picture(SIDE_BY_SIDE)] if SIDE_BY_SIDE in drawn else []
    blocks += _table(SIDE_BY_SIDE, material) + _table(f"{SIDE_BY_SIDE}-cpu", material)
    for one in material.found:
        if one.part.name == SIDE_BY_SIDE:
            blocks += _shortcomings(one, material.units)
    return blocks


def _all(found: Iterable[Found]) -> list[CellRecord]:
    return list({record.cell: record for one in found for record in one.records}.values())
