"""Run what ``rdbench paper ebrd --full`` shows and never runs: published settings, more seeds.

    python benchmarks/studies/paper_full.py [--only PATTERN] [--jobs 1]
        [--results results/paper/records]

Resumable: what is stored is not run again. The cheap cells come first; `wgd:paper` takes most of
the hours. ``--only '*ebrd:paper*'`` takes a glob over the titles that ``--dry-run`` lists.
"""

from __future__ import annotations

# ruff: noqa: E402
import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"  # before NumPy is imported

import argparse
import sys
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from rdbench.cli.progress import Progress, console, interrupted, list_cells
from rdbench.reproduce.cells import Planned, planned, to_run
from rdbench.reproduce.paper import load
from rdbench.reproduce.settings import SIDE_BY_SIDE
from rdbench.run.pool import Settings, run_cells
from rdbench.run.provenance import gather
from rdbench.run.store import Store


def is_dear(plan: Planned) -> bool:
    """Whether it has few slopes because each of them is dear."""
    return plan.part.rates is not None and plan.part.name == SIDE_BY_SIDE


def main() -> int:
    """Run what is missing, part by part."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="*", metavar="PATTERN")
    parser.add_argument("--results", type=Path, default=ROOT / "results" / "paper" / "records")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--timeout", type=float, default=4 * 3600.0, help="seconds per fit")
    parser.add_argument("--dry-run", action="store_true")
    given = parser.parse_args()
    plans = [
        replace(
            plan, cells=tuple(c for c in plan.cells if fnmatchcase(c.title, given.only)), runs=True
        )
        for plan in sorted(planned(load("ebrd"), full=True), key=is_dear)
        if not plan.runs
    ]
    store, out = Store(given.results), console()
    if given.dry_run:
        every = {cell.id: cell for plan in plans for cell in plan.cells}
        missing = [cell for cells in to_run(plans, store.records).values() for cell in cells]
        list_cells(list(every.values()), missing, out)
        return 0
    provenance = gather("cpu", 1, given.jobs)
    for plan in plans:
        store.refresh()  # parts share cells
        for draws, cells in to_run([plan], store.records).items():
            out.print(f"{plan.part.title}: {len(cells)} cells; results in {given.results}")
            progress = Progress(cells, given.jobs, "nats", out)
            settings = Settings(provenance, given.jobs, 1, given.timeout, draws=draws)
            try:
                with progress:
                    run_cells(cells, store, settings, progress)
            except KeyboardInterrupt:
                return interrupted(progress.count, len(cells))
    return 0


if __name__ == "__main__":
    sys.exit(main())
