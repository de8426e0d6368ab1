"""A kernel that a commit lacks is not available; a package that is missing is an error."""

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks._kernel import prepares
from benchmarks.gate.sides import ONE_HEAP


def importing(line):
    def prepare():
        exec(line)

    return prepares(prepare)


@pytest.mark.parametrize(
    "line", ["import rdbench.no_such_module", "from rdbench.types import no_such_name"]
)
def test_a_module_or_a_name_that_rdbench_lacks_is_not_available(line):
    with pytest.raises(NotImplementedError, match="no such kernel"):
        importing(line)()


def test_a_broken_environment_stays_an_error(monkeypatch):
    with pytest.raises(ModuleNotFoundError, match="no_such_package"):
        importing("import no_such_package")()
    with pytest.raises(ZeroDivisionError):
        importing("1 / 0")()
    monkeypatch.setitem(sys.modules, "rdbench", None)
    with pytest.raises(ModuleNotFoundError, match="rdbench"):
        importing("import rdbench")()


CYCLES = """
import resource
faults = []
for _ in range(10):  # the first few still find their places
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    held = [b"x" * (20 << 20) for _ in range(3)]
    del held
    faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
print(min(faults))
"""
KEEP = "from benchmarks._kernel import keep_memory; keep_memory()"


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="an allocator of its own")
@pytest.mark.parametrize(("first", "environ"), [(KEEP, {}), ("", ONE_HEAP)], ids=["call", "gate"])
def test_memory_that_is_freed_is_kept(first, environ):
    """60 MB are 15000 pages: given back, each costs a fault in every round."""
    done = subprocess.run(
        [sys.executable, "-c", first + CYCLES],
        cwd=Path(__file__).parents[2],
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(done.stdout) < 1000
