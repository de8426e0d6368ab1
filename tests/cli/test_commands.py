"""The command line's small commands: quick, and plain about what is wrong."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import typing
from pathlib import Path
from typing import Any

import pytest
import typer

import rdbench
from rdbench.cli import main, parse
from rdbench.cli.commands import app
from rdbench.cli.options import COMMANDS
from rdbench.types import RdbenchError
from rdbench.version import __version__

HOME = Path(rdbench.__file__).parent.parent


HEAVY = {"torch", "numpy", "pandas", "matplotlib", "scipy"}
_LISTING = (
    "import sys; from rdbench.cli import main; code = main(sys.argv[1:]); "
    "print(*sys.modules, file=sys.stderr); sys.exit(code)"
)


@pytest.mark.parametrize(
    ("args", "not_imported"),
    [
        (["--help"], HEAVY),
        (["list"], HEAVY),
        (["list", "estimators"], HEAVY),
        (["run", "--help"], HEAVY),
        (["table"], {"torch", "matplotlib"}),
        (["table", "--against", "e"], {"torch", "matplotlib"}),
        (["export"], {"torch", "matplotlib"}),
        (["merge", "--into", "merged"], {"torch", "pandas"}),
    ],
)
def test_a_command_imports_only_what_it_needs(results: Path, args, not_imported):
    if args[0] in ("table", "export"):
        args = [*args, "--results", str(results)]
    elif args[0] == "merge":
        args = [*args, str(results)]
    done = subprocess.run(
        [sys.executable, "-c", _LISTING, *args],
        capture_output=True, text=True, cwd=results.parent, check=False,
        env={**os.environ, "PYTHONPATH": str(HOME)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert not_imported.isdisjoint(done.stderr.split())
    assert done.stdout


GROUP: Any = typer.main.get_command(app)


@pytest.mark.parametrize("name", list(GROUP.commands))
def test_every_command_explains_itself(capsys: pytest.CaptureFixture[str], name: str) -> None:
    assert main([name, "-h"]) == 0
    short = capsys.readouterr().out
    assert short.startswith(f"Usage: rdbench {name}")
    assert main([name, "--help"]) == 0
    assert capsys.readouterr().out == short


@pytest.mark.parametrize(("name", "kind"), COMMANDS.items())
def test_the_module_of_a_command_takes_its_options(name: str, kind: type) -> None:
    module = importlib.import_module(f"rdbench.cli.{name}")
    types = typing.get_type_hints(module.execute)
    assert (types["options"], types["return"]) == (kind, int)


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("rdbench run --suite scalar,vec", "scalar,vector_gaussian"),
        ("rdbench run --estimators bl", "blahut_arimoto"),
        ("rdbench info vec", "vector_gaussian"),
        ("rdbench mer", "merge"),
    ],
)
def test_the_shell_completes_commands_and_names(monkeypatch, capsys, words, offered):
    monkeypatch.setenv("_RDBENCH_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", words)
    monkeypatch.setenv("COMP_CWORD", str(len(words.split()) - 1))
    with pytest.raises(SystemExit):
        main([])
    assert offered in capsys.readouterr().out.split()


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["--version"], (f"{__version__}\n",)),
        (["run", "--help"], ("wgd[particles=4000]",)),  # the brackets are shown
        (["list", "suites"], ("vector_gaussian  ", "Rotated Gaussian vectors")),
        (["list", "cases"], ("vector_gaussian/ramp-d10",)),
        (
            ["info", "vector_gaussian"],
            ("version 1", "dimensions: 1 to 1000", "ramp-d5", "closed form", "rates (nats)"),
        ),
        (
            ["info", "wgd+lower"],
            ("estimator wgd+lower", "the lower bound 1/Z of", "particles"),
        ),
        (
            ["info", "blahut_arimoto"],
            (
                "solver",
                "interior_point | squarem | ba",
                "paper",
                "density",
                "citation",
                "largest_error: float = 0.01\n      Discretisation error in nats with which",
            ),
        ),
    ],
)
def test_what_is_shown(capsys: pytest.CaptureFixture[str], args: list[str], words) -> None:
    assert main(args) == 0
    out = capsys.readouterr().out
    assert [word for word in words if word not in out] == []


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["info", "vector_gausian"], "did you mean vector_gaussian?"),
        (["list", "suits"], "suites, estimators or cases"),
        (["export", "--results", "/nowhere/at/all"], "no results in /nowhere/at/all"),
        (["table", "--results", "/nowhere/at/all"], "no results in /nowhere/at/all"),
        (["merge", "/nowhere/at/all", "--into", "/nowhere/else"], "no results in /nowhere/at/all"),
        (["runn"], "run"),
        (["run"], "--suite"),
        (["run", "--suite", "scalar", "--jobs", "many"], "--jobs"),
        (["run", "--nope"], "--nope"),
    ],
)
def test_bad_words_get_one_line_and_exit_code_two(
    capsys: pytest.CaptureFixture[str], args: list[str], says: str
) -> None:
    assert main(args) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("rdbench: ")
    assert said.err.count("\n") == 1
    assert says in said.err


def test_an_unknown_exception_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:

    def broken(_: object) -> None:
        raise ZeroDivisionError("a bug of ours")

    monkeypatch.setattr("rdbench.cli.list.execute", broken)
    with pytest.raises(ZeroDivisionError):
        main(["list"])


@pytest.mark.parametrize("text", ["", "0", "-1", "abc", "2,,5", "2.5", "2,0", "3-2", "1-", "0-3"])
def test_integers_refuse(text: str) -> None:
    with pytest.raises(RdbenchError, match="--dims takes integers"):
        parse.integers("--dims", text, 1)


@pytest.mark.parametrize("text", ["", "-1", "0", "nan", "inf", "1,x", "1,,2"])
def test_positive_numbers_refuse(text: str) -> None:
    with pytest.raises(RdbenchError, match="--betas takes"):
        parse.positive_numbers("--betas", text)


@pytest.mark.parametrize("text", ["", "3/2", "0/2", "1", "a/b", "1/0", "-1/2"])
def test_shards_refuse(text: str) -> None:
    with pytest.raises(RdbenchError, match="--shard takes i/n"):
        parse.shard(text)


def test_integers_are_taken_once_each_and_a_shard_is_a_pair() -> None:
    assert parse.integers("--dims", "5, 2,5", 1) == [5, 2]
    assert parse.integers("--seeds", "7,0-3,2", 0) == [7, 0, 1, 2, 3]
    assert parse.shard("2/3") == (2, 3)


@pytest.mark.parametrize(
    ("problem", "code", "says"),
    [("full disk", 1, "rdbench: full disk\n"), (None, 130, "rdbench: interrupted\n")],
)
def test_a_record_that_cannot_be_kept_and_an_early_ctrl_c(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    problem: str | None,
    code: int,
    says: str,
) -> None:
    from rdbench.run.store import StoreError

    def fails(_: object) -> int:
        raise KeyboardInterrupt if problem is None else StoreError(problem)

    monkeypatch.setattr("rdbench.cli.run.execute", fails)
    assert main(["run", "--suite", "scalar"]) == code
    assert capsys.readouterr().err == says
