"""The stored times: of every kernel, in CPU seconds, and of nobody's machine in particular."""

import json
from pathlib import Path

import pytest

from benchmarks._kernels import KERNELS

FOLDER = Path(__file__).resolve().parents[2] / "results" / "pytest-benchmark"
STORED = sorted(FOLDER.glob("*/*.json"))


def test_the_newest_has_every_kernel():
    newest = json.loads(STORED[-1].read_text())
    assert {b["param"] for b in newest["benchmarks"]} >= set(KERNELS), "run `make bench`"


@pytest.mark.parametrize("path", STORED, ids=lambda path: path.name[:12])
def test_stored_times_are_of_the_processor_and_tell_no_names(path):
    stored = json.loads(path.read_text())
    assert {b["options"]["timer"] for b in stored["benchmarks"]} == {"process_time"}
    assert all(b["options"]["disable_gc"] for b in stored["benchmarks"])
    assert set(stored["machine_info"]) == {"cpu", "system", "python", "numpy", "scipy", "torch"}
    assert set(stored["commit_info"]) == {"id", "time", "dirty"}
