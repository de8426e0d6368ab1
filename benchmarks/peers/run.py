"""Run what is missing of the authors' settings against ours; the tables are made by `table`.

    python -m benchmarks.peers.run [--records rdbench-results/peers] [--only GLOB]

Each fit is one ``rdbench run``, printed before it starts; one thread, one job. All matches are run
at the first seed before any is at the second.
"""

from __future__ import annotations

# ruff: noqa: E402
import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"  # before NumPy is imported

import argparse
import shlex
import sys
from fnmatch import fnmatchcase
from pathlib import Path

from benchmarks.peers.plan import MATCHES, SEEDS, SIDES
from rdbench.cli import main as rdbench

RECORDS = Path("rdbench-results/peers")


def main() -> int:
    """Exit code 0; 2 for bad input; 130 where interrupted."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers.run", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--records", type=Path, default=RECORDS)
    parser.add_argument("--only", default="*", help="a glob over the matches, as in 'wgd-*'")
    given = parser.parse_args()
    chosen = [match for match in MATCHES if fnmatchcase(match.name, given.only)]
    if not chosen:
        parser.error(f"--only {given.only!r} chooses none of {', '.join(m.name for m in MATCHES)}")
    for seed in SEEDS:
        for match in chosen:
            for side in SIDES:
                folder = given.records / match.name / side / str(seed)
                stored = folder / "records.jsonl"
                # rdbench would run again what was stopped by its timeout; here that is a result
                if stored.is_file() and stored.stat().st_size > 0:
                    continue
                command = match.command(side, seed, folder)
                print(f"== rdbench {shlex.join(command)}", flush=True)
                code = rdbench(command)
                if code not in (0, 1):  # 1: a fit failed or was stopped, which its record says
                    return code
    return 0


if __name__ == "__main__":
    sys.exit(main())
