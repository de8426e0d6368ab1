"""The built and installed files are the whole package and nothing else."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.wheel

ROOT = Path(__file__).resolve().parent.parent
MAPPED = {
    "estimators": "rdbench/estimators",
    "suites": "rdbench/suites",
    "papers": "rdbench/papers",
}


def call(*command: object, cwd: Path, check: bool = True) -> subprocess.CompletedProcess[str]:
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
    assert not check or done.returncode == 0, done.stdout + done.stderr
    return done


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the source: a build writes into its tree, and old builds must not leak in."""
    copy = tmp_path_factory.mktemp("tree") / "rdbench"
    unwanted = shutil.ignore_patterns(
        ".*", "__pycache__", "build", "dist", "*.egg-info", "rdbench-results"
    )
    shutil.copytree(ROOT, copy, symlinks=True, ignore=unwanted)
    return copy


@pytest.fixture(scope="module")
def dist(tree: Path) -> Path:
    """The sdist, and the wheel that is built from it."""
    call(sys.executable, "-m", "build", tree, cwd=tree.parent)
    return tree / "dist"


@pytest.fixture(scope="module")
def wheel(dist: Path) -> Path:
    (found,) = dist.glob("*.whl")
    return found


def modules_of(tree: Path) -> set[str]:
    """The modules that an installation must have, by walking the source."""
    own = {
        path.relative_to(tree).as_posix()
        for path in (tree / "rdbench").rglob("*.py")
        if not any(path.is_relative_to(tree / link) for link in MAPPED.values())
    }
    mapped = {
        f"{target}/{path.relative_to(tree / folder).as_posix()}"
        for folder, target in MAPPED.items()
        for path in (tree / folder).rglob("*.py")
    }
    return own | mapped


def fresh_environment(folder: Path) -> Path:
    """A new environment that borrows the dependencies, not the package, of this one."""
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    purelib = call(
        python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=folder
    )
    # A plain path line: .pth files there, such as that of an editable rdbench, are not read.
    borrowed = Path(purelib.stdout.strip()) / "borrowed.pth"
    borrowed.write_text(sysconfig.get_path("purelib") + "\n")
    return python


TRUTH = """
from rdbench import registry
from rdbench.references.certified import Bounded
Bounded.solve = None  # the tables answer
for name in ("discrete", "scalar", "planar", "heavy_tailed"):
    for case in registry.load_suite(name).cases():
        for rate in case.rates:
            case.reference.point(case.reference.slope(rate))
"""


def check_installation(python: Path, elsewhere: Path, home: Path) -> None:
    """The command works, from ``home``, and no other package came along."""
    elsewhere.mkdir()
    listed = call(python.parent / "rdbench", "list", cwd=elsewhere).stdout
    for name in ("vector_gaussian", "blahut_arimoto", "ebrd"):
        assert name in listed
    where = (
        "import rdbench.estimators.ebrd as e, rdbench; print(rdbench.__file__); print(e.__file__)"
    )
    for line in call(python, "-P", "-c", where, cwd=elsewhere).stdout.splitlines():
        assert Path(line).resolve().is_relative_to(home.resolve()), line
    call(python, "-P", "-c", TRUTH, cwd=elsewhere)
    loaded = "import rdbench; print(len(rdbench.load('reference').records))"
    assert int(call(python, "-P", "-c", loaded, cwd=elsewhere).stdout) > 100
    for name in MAPPED:
        stray = call(python, "-P", "-c", f"import {name}", cwd=elsewhere, check=False)
        assert stray.returncode != 0
        assert f"No module named '{name}'" in stray.stderr


def test_the_wheel_holds_every_module_and_nothing_else(wheel: Path, tree: Path):
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {name for name in names if name.endswith(".py")} == modules_of(tree)
    assert "rdbench/py.typed" in names
    tables = {path.name for path in (tree / "rdbench/references/data").glob("*.json")}
    assert len(tables) >= 10
    shipped = {name for name in names if name.endswith(".json")}
    assert shipped == {f"rdbench/references/data/{name}" for name in tables}
    assert [name for name in names if name.endswith(".xz")] == [
        "rdbench/shipped/reference.jsonl.xz"
    ]
    data = [
        path for ending in ("toml", "md", "csv") for path in (tree / "papers").rglob(f"*.{ending}")
    ]
    assert len(data) >= 7
    for path in data:
        assert f"rdbench/{path.relative_to(tree).as_posix()}" in names
    assert {name.split("/")[0] for name in names} == {"rdbench", f"{_stem(wheel)}.dist-info"}


def test_the_walk_sees_the_packages_of_the_layout(tree: Path):
    # Guards the test above: a walk that misses a folder would not miss it in the wheel.
    modules = modules_of(tree)
    for package in ("", "sources/", "references/", "inference/", "audit/", "run/", "report/"):
        assert f"rdbench/{package}__init__.py" in modules
    assert {"rdbench/estimators/mixture_em.py", "rdbench/estimators/nerd/channel.py"} <= modules
    assert {"rdbench/papers/ebrd/__init__.py", "rdbench/suites/vector_gaussian.py"} <= modules


def test_the_wheel_carries_licence_command_and_version(wheel: Path):
    archive = zipfile.ZipFile(wheel)
    info = f"{_stem(wheel)}.dist-info"
    assert "MIT License" in archive.read(f"{info}/licenses/LICENSE").decode()
    notice = archive.read(f"{info}/licenses/DATA_LICENSES.md").decode()
    assert notice == (ROOT / "DATA_LICENSES.md").read_text()
    assert "rdbench = rdbench.cli:main" in archive.read(f"{info}/entry_points.txt").decode()
    assert archive.read(f"{info}/top_level.txt").decode().split() == ["rdbench"]
    metadata = archive.read(f"{info}/METADATA").decode()
    assert f"Version: {_stem(wheel).partition('-')[2]}\n" in metadata
    assert metadata.partition("\n\n")[2].strip() == (ROOT / "PYPI.md").read_text().strip()
    assert f"version: {_stem(wheel).partition('-')[2]}\n" in (ROOT / "CITATION.cff").read_text()


def _stem(wheel: Path) -> str:
    return "-".join(wheel.name.split("-")[:2])


def test_the_sdist_builds_the_same_and_keeps_the_layout(dist: Path, tree: Path):
    (sdist,) = dist.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"pyproject.toml", "LICENSE"} <= names
    for folder in MAPPED:
        held = (path.relative_to(tree).as_posix() for path in (tree / folder).rglob("*.py"))
        assert set(held) <= names


def test_an_installed_wheel_works(wheel: Path, tmp_path: Path):
    python = fresh_environment(tmp_path / "venv")
    call(python, "-m", "pip", "install", "--no-deps", "--no-index", wheel, cwd=tmp_path)
    check_installation(python, tmp_path / "elsewhere", tmp_path / "venv")


def test_an_editable_installation_works(tree: Path, tmp_path: Path):
    python = fresh_environment(tmp_path / "venv")
    call(python, "-m", "pip", "install", "--no-deps", "--editable", tree, cwd=tmp_path)
    check_installation(python, tmp_path / "elsewhere", tree)


def test_every_installed_package_is_pinned_exactly():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert len(pins) > 20
    for pin in pins:
        name, equals, version = pin.partition("==")
        assert equals, pin
        assert name
        assert "+" not in version, pin  # a local build is to be had from one index alone
