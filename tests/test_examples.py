"""The example of a plug-in: what the tutorial shows is what is installed, checked and run."""

from __future__ import annotations

import ast
import importlib
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

from rdbench.check import assert_conforms

ROOT = Path(__file__).resolve().parent.parent
EXAMPLE = ROOT / "examples" / "rdbench-kmeans"
MODULE = EXAMPLE / "src" / "rdbench_kmeans" / "__init__.py"


def test_the_tutorial_shows_the_files_of_the_example() -> None:
    blocks = re.findall(
        r"```(\w+)\n(.*?)```", (ROOT / "docs" / "your-estimator.md").read_text(), flags=re.DOTALL
    )
    code = [text for language, text in blocks if language == "python"]
    assert code[0] == MODULE.read_text()
    tail = (EXAMPLE / "tests" / "test_kmeans.py").read_text().split('"""\n\n', 1)[1]
    assert code[1] == tail
    (registration,) = (text for language, text in blocks if language == "toml")
    assert registration in (EXAMPLE / "pyproject.toml").read_text()


def test_it_is_thirty_lines() -> None:
    """The statements of ``fit`` as they are formatted, without its signature, docstring, blanks."""
    text = MODULE.read_text()
    (cls,) = (node for node in ast.parse(text).body if isinstance(node, ast.ClassDef))
    (fit,) = (node for node in cls.body if isinstance(node, ast.FunctionDef))
    body = fit.body[1:]
    lines = text.splitlines()[body[0].lineno - 1 : body[-1].end_lineno]
    assert len([line for line in lines if line.strip()]) <= 32


def test_the_example_conforms(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(MODULE.parent.parent))
    assert_conforms(importlib.import_module("rdbench_kmeans").KMeans)


def _call(*command: object, cwd: Path) -> str:
    """Run a command that sees nothing of this process's import path."""
    env = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.wheel
def test_it_is_installed_beside_rdbench_and_found(tmp_path: Path) -> None:
    """Both are built from copies; the dependencies, not the packages, are borrowed."""
    unwanted = shutil.ignore_patterns(
        ".*", "__pycache__", "build", "dist", "*.egg-info", "rdbench-results"
    )
    rdbench = tmp_path / "rdbench"
    shutil.copytree(ROOT, rdbench, symlinks=True, ignore=unwanted)
    plugin = rdbench / "examples" / "rdbench-kmeans"
    for project in (rdbench, plugin):
        _call(sys.executable, "-m", "build", "--wheel", project, cwd=tmp_path)
    wheels = [next((project / "dist").glob("*.whl")) for project in (rdbench, plugin)]

    environment = tmp_path / "venv"
    venv.create(environment, with_pip=True)
    python = environment / "bin" / "python"
    purelib = _call(
        python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=tmp_path
    )
    # A plain path line: .pth files there, such as that of an editable rdbench, are not read.
    borrowed = Path(purelib.strip()) / "borrowed.pth"
    borrowed.write_text(sysconfig.get_path("purelib") + "\n")
    _call(python, "-m", "pip", "install", "--no-deps", "--no-index", *wheels, cwd=tmp_path)

    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    command = python.parent / "rdbench"
    assert "kmeans" in _call(command, "list", cwd=elsewhere)
    assert "rdbench-kmeans" in _call(command, "info", "kmeans", cwd=elsewhere)
    assert " 0 failed" in _call(command, "check", "kmeans", cwd=elsewhere)
    run = ("run", "--suite", "scalar", "--cases", "gaussian-far", "--rates", "1")
    out = _call(
        command, *run, "--estimators", "kmeans[atoms=32]", "--budget", "quick", cwd=elsewhere
    )
    assert re.search(r"gaussian-far\s+kmeans", out), out
    tests = plugin / "tests"
    _call(python, "-m", "pytest", "-q", "-p", "no:cacheprovider", tests, cwd=elsewhere)
