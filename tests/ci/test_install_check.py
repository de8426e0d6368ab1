"""The built files are tried with the right Pythons, and what fails is told."""

from __future__ import annotations

import importlib.util
import stat
import sys
import zipfile
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
THIS = f"3.{sys.version_info.minor}"


@pytest.fixture(scope="module")
def check() -> ModuleType:
    spec = importlib.util.spec_from_file_location("install_check", ROOT / ".ci/install_check.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def dist(tmp_path: Path) -> Path:
    folder = tmp_path / "dist"
    folder.mkdir()
    with zipfile.ZipFile(folder / "rdbench-9.9.9-py3-none-any.whl", "w") as archive:
        archive.writestr("rdbench-9.9.9.dist-info/METADATA", "Name: rdbench\nVersion: 9.9.9\n")
    (folder / "rdbench-9.9.9.tar.gz").touch()
    return folder


def program(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def test_the_pythons_are_those_of_the_classifiers(check):
    assert check.supported(ROOT)[0] == "3.11"
    assert THIS in check.supported(ROOT)


def test_a_python_is_taken_by_what_it_is_not_by_its_name(check, tmp_path, monkeypatch):
    assert check.at_hand(THIS) == sys.executable
    program(tmp_path / "path/python3.99", "echo 'not chosen' >&2; exit 127")  # a shim
    monkeypatch.setenv("PATH", f"{tmp_path / 'path'}:/usr/bin:/bin")
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    assert check.at_hand("3.99") is None
    found = program(tmp_path / "versions/3.99.1/bin/python", "echo 3.99")
    assert check.at_hand("3.99") == str(found)


def test_the_version_is_that_of_the_wheel(check, dist):
    (wheel,) = dist.glob("*.whl")
    assert check.version_of(wheel) == "9.9.9"


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ("", ""),
        ("--version", "`rdbench --version` says '9.9.8'"),
        ("run", "venv/bin/rdbench run --suite discrete"),
        ("-P", "venv/bin/python -P -c import rdbench"),
        ("tar.gz", "--force-reinstall"),
    ],
)
def test_a_step_that_fails_is_named(check, dist, tmp_path, fault, told):
    """A Python that makes environments of programs which do as they are told, but for one thing."""
    fails = f'case "$*" in *{fault}*) echo why; exit 3;; esac' if fault else ""
    if fault == "--version":
        fails = ""
    said = "9.9.8" if fault == "--version" else "9.9.9"
    program(tmp_path / "does", f'{fails}\ncase "$1" in --version) echo {said};; esac')
    made = f'mkdir -p "$3/bin" && cp {tmp_path}/does "$3/bin/python" && cp {tmp_path}/does '
    python = program(tmp_path / "python", f'{made} "$3/bin/rdbench"')
    (wheel,), (sdist,) = dist.glob("*.whl"), dist.glob("*.tar.gz")
    problem = check.problem_with(str(python), wheel, sdist)
    assert told in problem
    assert bool(problem) == bool(fault)
    assert "why" in problem or fault in ("", "--version")


def test_the_exit_code_says_whether_all_that_were_tried_work(check, dist, monkeypatch, capsys):
    monkeypatch.setattr(check, "supported", lambda root: ["3.11", "3.12", "3.13"])
    monkeypatch.setattr(check, "at_hand", {"3.11": "a", "3.12": "b"}.get)
    problems = {"a": "", "b": ""}
    monkeypatch.setattr(check, "problem_with", lambda python, wheel, sdist: problems[python])
    assert check.main([str(dist)]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "Python 3.11: wheel and sdist install and run",
        "Python 3.12: wheel and sdist install and run",
        "Python 3.13: not at hand, not tried",
    ]
    problems["b"] = "`pip` failed"
    assert check.main([str(dist)]) == 1
    assert "Python 3.12: `pip` failed\n" in capsys.readouterr().out
    monkeypatch.setattr(check, "at_hand", lambda version: None)
    assert check.main([str(dist)]) == 1


def test_a_folder_without_files_is_told_in_one_line(check, tmp_path, capsys):
    assert check.main([str(tmp_path)]) == 2
    assert "one wheel and one sdist" in capsys.readouterr().err
