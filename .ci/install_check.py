"""Install the built files as a stranger does, with every supported Python, and run them.

    python .ci/install_check.py dist

For each Python that the classifiers name and that is at hand, on the path or below pyenv's folder:
a fresh environment, the wheel with its dependencies as the index has them now (no constraints),
the version, a short run, the reference run; then the same with the sdist in its place. A Python
that is not at hand is named; where one fails, or none is at hand, the exit code is 1.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_RUN = "run --suite discrete --cases bernoulli --estimators blahut_arimoto --rates 0.2"
_LOAD = "import rdbench; assert len(rdbench.load('reference').to_frame()) > 100"


def supported(root: Path) -> list[str]:
    """The Pythons that the classifiers name, as 3.11."""
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    return re.findall(r":: Python :: (3\.\d+)$", "\n".join(project["classifiers"]), re.MULTILINE)


def at_hand(version: str) -> str | None:
    """A command that runs a Python of this version."""
    return next((one for one in _candidates(version) if _is(one, version)), None)


def _candidates(version: str) -> Iterator[str]:
    yield sys.executable
    on_path = shutil.which(f"python{version}")
    if on_path:
        yield on_path
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    yield from map(str, sorted(pyenv.glob(f"versions/{version}.*/bin/python"), reverse=True))


def _is(python: str, version: str) -> bool:
    asked = "import sys; print('%d.%d' % sys.version_info[:2])"
    try:
        done = subprocess.run([python, "-c", asked], capture_output=True, text=True, check=False)
    except OSError:
        return False
    return done.stdout.strip() == version  # a shim of pyenv may name a version that is not chosen


def version_of(wheel: Path) -> str:
    """What the metadata in a wheel say."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (one for one in archive.namelist() if one.endswith(".dist-info/METADATA"))
        found = re.search(r"^Version: (.+)$", archive.read(name).decode(), re.MULTILINE)
    assert found is not None, wheel
    return found[1]


def problem_with(python: str, wheel: Path, sdist: Path) -> str:
    """Why the two cannot be installed and run; empty where they can."""
    with tempfile.TemporaryDirectory(prefix="rdbench-install-") as scratch:
        here = Path(scratch)
        command, home = here / "venv/bin/rdbench", here / "venv/bin/python"
        again = ["--no-deps", "--force-reinstall"]
        steps: list[list[str | Path]] = [[python, "-m", "venv", here / "venv"]]
        for number, (file, words) in enumerate(((wheel, []), (sdist, again))):
            results = here / f"results-{number}"
            steps += [
                [home, "-m", "pip", "install", "--quiet", "--no-compile", *words, file],
                [command, "--version"],
                [command, *_RUN.split(), "--results", results],
                [home, "-P", "-c", _LOAD],
            ]
        for step in steps:
            told, code = _output(step, here)
            if code:
                shown = " ".join(map(str, step)).replace(f"{here}/", "")
                return f"`{shown}` failed ({code}): {' / '.join(told.splitlines()[-3:])}"
            if step[-1] == "--version" and told.strip() != version_of(wheel):
                return f"`rdbench --version` says {told.strip()!r}"
    return ""


def _output(step: list[str | Path], here: Path) -> tuple[str, int]:
    """What a command prints, and its exit code, where nothing of this checkout is seen."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    env = {**kept, "PIP_CONSTRAINT": ""}
    done = subprocess.run(
        [str(word) for word in step],
        cwd=here,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return done.stdout, done.returncode


def main(arguments: list[str] | None = None) -> int:
    """A line for every supported Python; 1 if one fails or none was tried, 2 without files."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("dist", type=Path, help="the folder with the wheel and the sdist")
    dist = parser.parse_args(arguments).dist.resolve()
    wheels, sdists = list(dist.glob("*.whl")), list(dist.glob("*.tar.gz"))
    if len(wheels) != 1 or len(sdists) != 1:
        print(f"{dist} has to hold one wheel and one sdist: python -m build", file=sys.stderr)
        return 2
    tried = failed = 0
    for version in supported(ROOT):
        python = at_hand(version)
        if python is None:
            print(f"Python {version}: not at hand, not tried", flush=True)
            continue
        problem = problem_with(python, wheels[0], sdists[0])
        tried, failed = tried + 1, failed + bool(problem)
        print(f"Python {version}: {problem or 'wheel and sdist install and run'}", flush=True)
    return int(failed > 0 or tried == 0)


if __name__ == "__main__":
    sys.exit(main())
