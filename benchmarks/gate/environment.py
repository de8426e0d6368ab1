"""The interpreter of each side: the one at hand where its pins allow it, else one of its own.

A change of a pin changes what is measured as much as a change of code does; but only the pins of
what rdbench needs at run time count, not those of the tools for documentation or tests.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from benchmarks.gate.errors import Broken, last_lines
from benchmarks.gate.sides import Side

PROBE = Path(__file__).with_name("probe.py")


@dataclass(frozen=True)
class Needs:
    """The packages that a side declares it runs with."""

    dependencies: tuple[str, ...]
    pins: tuple[str, ...]
    """The pins of the dependencies and, as far as they are installed here, of theirs."""

    @property
    def met_here(self) -> bool:
        """Whether the packages of this interpreter are the ones that are asked for."""
        return all(_installed_as(Requirement(text)) for text in (*self.dependencies, *self.pins))

    @property
    def digest(self) -> str:
        """The same for the same needs and the same Python."""
        text = json.dumps([sys.version, sys.prefix, self.dependencies, self.pins])
        return hashlib.sha256(text.encode()).hexdigest()[:12]


def needs(source: Path, side: str) -> Needs:
    """Read ``pyproject.toml`` and ``constraints.txt`` of an unpacked commit.

    Raises:
        Broken: one of them cannot be read as what it is.
    """
    try:
        project = tomllib.loads((source / "pyproject.toml").read_text())["project"]
        dependencies = tuple(sorted(project["dependencies"]))
        wanted = _closure(canonicalize_name(Requirement(text).name) for text in dependencies)
        pins = []
        for raw in (source / "constraints.txt").read_text().splitlines():
            line = raw.partition("#")[0].strip()
            if line and canonicalize_name(Requirement(line).name) in wanted:
                pins.append(line)
    except (OSError, KeyError, tomllib.TOMLDecodeError, InvalidRequirement) as problem:
        raise Broken(side, "read pyproject.toml and constraints.txt", repr(problem)) from None
    return Needs(dependencies, tuple(sorted(pins)))


def interpreters(root: Path, sources: tuple[Path, Path]) -> tuple[str, str]:
    """The interpreter of BASE and of HEAD.

    Raises:
        Broken: what a side pins cannot be installed.
    """
    asked = [needs(source, side) for source, side in zip(sources, ("BASE", "HEAD"), strict=True)]
    if asked[0] == asked[1]:
        return sys.executable, sys.executable
    base, head = (
        sys.executable if one.met_here else _environment(root, side, source, one)
        for one, source, side in zip(asked, sources, ("BASE", "HEAD"), strict=True)
    )
    return base, head


def _probe(side: Side, what: str) -> subprocess.CompletedProcess[str]:
    """Run ``probe.py packages`` or ``probe.py rdbench`` as this side."""
    return subprocess.run(
        [side.python, "-P", str(PROBE), what],
        cwd=side.work,
        env=side.environ,
        capture_output=True,
        text=True,
        check=False,
    )


def check_packages(side: Side) -> dict[str, str]:
    """The versions of Python, NumPy, SciPy and torch, once a small calculation came out right.

    Raises:
        Broken: it did not; no commit is to blame for that.
    """
    done = _probe(side, "packages")
    if done.returncode != 0:
        said = last_lines(done.stderr) or f"exit code {done.returncode}"
        raise Broken(side.name, f"probe of the packages in {side.python}", said)
    versions: dict[str, str] = json.loads(done.stdout)
    return versions


def import_problem(side: Side) -> str | None:
    """Why this side's own code cannot be imported, or None.

    A package of others that is missing is the environment's fault where this commit asks for
    something that is not installed, and the commit's own where it does not ask for it.

    Raises:
        Broken: a package that it asks for is missing, or another rdbench answers.
    """
    done = _probe(side, "rdbench")
    if done.returncode == 4:
        if side.python == sys.executable and not needs(side.source, side.name).met_here:
            step = f"import rdbench in {side.python}: a package that it asks for is not installed"
            raise Broken(side.name, step, last_lines(done.stderr, 2))
        said = last_lines(done.stderr, 1)
        return f"{said} (everything that its pyproject.toml asks for is installed)"
    if done.returncode != 0:
        return last_lines(done.stderr, 3) or f"the interpreter ended with {done.returncode}"
    found = Path(json.loads(done.stdout)["file"]).resolve()
    if not found.is_relative_to(side.source.resolve()):
        raise Broken(side.name, "import rdbench", f"another one was imported: {found}")
    return None


def _environment(root: Path, side: str, source: Path, asked: Needs) -> str:
    """A virtual environment with what is asked for, made once."""
    target = root / ".asv" / "gate" / f"env-{asked.digest}"
    python = target / "bin" / "python"
    if python.exists():
        return str(python)
    target.parent.mkdir(parents=True, exist_ok=True)
    print(f"{side}: other pins than here; installing them into .asv/gate/{target.name}", flush=True)
    new = Path(tempfile.mkdtemp(dir=target.parent, prefix="env-new-"))
    try:
        _call(
            side, "make an environment", [sys.executable, "-m", "venv", "--without-pip", str(new)]
        )
        pip = [sys.executable, "-m", "pip", "--python", str(new / "bin" / "python"), "install"]
        quiet = ["-q", "--disable-pip-version-check", "-c", str(source / "constraints.txt")]
        _call(side, "pip install", [*pip, *quiet, *asked.dependencies])
        new.rename(target)
    finally:
        shutil.rmtree(new, ignore_errors=True)
    return str(python)


def _call(side: str, step: str, command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Broken(side, step, last_lines(done.stdout + done.stderr))


def _installed_as(asked: Requirement) -> bool:
    if asked.marker is not None and not asked.marker.evaluate():
        return True
    try:
        version = metadata.version(asked.name)
    except metadata.PackageNotFoundError:
        return False
    return asked.specifier.contains(version, prereleases=True)


def _closure(names: Iterable[str]) -> set[str]:
    """The packages and what they in turn require, as far as they are installed here."""
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found.add(name)
        try:
            required = metadata.requires(name) or []
        except metadata.PackageNotFoundError:
            continue
        for text in required:
            one = Requirement(text)
            if one.marker is None or one.marker.evaluate({"extra": ""}):
                waiting.append(canonicalize_name(one.name))
    return found
