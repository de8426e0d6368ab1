"""Are the rows the same, whoever runs the cells? ``python -m benchmarks.campaign.same``.

A few cells of estimators that draw, train and solve, run on one job and on two, in shards, on
Dask, in another order, and with one and four OpenMP threads outside; all but times have to be equal
to the last digit. With ``--threads 2`` rows may differ by 1e-9, because sums are taken in another
order.
"""

from __future__ import annotations

import argparse
import datetime
import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.campaign.plans import commit, stand_back
from rdbench.run.reading import load
from rdbench.run.records import CellRecord

_ROOT = Path(__file__).resolve().parents[2]
ESTIMATORS = ("mixture_em", "wgd[particles=60,iterations=40]", "blahut_arimoto")
_SUITE = ("--suite", "scalar", "--cases", "laplacian-squared", "--rates", "0.5,1.5")
_TIMES = ("wall_s", "cpu_s", "peak_rss_mb", "audit_s")
_OMP = "OMP_NUM_THREADS"
_THREADED = 1e-9


def run(results: Path, *more: str, omp: str = "1", backwards: bool = False) -> int:
    """One command; its exit code."""
    order = ESTIMATORS[::-1] if backwards else ESTIMATORS
    own = ("--estimators", ",".join(order), "--seeds", "0,1", "--budget", "quick")
    command = [sys.executable, "-m", "rdbench", "run", *_SUITE, *own, "--results", str(results)]
    return subprocess.run(
        [*command, *more],
        env={**os.environ, _OMP: omp},
        stdout=subprocess.DEVNULL,
        preexec_fn=stand_back,
        check=False,
    ).returncode


def plain(record: CellRecord) -> dict[str, Any]:
    """All of a record but times and where it was made."""
    held: dict[str, Any] = msgspec.to_builtins(record)
    del held["provenance"]
    for part in (held["cost"], *held["points"], *held["trace"]):
        for name in _TIMES:
            part.pop(name, None)
    return held


def differences(one: Any, other: Any, allowed: float, at: str = "") -> Iterator[str]:
    """The places in which two records differ by more than is allowed, relative to 1 and to them."""
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        for name in one:
            yield from differences(one[name], other[name], allowed, f"{at}.{name}")
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for i, (a, b) in enumerate(zip(one, other, strict=True)):
            yield from differences(a, b, allowed, f"{at}[{i}]")
    elif isinstance(one, float) and isinstance(other, float) and allowed:
        if not math.isclose(one, other, rel_tol=allowed, abs_tol=allowed):
            yield f"{at}: {one!r} and {other!r}"
    elif one != other:
        yield f"{at}: {one!r} and {other!r}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run every way, compare, print and write the table; 1 where rows differ."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=_ROOT / "results" / "campaign")
    given = parser.parse_args(arguments)
    rows, good = [], True
    with tempfile.TemporaryDirectory(prefix="same-") as folder:
        base = Path(folder)
        run(base / "one")
        wanted = load(base / "one").records
        for name, allowed in _all(base):
            found = load(base / name).records
            differing = [] if found.keys() == wanted.keys() else ["other cells"]
            for cell in found.keys() & wanted.keys():
                differing += differences(plain(wanted[cell]), plain(found[cell]), allowed)
            good = good and not differing
            rows.append(f"| {name} | {len(found)} | {_told(differing, allowed)} |")
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    compared = sum(len(record.points) for record in wanted.values())
    text = "\n".join(
        [
            "# The same rows, whoever runs the cells",
            "",
            f"`python -m benchmarks.campaign.same` at {commit()}, {today}. Compared with one job, "
            f"in all but times: {len(wanted)} cells, {compared} rows of {', '.join(ESTIMATORS)}.",
            "",
            "| run | cells | differences |",
            "|---|---|---|",
            *rows,
        ]
    )
    print(text)
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / "same.md").write_text(text + "\n")
    return 0 if good and wanted else 1


def _all(base: Path) -> Iterator[tuple[str, float]]:
    """Run every way; its folder, and by what numbers may differ."""
    run(base / "two jobs", "--jobs", "2")
    yield "two jobs", 0.0
    for i in (1, 2):
        run(base / f"shard {i}", "--shard", f"{i}/2")
    parts = [str(base / f"shard {i}") for i in (1, 2)]
    merge = [sys.executable, "-m", "rdbench", "merge", *parts, "--into", str(base / "two shards")]
    subprocess.run(merge, check=True, stdout=subprocess.DEVNULL, preexec_fn=stand_back)
    yield "two shards", 0.0
    run(base / "Dask", "--executor", "dask", "--jobs", "2")
    yield "Dask", 0.0
    run(base / "other order", backwards=True)
    yield "other order", 0.0
    run(base / f"{_OMP}=4", omp="4")
    yield f"{_OMP}=4", 0.0
    run(base / "--threads 2", "--threads", "2")
    yield "--threads 2", _THREADED


def _told(differing: Sequence[str], allowed: float) -> str:
    if not differing:
        return f"none beyond {allowed:g}" if allowed else "none"
    return f"**{len(differing)}**, such as `{differing[0].replace('|', '/')}`"


if __name__ == "__main__":
    sys.exit(main())
