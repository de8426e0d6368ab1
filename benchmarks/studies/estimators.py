"""Accuracy, cost and time to accuracy of the estimators, as tables in results/estimators.

    targets    the worst audited gap over a ladder and three seeds, and the CPU seconds of a ladder
    times      CPU seconds to a gap of .1, .05, .01 on the d = 10 ramp, one rate at a time, cold
    samples    gap against the number of training points, where these are fixed

    python benchmarks/studies/estimators.py [targets] [times] [samples] [--only GLOB] [--read]

What is stored under ``--records`` is not run again; ``--read`` only makes the tables of it. Each
line of a table is one ``rdbench run``, printed before it starts. The seeds are 501, 502, 503: they
served for no decision. One thread, one job.
"""

from __future__ import annotations

# ruff: noqa: E402
import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"  # before NumPy is imported

import argparse
import csv
import shlex
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from _estimator_figures import FIGURES, THRESHOLDS, TIMED, TIMED_RATES, Figure

from rdbench.cli import main as rdbench
from rdbench.run.records import CellRecord, PointRecord
from rdbench.run.store import load

SEEDS = "501,502,503"
SAMPLE_SIZES = (100, 1_000, 10_000, 100_000)
Row = Mapping[str, object]


def run(command: Sequence[str], read: bool) -> list[CellRecord]:
    """Run ``rdbench`` and return what its results folder then holds."""
    folder = Path(command[command.index("--results") + 1])
    if not read:
        print(f"== rdbench {shlex.join(command)}", flush=True)
        if rdbench(command) not in (0, 1):
            raise SystemExit(2)
    return list(load(folder).records.values()) if folder.is_dir() else []


def slug(*words: object) -> str:
    """A folder name."""
    return "-".join(str(w) for w in words).translate(str.maketrans("/: ,=[]", "-------"))


# --------------------------------------------------------------------------------------------
# targets


def targets(only: str, records: Path, read: bool) -> Iterator[Row]:
    """One row per figure."""
    for figure in FIGURES:
        if not fnmatchcase(figure.estimator, only):
            continue
        folder = records / "targets" / slug(figure.name)
        found = run(figure.command(SEEDS, str(folder)), read)
        if found:
            yield target_row(figure, found)


def target_row(figure: Figure, found: Sequence[CellRecord]) -> Row:
    """The worst point of a figure against its targets."""
    points = [point for record in found for point in record.points]
    worst = max(points, key=lambda p: float("inf") if p.gap is None else p.gap)
    lacking = sum(p.gap is None for p in points)
    half = None if lacking else max(map(half_width, points))
    masses = [p.mode_mass_error for p in points if p.mode_mass_error is not None]
    paper = [p.gap_paper_protocol for p in points if p.gap_paper_protocol is not None]
    costs = [record.cost for record in found]
    return {
        "estimator": figure.estimator,
        "case": f"{figure.suite}/{figure.case}",
        "ladder": ladder_of(figure),
        "seeds": len({record.seed for record in found}),
        "target_gap": figure.gap,
        "worst_gap": worst.gap,
        "at_rate": worst.target_rate,
        "gap_lo": worst.gap_lo,
        "gap_hi": worst.gap_hi,
        "half_width": half,
        "side": worst.side,
        "points": len(points),
        "without_point": lacking,
        "target_cpu_s": figure.cpu,
        "cpu_s": most(c.cpu_s for c in costs),
        "mode_mass_error": max(masses, default=None),
        "worst_gap_paper_protocol": max(paper, default=None),
        "n_source_samples": most(c.n_source_samples for c in costs),
        "gradient_steps": most(c.gradient_steps for c in costs),
        "n_parameters": most(c.n_parameters for c in costs),
        "peak_rss_mb": most(c.peak_rss_mb for c in costs),
        "verdict": verdict(figure, points, half, costs, masses),
        "commit": " ".join(sorted({record.provenance.commit[:7] for record in found})),
    }


def half_width(point: PointRecord) -> float:
    """Of the interval; of side ``upper`` the part above the gap."""
    assert point.gap is not None
    assert point.gap_hi is not None
    if point.gap_lo is None:
        return point.gap_hi - point.gap
    return (point.gap_hi - point.gap_lo) / 2.0


def ladder_of(figure: Figure) -> str:
    """The slopes in words."""
    if figure.rates:
        return f"R = {figure.rates}"
    return f"β = {figure.betas}" if figure.betas else "the suite's"


def most(values: Iterable[float | None]) -> float | None:
    """The largest that is known."""
    return max((v for v in values if v is not None), default=None)


def verdict(
    figure: Figure,
    points: Sequence[PointRecord],
    half: float | None,
    costs: Sequence[object],
    masses: Sequence[float],
) -> str:
    """Met, or what is not; a gap counts where its interval is narrow enough to tell."""
    wrong: list[str] = []
    cpu = most(getattr(c, "cpu_s", None) for c in costs)
    if figure.gap is not None:
        if half is None:
            wrong.append("points lacking")
        else:
            if max(p.gap or 0.0 for p in points) > figure.gap:
                wrong.append("gap")
            if half > max(0.005, figure.gap / 2.0):
                wrong.append("undecided")
    if figure.cpu is not None and (cpu is None or cpu > figure.cpu):
        wrong.append("CPU")
    if figure.mode_mass is not None and (not masses or max(masses) > figure.mode_mass):
        wrong.append("mode mass")
    if figure.gap is None and figure.cpu is None:
        return ""
    return "met" if not wrong else "missed: " + ", ".join(wrong)


