"""``python -m benchmarks.gate.false_alarms``: how often the gate cries without a cause.

Each repetition is the whole default gate between a commit and itself, with other seeds on the
second side: with the same ones both sides would give the same numbers, and silence would prove
nothing. Every repetition is a row of the file as soon as it is done; what is there is not repeated.
"""

from __future__ import annotations

import argparse
import csv
import ctypes
import hashlib
import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from scipy.stats import binomtest

from benchmarks.gate import sides
from benchmarks.gate.errors import BadInput

ROOT = Path(__file__).resolve().parents[2]
FIELDS = (
    "gate",
    "commit",
    "repetition",
    "seed",
    "exit_code",
    "metrics",
    "suspicions",
    "alarms",
    "alarmed",
    "suspected",
    "cpu_s",
)
SEEDS_APART = 100
"""Between repetitions; far more than one of them uses."""


def main(arguments: Sequence[str]) -> int:
    """Run what is missing of the repetitions, print the count, return 0, 2, 3 or 130."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gate.false_alarms")
    parser.add_argument("--repeat", type=int, default=10, help="repetitions (%(default)s)")
    parser.add_argument("--commit", default="HEAD", help="compared with itself (%(default)s)")
    parser.add_argument("--out", type=Path, default=ROOT / "results" / "gate" / "false_alarms.csv")
    got, others = parser.parse_known_args(arguments)
    try:
        commit = sides.commit(ROOT, got.commit)
        gate = _digest()
        if got.repeat < 1:
            raise BadInput(f"--repeat takes a number, 1 or more, got {got.repeat}")
    except BadInput as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 2
    _adopt_orphans()
    for number in range(1, got.repeat + 1):
        if any(row["repetition"] == str(number) for row in _rows(got.out, gate, commit)):
            continue
        print(f"== repetition {number} of {got.repeat}", flush=True)
        try:
            code = _repeat(gate, commit, number, got.out, others)
        except KeyboardInterrupt:
            return 130
        if code not in (0, 1):
            return code
    print(summary(_rows(got.out, gate, commit)))
    return 0


def summary(rows: Sequence[dict[str, str]]) -> str:
    """The count, with its exact 95 % interval, and what it was counted over."""
    alarmed = sum(row["exit_code"] != "0" for row in rows)
    rate = binomtest(alarmed, len(rows)).proportion_ci(method="exact")
    metrics, suspicions, alarms = (
        sum(int(row[name]) for row in rows) for name in ("metrics", "suspicions", "alarms")
    )
    cpu = sorted(float(row["cpu_s"]) for row in rows)
    return (
        f"{alarmed} of {len(rows)} repetitions gave a false alarm "
        f"(95 % interval {rate.low:.0%} to {rate.high:.0%}); "
        f"{alarms} of {metrics} metrics, {suspicions} suspected at first; "
        f"{cpu[len(cpu) // 2]:.0f} CPU s a repetition ({cpu[0]:.0f} to {cpu[-1]:.0f})"
    )


def _repeat(gate: str, commit: str, number: int, out: Path, others: Sequence[str]) -> int:
    """One repetition and its row; the exit code of the gate."""
    seed = SEEDS_APART * number
    with tempfile.TemporaryDirectory() as folder:
        found = Path(folder) / "found.json"
        command = [sys.executable, "-m", "benchmarks.gate", commit, commit, "--independent-seeds"]
        command += ["--seed", str(seed), "--json", str(found), *others]
        before = _cpu()
        code = subprocess.run(command, cwd=ROOT, check=False).returncode
        _reap()
        if code not in (0, 1):
            return code
        findings = json.loads(found.read_text())["findings"]
    suspected = [one["metric"] for one in findings if one["verdict"] == "suspected"]
    alarmed = [
        one["metric"]
        for one in findings
        if one["verdict"] not in ("ok", "suspected", "both fail", "mended", "new")
    ]
    row = {
        "gate": gate,
        "commit": commit[:12],
        "repetition": number,
        "seed": seed,
        "exit_code": code,
        "metrics": len(findings),
        "suspicions": len(suspected) + len(alarmed),
        "alarms": len(alarmed),
        "alarmed": ";".join(alarmed),
        "suspected": ";".join(suspected),
        "cpu_s": f"{_cpu() - before:.1f}",
    }
    out.parent.mkdir(parents=True, exist_ok=True)
    new = not out.exists()
    with out.open("a", newline="") as file:
        writer = csv.DictWriter(file, FIELDS, lineterminator="\n")
        if new:
            writer.writeheader()
        writer.writerow(row)
    return code


def _rows(out: Path, gate: str, commit: str) -> list[dict[str, str]]:
    """The repetitions by this very gate: rules that have changed are tried out anew."""
    if not out.exists():
        return []
    with out.open(newline="") as file:
        rows = list(csv.DictReader(file))
    return [row for row in rows if (row["gate"], row["commit"]) == (gate, commit[:12])]


def _digest() -> str:
    """What judges and what is measured: the gate's own files, the kernels and the cases."""
    folder = ROOT / "benchmarks"
    files = [*folder.glob("gate/*.py"), *folder.glob("_kernel*.py"), folder / "_cases.py"]
    return hashlib.sha256(b"".join(file.read_bytes() for file in sorted(files))).hexdigest()[:12]


def _adopt_orphans() -> None:
    """Make this process the parent of what its children leave behind, whose CPU time counts too."""
    pr_set_child_subreaper = 36
    ctypes.CDLL(None).prctl(pr_set_child_subreaper, 1, 0, 0, 0)


def _reap() -> None:
    while True:
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
