"""Every command that the documents print runs, at toy size, and does not fail."""

from __future__ import annotations

import functools
import glob
import importlib
import importlib.util
import json
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer

from rdbench.cli import main
from rdbench.cli.commands import app

ROOT = Path(__file__).resolve().parent.parent
EXAMPLE = ROOT / "examples" / "rdbench-kmeans"
PAGES = [
    ROOT / "README.md",
    ROOT / "PYPI.md",
    ROOT / "CONTRIBUTING.md",
    EXAMPLE / "README.md",
    *sorted((ROOT / "benchmarks").rglob("README.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", flags=re.MULTILINE | re.DOTALL)
FILE = re.compile(r"^<!-- file: (\S+py) -->\n```\w+\n(.*?)^```", flags=re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`((?:rdbench|make) [^`]+)`")

NOT_RUN = {
    r"(\.venv/bin/)?pip install": "changes the machine; tests/test_packaging.py installs the wheel",
    r"docker ": "needs a container engine; tests/test_container.py reads the Containerfile",
    r"python -m venv|\. \.venv/bin/activate|export ": "prepares a shell",
    r"git |asv |\.ci/run": "needs the history, or takes an hour; .ci/run runs the suites of asv",
    r"rdbench certify --suite all --out": "recomputes every table; another command recomputes one",
}
"""Commands that are not run here, and why."""

TOY = {
    "run": ["--dry-run", "--results", "scratch"],
    "paper": ["--dry-run"],
    "check": ["--only", "protocol", "--effort", "0.02"],
    "report": ["--results", "rdbench-results"],
    "table": ["--results", "rdbench-results"],
    "answer": [],
    "figure": [],
    "list": [],
    "info": [],
    "export": [],
    "merge": [],
    "verify": ["--cases", "scalar-two-modes"],
}
"""Arguments that make a command of that name small; ``certify`` has a rule of its own."""


def shown(page: Path) -> Iterator[str]:
    """The commands in the blocks of a page, continued lines joined, without comments."""
    for language, block in FENCE.findall(page.read_text()):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True) if language == "console" else []
            if words:
                yield shlex.join(words).replace("'&&'", "&&").replace("'|'", "|")
            assert language or not re.match(r"\W*(rdbench|make|python|asv|pip) ", line), line


COMMANDS = sorted({command for page in PAGES for command in shown(page)})


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the commands need: records, estimators in files, two plug-ins."""
    here = tmp_path_factory.mktemp("world")
    results = here / "rdbench-results"
    results.mkdir()
    with (ROOT / "results" / "reference" / "records.jsonl").open() as lines:
        kept = [line for line in lines if json.loads(line)["case"] == "ramp-d2"]
    (results / "records.jsonl").write_text("".join(kept))
    for machine in ("machine-a", "machine-b", "parts/1", "parts/2"):
        shutil.copytree(results, here / machine)

    (here / "points").mkdir()
    for name in ("codec", "points/gaussian", "points/digits"):
        (here / f"{name}.csv").write_text("name,rate,distortion\nmine,1.5,0.14\nmine,1,0.28\n")

    shutil.copytree(EXAMPLE / "src", here / "src")
    estimator = (here / "src" / "rdbench_kmeans" / "__init__.py").read_text()
    mine = estimator.replace("class KMeans", "class MyEstimator")
    (here / "my_package").mkdir()
    (here / "my_package" / "my_module.py").write_text(mine)
    (here / "my_file.py").write_text(mine)
    (here / "rdbench_smoothed").mkdir()
    for name, text in FILE.findall((ROOT / "docs" / "extend.md").read_text()):
        (here / name).write_text(text)

    np.save(here / "x.npy", np.random.default_rng(0).normal(size=(200, 2)))

    installed = here / "plug_ins-0.1.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: plug-ins\nVersion: 0.1\n")
    (installed / "entry_points.txt").write_text(
        "[rdbench.estimators]\nkmeans = src.rdbench_kmeans:KMeans\nmine = my_file:MyEstimator\n"
        "[rdbench.suites]\nsmoothed = rdbench_smoothed.suite:SUITE\n"
    )
    return here


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_that_is_shown_runs(
    command: str, world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if any(re.match(pattern, command) for pattern in NOT_RUN):
        return
    monkeypatch.chdir(world)
    monkeypatch.syspath_prepend(str(world))
    run(command)


def run(command: str) -> None:
    """Run one command at toy size; one that no rule covers fails."""
    program, *rest = shlex.split(command.removeprefix(".venv/bin/"))
    match program:
        case "rdbench":
            files = [sorted(glob.glob(word)) or [word] for word in rest]  # as a shell does
            assert exit_code(small([name for found in files for name in found])) == 0, command
        case "dask":
            # Serves for ever: its options are there, and no more is asked.
            served = importlib.import_module(f"distributed.cli.dask_{rest[0]}")
            served.main.make_context(command, rest[1:])
        case "make":
            for line in recipe(rest):
                if not any(re.match(pattern, line) for pattern in NOT_RUN):
                    run(line)
        case "python" if rest[0] == "-m":
            assert importlib.util.find_spec(rest[1]) is not None, command
        case "python":
            assert (ROOT / rest[0]).is_file(), command
        case _:
            pytest.fail(f"neither run nor among the exceptions: {command}")


@functools.cache
def exit_code(arguments: tuple[str, ...]) -> int:
    """The exit code; two commands that are the same at toy size run once."""
    return main(arguments)


def small(arguments: list[str]) -> tuple[str, ...]:
    """The arguments of ``rdbench`` with what makes the command small; the last option wins."""
    name, *_ = arguments
    few = ["--cases", "scalar?*"] if "all" in arguments and "--suite" in arguments else []
    if name == "certify":
        return (*arguments, *(["--sample", "1", *few] if "--check" in arguments else []))
    toy = [] if set(TOY[name]) <= set(arguments) else TOY[name]
    return (*arguments, *toy, *few)


def recipe(target: list[str]) -> list[str]:
    """The commands of rdbench that a target of the Makefile would run."""
    done = subprocess.run(
        ["make", "-n", "-C", str(ROOT), *target], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    lines = (line.strip() for line in done.stdout.replace("\\\n", " ").splitlines())
    return [line.removeprefix(".venv/bin/") for line in lines if line.startswith(".venv/bin/rdb")]


def test_the_main_commands_are_among_them() -> None:
    assert {"make run", "make test"} < set(COMMANDS)
    assert any(line.startswith("rdbench run --suite vector_gaussian") for line in recipe(["run"]))


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_commands_in_the_text_exist(page: Path) -> None:
    group: Any = typer.main.get_command(app)
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for inline in INLINE.findall(FENCE.sub("", page.read_text())):
        program, name, *rest = inline.split()
        if program == "make":
            assert name in targets, inline
        elif name in group.commands:
            options = {o for p in group.commands[name].params for o in p.opts}
            for word in rest:
                assert not word.startswith("--") or word.split("=")[0] in options, inline
        else:
            assert name in ("COMMAND", "--help", "--version", "--install-completion"), inline
