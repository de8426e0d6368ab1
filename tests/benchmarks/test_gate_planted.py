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

PLANTED = """


def _plant(honest=ESTIMATOR.fit):
    def fit(self, view, betas, generator, monitor):
{}

    ESTIMATOR.fit = fit


_plant()
"""
ACCURACY = """\
        from dataclasses import replace
        from math import log

        from rdbench.types import Density

        for channel in honest(self, view, betas, generator, monitor):
            q = channel.marginal
            wide = Density(
                lambda n, g, q=q: 1.5**0.5 * q.sample(n, g),
                lambda y, q=q: q.log_prob(y / 1.5**0.5) - 0.5 * y.shape[1] * log(1.5),
            )
            yield replace(channel, marginal=wide)
"""
SLOW_FIT = """\
        import time

        end = time.process_time() + 0.6
        while time.process_time() < end:
            pass
        yield from honest(self, view, betas, generator, monitor)
"""
FAILING = """\
        raise ArithmeticError("planted")
        yield
"""


@pytest.fixture
def clone(tmp_path):
    """A repository of its own with what is in the working tree, as one commit."""
    root = tmp_path / "clone"
    root.mkdir()
    for name in ("rdbench", "estimators", "suites", "papers", "benchmarks"):
        if not (ROOT / name).exists():
            continue
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


def plant(root: Path, fault: str) -> None:
    """Wrap the fit of `mixture_em`."""
    path = root / "estimators" / "mixture_em.py"
    path.write_text(path.read_text() + PLANTED.format(fault))


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
    plant(clone, ACCURACY)
    code, found = gate(clone, "HEAD", "--only", "gap/paper-d2/mixture_em")
    assert code == 1
    assert found["gap/paper-d2/mixture_em/high"] == "worse"


def test_a_fit_that_takes_longer_is_caught(clone):
    plant(clone, SLOW_FIT)
    code, found = gate(clone, "HEAD", "--only", "paper-d2/mixture_em")
    assert code == 1
    assert found.pop("fit/paper-d2/mixture_em") == "slower"
    assert set(found.values()) == {"ok"}


def test_an_estimator_that_fails_now_is_caught(clone):
    plant(clone, FAILING)
    code, found = gate(clone, "HEAD", "--only", "random-500,gap/paper-d2/mixture_em")
    assert code == 1
    assert {k for k, v in found.items() if v == "fails now"} == {
        f"gap/paper-d2/mixture_em/{band}" for band in ("low", "middle", "high")
    }


def test_equal_commits_are_quiet(clone):
    code, found = gate(
        clone, "HEAD", "HEAD", "--independent-seeds", "--only", "paper-d2/mixture_em"
    )
    assert code == 0
    assert set(found.values()) <= {"ok", "suspected"}


def test_the_whole_gate_finds_both_faults(clone):
    plant(clone, ACCURACY)
    plant(clone, SLOW_FIT)
    code, found = gate(clone, "HEAD")
    assert code == 1
    assert found["gap/paper-d2/mixture_em/high"] == "worse"
    assert found["fit/paper-d2/mixture_em"] == "slower"
    clean = {verdict for metric, verdict in found.items() if "mixture_em" not in metric}
    assert clean <= {"ok", "suspected"}
