"""The folder benchmarks/ is not installed: its modules are found from the repository's root.

What is stored of times is what a comparison needs: no host name, no folder.
"""

from __future__ import annotations

import os
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from benchmarks._cases import pinned  # noqa: E402
from benchmarks._kernel import keep_memory  # noqa: E402


def pytest_configure(config: pytest.Config) -> None:
    """Time the package as users run it, on one thread.

    The shape checks of the tests, even switched off, doubled the time of the interior point.
    """
    if not config.getoption("benchmark_only", default=False):
        return
    if any(type(finder).__module__.startswith("jaxtyping") for finder in sys.meta_path):
        raise pytest.UsageError(
            "times are measured without the shape checks of tests/conftest.py: add "
            "--confcutdir=tests/benchmarks, as `make bench` does"
        )
    stored = Path(str(config.getoption("benchmark_storage")).removeprefix("file://"))
    if config.getoption("benchmark_compare") and not any(stored.glob("*/*.json")):
        raise pytest.UsageError(f"nothing is stored in {stored} to compare with")
    os.environ.update(pinned())
    keep_memory()


def pytest_benchmark_compare_machine_info(
    config: pytest.Config, machine_info: dict[str, Any], compared_benchmark: dict[str, Any]
) -> None:
    """Times of another machine, or of other versions of what does the work, say nothing."""
    then = compared_benchmark["machine_info"]
    if other := [name for name, now in machine_info.items() if then.get(name) != now]:
        raise pytest.UsageError(
            f"the stored times were taken with another {', '.join(other)}: store some of the state "
            "before the change on this machine (results/pytest-benchmark/README.md)"
        )


def pytest_benchmark_update_machine_info(
    config: pytest.Config, machine_info: dict[str, Any]
) -> None:
    """The facts that times depend on, and nothing that tells whose machine it is."""
    cpu = machine_info["cpu"]
    known = {
        "cpu": {name: cpu.get(name) for name in ("brand_raw", "arch", "count")},
        "system": machine_info["system"],
        "python": machine_info["python_version"],
        **{name: metadata.version(name) for name in ("numpy", "scipy", "torch")},
    }
    machine_info.clear()
    machine_info.update(known)


def pytest_benchmark_update_commit_info(config: pytest.Config, commit_info: dict[str, Any]) -> None:
    """The commit, when it was made, and whether the tree was dirty."""
    for name in set(commit_info) - {"id", "time", "dirty"}:
        del commit_info[name]
