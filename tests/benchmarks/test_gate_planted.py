"""The gate on real faults, planted in a copy of the repository; run with `make gate-check`."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.gate

ACCURACY = (
    "estimators/mixture_em.py",
    "        q = observed.deconvolved(noise)\n",
    "        q = observed.deconvolved(noise)\n"
    "        q = GaussianMixture(q.weights, q.means, 1.5 * q.covs)\n",
)
NOTED = (
    "        z, c = _apply(kernel, p, w)\n        largest = c.max()\n        if history:\n"
    "            watch.note(_free_energy(kernel, p, z), float(np.log(largest)))\n"
    "        if largest < limit:"
)
SLOW_KERNEL = (  # every second application of the kernel is made once more: half as long again
    "rdbench/inference/finite.py",
    "    while watch.tick():\n" + NOTED,
    "    again = False\n    while watch.tick():\n        again = not again\n        if again:\n"
    "            _apply(kernel, p, w)\n" + NOTED,
)
FAILING = (
    "estimators/mixture_em.py",
    "        def channels() -> list[TestChannel]:\n",
    "        raise ArithmeticError('planted')\n\n        def channels() -> list[TestChannel]:\n",
)
SLOW_FIT = (
    "estimators/mixture_em.py",
    "        def channels() -> list[TestChannel]:\n",
    "        import time\n\n        end = time.process_time() + 0.6\n"
    "        while time.process_time() < end:\n            pass\n\n"
    "        def channels() -> list[TestChannel]:\n",
)


@pytest.fixture
def clone(tmp_path):
    """A repository of its own with what is in the working tree, as one commit."""
    root = tmp_path / "clone"
    root.mkdir()
    for name in ("rdbench", "estimators", "suites", "benchmarks"):
        shutil.copytree(
            ROOT / name, root / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__")
        )
    for name in ("pyproject.toml", "constraints.txt", ".gitignore"):
        shutil.copy(ROOT / name, root / name)
    git(root, "init", "-q", "-b", "main")
    git(root, "add", "--all")
    git(root, "commit", "-q", "-m", "all")
    return root


def git(root: Path, *arguments: str) -> None:
    who = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", "-C", str(root), *who, *arguments], check=True)


def plant(root: Path, path: str, before: str, after: str) -> None:
    text = (root / path).read_text()
    assert text.count(before) == 1, "the place of the planted fault has changed"
    (root / path).write_text(text.replace(before, after))


def gate(root: Path, *arguments: str) -> tuple[int, dict[str, str]]:
    """The exit code, and the verdicts by metric."""
    found = root.parent / "found.json"
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.gate", *arguments, "--json", str(found)],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"},
        check=False,
    )
    rows = json.loads(found.read_text())["findings"]
    return done.returncode, {row["metric"]: row["verdict"] for row in rows}


def test_a_planted_accuracy_fault_is_caught(clone):
    plant(clone, *ACCURACY)
    code, found = gate(clone, "HEAD", "--accuracy-only", "--only", "paper-d2/mixture_em")
    assert code == 1
    assert found["gap/paper-d2/mixture_em/high"] == "worse"


def test_a_planted_slow_down_is_caught_and_only_there(clone):
    plant(clone, *SLOW_KERNEL)
    code, found = gate(clone, "HEAD", "--only", "kernel/ba_dense_500,kernel/em_step")
    assert code == 1
    assert found == {"kernel/ba_dense_500": "slower", "kernel/em_step": "ok"}


def test_a_fit_that_takes_longer_is_caught(clone):
    plant(clone, *SLOW_FIT)
    code, found = gate(clone, "HEAD", "--only", "paper-d2/mixture_em")
    assert code == 1
    assert found.pop("fit/paper-d2/mixture_em") == "slower"
    assert set(found.values()) == {"ok"}


def test_an_estimator_that_fails_now_is_caught(clone):
    plant(clone, *FAILING)
    code, found = gate(clone, "HEAD", "--only", "random-500,gap/paper-d2/mixture_em")
    assert code == 1
    assert {k for k, v in found.items() if v == "fails now"} == {
        f"gap/paper-d2/mixture_em/{band}" for band in ("low", "middle", "high")
    }


def test_equal_commits_are_quiet(clone):
    metrics = "paper-d2/mixture_em,kernel/ba_dense_500,start/list"
    code, found = gate(clone, "HEAD", "HEAD", "--independent-seeds", "--only", metrics)
    assert code == 0
    assert set(found.values()) <= {"ok", "suspected"}


def test_the_whole_gate_finds_both_faults(clone):
    plant(clone, *ACCURACY)
    plant(clone, *SLOW_KERNEL)
    code, found = gate(clone, "HEAD")
    assert code == 1
    assert found["gap/paper-d2/mixture_em/high"] == "worse"
    assert found["kernel/ba_dense_500"] == "slower"
    clean = {k: v for k, v in found.items() if "/wgd" in k or k.startswith("start/")}
    assert set(clean.values()) <= {"ok", "suspected"}
