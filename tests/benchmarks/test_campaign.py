"""What a campaign counts, and when it says that rows are the same."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.campaign.chaos import of_campaign
from benchmarks.campaign.counts import count
from benchmarks.campaign.fuzz import AT_ONCE, Fuzz
from benchmarks.campaign.same import differences


def row(cell: str, mode: str, status: str) -> str:
    return json.dumps({"cell": cell, "status": status, "fields": {"mode": mode}})


def test_every_kind_of_loss_is_counted(tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    records = tmp_path / "records.jsonl"
    lines = [
        row("a", "good", "crashed"),  # killed, and run again: that is how it should be
        row("a", "good", "ok"),
        row("b", "hangs", "timeout"),
        row("b", "hangs", "timeout"),
    ]
    records.write_text("\n".join(lines) + "\n")
    found = count(2, records, scratch)
    assert found.clean
    assert found.rows == 4

    lines += [row("a", "good", "ok"), row("c", "good", "crashed"), '{"cell": "d", "sta']
    records.write_text("\n".join(lines) + "\n")
    (scratch / "rdbench-left").mkdir()
    orphan = subprocess.Popen(["sleep", "600"], env={**os.environ, "TMPDIR": str(scratch)})
    try:
        found = count(4, records, scratch)
    finally:
        orphan.kill()
        orphan.wait()
    assert not found.clean
    assert (found.lost, found.doubled, found.torn, found.strange) == (1, 1, 1, 1)
    assert (found.orphans, found.scratch) == (1, 1)
    assert of_campaign(scratch) == []


@pytest.mark.parametrize(
    ("one", "other", "allowed", "said"),
    [
        ({"a": [1.0, None]}, {"a": [1.0, None]}, 0.0, []),
        ({"a": [1.0]}, {"a": [1.0 + 1e-15]}, 0.0, [".a[0]: 1.0 and 1.000000000000001"]),
        ({"a": [1.0]}, {"a": [1.0 + 1e-12]}, 1e-9, []),
        ({"a": 1.0}, {"a": 1.1}, 1e-9, [".a: 1.0 and 1.1"]),
        ({"a": [1.0]}, {"a": [1.0, 2.0]}, 1e-9, [".a: [1.0] and [1.0, 2.0]"]),
        ({"a": "x"}, {"a": "y"}, 1e-9, [".a: 'x' and 'y'"]),
    ],
)
def test_rows_are_compared_to_the_last_digit_unless_told_otherwise(
    one: object, other: object, allowed: float, said: list[str]
) -> None:
    assert list(differences(one, other, allowed)) == said


def test_without_a_device_the_checks_of_a_gpu_say_so(tmp_path: Path) -> None:
    hidden = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    command = [sys.executable, "-m", "benchmarks.gpu", "--out", str(tmp_path / "gpu")]
    home = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        command, env=hidden, cwd=home, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr == "benchmarks.gpu: torch finds no CUDA device here; nothing was run\n"
    assert not (tmp_path / "gpu").exists()


def test_damaged_inputs_are_taken_or_refused_and_a_traceback_is_a_fault() -> None:
    fuzz = Fuzz(5)
    for _ in range(100):
        fuzz.lists()
    lots = fuzz.lots(1000)
    for _ in range(AT_ONCE + 1):
        next(lots)()
    assert fuzz.faults == []
    assert fuzz.counts["lines of records"] == AT_ONCE
    assert fuzz.counts["lists and numbers, refused"] > 10
    assert fuzz.counts["records that were taken"] > 10
    assert fuzz.counts["tables, exports and pages"] > 20

    fuzz.try_one("planted", "x", lambda: [][0])
    assert len(fuzz.faults) == 1
    assert "IndexError" in fuzz.faults[0]
