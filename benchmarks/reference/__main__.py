"""The reference run: python -m benchmarks.reference run [--jobs N] | left | page.

``run`` runs what is missing, part after part; stop it with Ctrl-C and start it again. ``left`` says
how much is missing. ``page`` writes README.md, not_run.md, the tables and the picture page from
the records.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.reference.cells import not_run, planned
from benchmarks.reference.plan import parts, wished
from benchmarks.reference.text import not_run_page, readme
from rdbench.cli.looks import looks_of
from rdbench.cli.truth import TruthSources
from rdbench.report.figures import save_run_figures
from rdbench.report.files import write_whole
from rdbench.report.tables import metric_table
from rdbench.run.reading import RECORDS, load

FOLDER = Path("results/reference")
METRICS = ("gap", "worst_gap", "claim_excess", "conditional_error", "cpu_s")
USAGE = "usage: python -m benchmarks.reference run [--jobs N] | left | page"


def main(arguments: Sequence[str]) -> int:
    """Do it; the exit code of the first part that fails."""
    match arguments:
        case ["run", *further]:
            return _run(further)
        case ["left"]:
            stored = load(FOLDER).records
            left = [cell for cell in planned(parts()).values() if cell.id not in stored]
            print(f"{len(left)} cells to run")
            return 0
        case ["page"]:
            return _page()
    print(USAGE, file=sys.stderr)
    return 2


def _run(further: Sequence[str]) -> int:
    command = [sys.executable, "-m", "rdbench", "run", "--results", str(FOLDER)]
    for part in parts():
        found = subprocess.run([*command, "--timeout", "1200", *part.options(), *further])
        if found.returncode not in (0, 1):  # 1: a cell failed, which is a result
            return found.returncode
    return 0


def _page() -> int:
    """Records that no cell of the plan has any more are dropped first: their code is gone."""
    cells = planned(parts())
    stored = load(FOLDER).records
    if stored.keys() - cells.keys():
        lines = (FOLDER / RECORDS).read_bytes().splitlines(keepends=True)
        kept = [line for line in lines if json.loads(line)["cell"] in cells]
        write_whole(b"".join(kept), FOLDER / RECORDS)
    records = list(load(FOLDER).records.values())
    for metric in METRICS:
        text = metric_table(records, metric, "suite,case,estimator", "md", "nats").text
        (FOLDER / f"{metric}.md").write_text(text.rstrip("\n") + "\n")
    (FOLDER / "README.md").write_text(readme(records))
    left = not_run(cells, planned(wished()), records)
    (FOLDER / "not_run.md").write_text(not_run_page(left))
    pictures = FOLDER / "figures"
    for old in pictures.glob("*"):
        old.unlink()
    for made in save_run_figures(
        records, pictures, styles=looks_of(records), sources=TruthSources()
    ):
        if made.suffix != ".png":
            made.unlink()  # a few pictures for readers of the repository; the page has all
    command = [sys.executable, "-m", "rdbench", "report", "--results", str(FOLDER)]
    return subprocess.run([*command, "--out", str(FOLDER / "report.html")]).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