# --------------------------------------------------------------------------------------------
# time to a gap


def times(only: str, records: Path, read: bool) -> Iterator[Row]:
    """One row per estimator and rate: CPU seconds to each threshold, or never."""
    for estimator in TIMED:
        if not fnmatchcase(estimator, only):
            continue
        for rate in TIMED_RATES:
            folder = records / "times" / slug(estimator, rate)
            command = ["run", "--suite", "vector_gaussian", "--dims", "10", "--rates", str(rate)]
            command += ["--estimators", estimator, "--seeds", SEEDS[:3], "--trace"]
            for record in run([*command, "--results", str(folder)], read):
                yield time_row(estimator, rate, record)


def time_row(estimator: str, rate: float, record: CellRecord) -> Row:
    """When the gap fell below each threshold for good."""
    (point,) = record.points
    seen = [(t.cpu_s, t.gap) for t in record.trace]
    seen.append((record.cost.cpu_s or 0.0, point.gap))
    row: dict[str, object] = {"estimator": estimator, "rate": rate}
    for threshold in THRESHOLDS:
        row[f"cpu_s_to_{threshold:g}"] = reached(seen, threshold)
    row |= {"cpu_s": record.cost.cpu_s, "gap": point.gap, "gap_lo": point.gap_lo}
    row |= {"gap_hi": point.gap_hi, "side": point.side, "status": point.status}
    return row | {"gradient_steps": record.cost.gradient_steps, "looks": len(record.trace)}


def reached(seen: Sequence[tuple[float, float | None]], threshold: float) -> float | str:
    """CPU seconds after which every gap that was seen is below the threshold, or "never"."""
    first: float | None = None
    for cpu, gap in seen:
        if gap is None or gap > threshold:
            first = None
        elif first is None:
            first = cpu
    return "never" if first is None else round(first, 2)


# --------------------------------------------------------------------------------------------
# sample complexity


def samples(only: str, records: Path, read: bool) -> Iterator[Row]:
    """The gap on fresh symbols against the number of fixed training points, d = 5 ramp, R = 5."""
    for estimator in ("ebrd", "nerd", "beta_vae", "wgd", "mixture_em"):
        if not fnmatchcase(estimator, only):
            continue
        for n in SAMPLE_SIZES:
            folder = records / "samples" / slug(estimator, n)
            command = ["run", "--suite", "vector_gaussian", "--dims", "5", "--rates", "5"]
            command += ["--estimators", estimator, "--seeds", SEEDS, "--n-train", str(n)]
            for record in run([*command, "--results", str(folder)], read):
                (point,) = record.points
                row: dict[str, object] = {"estimator": estimator, "n_train": n}
                row |= {"seed": record.seed, "gap": point.gap, "gap_lo": point.gap_lo}
                yield row | {"gap_hi": point.gap_hi, "status": point.status}


# --------------------------------------------------------------------------------------------
# tables

TABLES = {"targets": targets, "times": times, "samples": samples}


READ = {
    "targets": (
        "estimator", "case", "ladder", "target_gap", "worst_gap", "gap_hi", "side",
        "mode_mass_error", "target_cpu_s", "cpu_s", "verdict",
    ),
}  # fmt: skip
"""The columns of a Markdown table, where it does not have all of them."""


def write(path: Path, rows: Sequence[Row]) -> None:
    """A CSV file with every column, and what people read of it as Markdown beside it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    columns = list(rows[0])
    texts = [[text(row[name]) for name in columns] for row in rows]
    with path.with_suffix(".csv").open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([columns, *texts])
    shown = READ.get(path.name, tuple(columns))
    picked = [[text(row[name]) for name in shown] for row in rows]
    lines = ["| " + " | ".join(r) + " |" for r in (shown, ["---"] * len(shown), *picked)]
    path.with_suffix(".md").write_text("\n".join(lines) + "\n", encoding="utf-8")


def text(value: object) -> str:
    """Three significant digits; nothing where nothing is known."""
    if value is None:
        return ""
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def main() -> None:
    """Measure what is missing and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tables", nargs="*", help=f"of {', '.join(TABLES)}; by default targets")
    parser.add_argument("--only", default="*", help="a glob over estimators, as in 'ebrd*'")
    parser.add_argument("--records", type=Path, default=Path("rdbench-results/estimators"))
    parser.add_argument("--out", type=Path, default=ROOT / "results" / "estimators")
    parser.add_argument("--read", action="store_true", help="run nothing")
    given = parser.parse_args()
    for name in given.tables or ["targets"]:
        if name not in TABLES:
            parser.error(f"unknown table {name}; valid: {', '.join(TABLES)}")
        rows = list(TABLES[name](given.only, given.records, given.read))
        if rows:
            write(given.out / name, rows)
            print((given.out / name).with_suffix(".md").read_text())


if __name__ == "__main__":
    main()
