"""A job array: a command for each part of the cells in a folder of its own, merged at the end.

It stands for ``#SBATCH --array=1-N``: tasks run some at a time, are killed in the middle, and the
same array is submitted again. The merge is killed as well, and given again.
"""

from __future__ import annotations

import random
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks.campaign.chaos import Chaos
from benchmarks.campaign.plans import Campaign
from benchmarks.campaign.rounds import Running, Seen

PARTS = 4
_AT_A_TIME = 2
_ENDS = (signal.SIGKILL, signal.SIGTERM, signal.SIGKILL)


def carry_out_array(
    campaign: Campaign, chaos: Chaos, *, rounds: int, cells: int, say: Callable[[str], None]
) -> Seen:
    """Submit the array again and again, then once in peace, and merge what it leaves.

    Args:
        campaign: what is run; its results are those of the merge.
        chaos: strikes in all but the last round.
        rounds: how many before the last.
        cells: that a round may finish before its tasks are ended.
        say: is told about every round.
    """
    seen, chance = Seen(), random.Random(rounds)
    parts = [
        replace(
            campaign,
            results=campaign.results.parent / "parts" / str(number),
            where=("--shard", f"{number}/{PARTS}"),
            jobs=1,
        )
        for number in range(1, PARTS + 1)
    ]
    chaos.start()
    for number in range(rounds):
        for some in _some(parts):
            running = [Running(part.begin()) for part in some]
            most = chance.uniform(0.5, 1.5) * cells * len(some) / PARTS
            running[0].until(lambda: sum(one.cells for one in running) >= most)  # noqa: B023
            for one in running:
                one.end(_ENDS[number % len(_ENDS)], seen)
        say(f"round {number + 1} of {rounds}: ended so far {dict(seen.ends)}")
    chaos.end()
    seen.acts += chaos.done
    for some in _some(parts):
        for one in [Running(part.begin()) for part in some]:
            one.until(lambda: False)
            one.end(None, seen)
    folders = [part.results for part in parts if part.results.exists()]
    _merged(folders, campaign.results, seen)
    return seen


def _some(parts: Sequence[Campaign]) -> list[Sequence[Campaign]]:
    return [parts[i : i + _AT_A_TIME] for i in range(0, len(parts), _AT_A_TIME)]


def _merged(folders: Sequence[Path], into: Path, seen: Seen) -> None:
    """Merge, and be killed in the middle of it; then merge."""
    words = [str(one) for one in folders]
    command = [sys.executable, "-m", "rdbench", "merge", *words, "--into", str(into)]
    records = into / "records.jsonl"
    first = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    while first.poll() is None and not (records.exists() and records.stat().st_size > 0):
        pass
    first.kill()
    seen.ends[str(first.wait())] += 1
    seen.acts["SIGKILL merge"] += 1
    done = subprocess.run(command, stdout=subprocess.DEVNULL, check=False)
    seen.ends[str(done.returncode)] += 1
