"""Nothing lost: thousands of cheap cells, while everything is killed, stopped and doubled.

``python -m benchmarks.campaign local --cells 300`` runs one and writes its table to
``results/campaign``; exit code 1 where something was lost, doubled or left behind.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import shutil
import sys
import tempfile
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

from benchmarks.campaign.arrays import carry_out_array
from benchmarks.campaign.chaos import Chaos
from benchmarks.campaign.counts import Counts, count
from benchmarks.campaign.outside import started_by_hand
from benchmarks.campaign.plans import PER_SEED, Campaign, commit
from benchmarks.campaign.rounds import Seen, carry_out

_ROOT = Path(__file__).resolve().parents[2]
WEIGHTS = {
    "local": {"kill cell": 6.0, "stop cell": 2.0, "kill server": 2.0, "stop server": 0.5},
    "dask": {
        "kill cell": 4.0,
        "stop cell": 1.0,
        "kill server": 1.0,
        "kill Dask worker": 2.0,
        "kill cluster": 0.3,
    },
    "workers": {"kill cell": 4.0, "stop cell": 1.0, "kill server": 1.0, "kill Dask worker": 2.0},
    "array": {"kill cell": 6.0, "stop cell": 2.0, "kill server": 2.0, "stop server": 0.5},
}
"""By who runs the cells: this machine, a Dask cluster of the command's own, a scheduler and workers
that were started by hand, a job array."""


def main() -> int:
    """Run a campaign, print its table and write it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("where", choices=sorted(WEIGHTS))
    parser.add_argument("--cells", type=int, default=300, help="about so many; default 300")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1, help="of what is killed when")
    parser.add_argument("--rounds", type=int, default=6, help="commands that are ended early")
    parser.add_argument("--pause", type=float, default=2.0, help="seconds between strikes")
    parser.add_argument("--timeout", type=float, default=1.0, help="of a cell that hangs")
    parser.add_argument("--out", type=Path, default=_ROOT / "results" / "campaign")
    given = parser.parse_args()
    seeds = max(round(given.cells / PER_SEED), 1)
    base = Path(tempfile.mkdtemp(prefix="campaign-"))
    scratch = Path(tempfile.mkdtemp(prefix="c-"))
    where = ("--executor", "dask") if given.where in ("dask", "workers") else ()
    campaign = Campaign(seeds, given.jobs, base / "results", scratch, where, given.timeout)
    chaos = Chaos(scratch, given.seed, given.pause, WEIGHTS[given.where])
    began, at = time.monotonic(), commit()
    each = max(campaign.planned // (given.rounds + 1), 1)
    go = carry_out_array if given.where == "array" else carry_out
    with contextlib.ExitStack() as held:
        if given.where == "workers":
            address = held.enter_context(started_by_hand(given.jobs, scratch))
            campaign = replace(campaign, where=(*where, "--scheduler", address))
        seen = go(campaign, chaos, rounds=given.rounds, cells=each, say=print)
    time.sleep(2.0)  # what is dying may die
    found = count(campaign.planned, campaign.results / "records.jsonl", scratch)
    text = table(given, at, found, seen, time.monotonic() - began)
    print(text)
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / f"{given.where}.md").write_text(text)
    print("last words of the commands:", *seen.lines, sep="\n", file=sys.stderr)
    if found.clean and not seen.tracebacks:
        shutil.rmtree(base)
        shutil.rmtree(scratch)
        return 0
    print(f"kept: {base} and {scratch}", file=sys.stderr)
    return 1


def table(given: argparse.Namespace, at: str, found: Counts, seen: Seen, seconds: float) -> str:
    """The outcome as Markdown."""
    command = (
        f"python -m benchmarks.campaign {given.where} --cells {given.cells} --jobs {given.jobs} "
        f"--seed {given.seed} --rounds {given.rounds} --pause {given.pause:g} "
        f"--timeout {given.timeout:g}"
    )
    rows = {
        "cells": found.planned,
        "commands": sum(seen.ends.values()),
        "how they ended (exit code, or minus the signal)": _listed(seen.ends),
        "what befell them": _listed(seen.acts),
        "rows written": found.rows,
        "**lost** cells": found.lost,
        "**doubled** cells (more than one final row)": found.doubled,
        "torn lines": found.torn,
        "cells whose newest row is not what their mode ends as": found.strange,
        "**orphans** (processes left)": found.orphans,
        "**scratch** left (files)": found.scratch,
        "tracebacks of the commands": seen.tracebacks,
        "minutes": f"{seconds / 60.0:.1f}",
    }
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    lines = [
        f"# Campaign, {given.where}",
        "",
        f"`{command}` at {at}, {today}.",
        "",
        "| what | |",
        "|---|---|",
        *(f"| {name} | {value} |" for name, value in rows.items()),
    ]
    return "\n".join(lines) + "\n"


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{name}: {n}" for name, n in sorted(counts.items())) or "nothing"


if __name__ == "__main__":
    sys.exit(main())
