"""A signal ends a command in one line, whatever it is at; one that is done keeps its exit code."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import rdbench

HOME = Path(rdbench.__file__).parent.parent
_STRUCK = """
import importlib.abc, os, signal, sys

at, number = sys.argv[1], int(sys.argv[2])
del sys.argv[1:3]

class Strike(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == at:
            sys.meta_path.remove(self)
            os.kill(os.getpid(), number)

signal.signal(signal.SIGINT, signal.default_int_handler)
sys.meta_path.insert(0, Strike())
if at == "the end":
    import atexit
    atexit.register(os.kill, os.getpid(), number)
from rdbench.cli import main
sys.exit(main())
"""


def struck(at: str, number: int) -> subprocess.CompletedProcess[str]:
    """``rdbench list suites``, which gets a signal as it imports a module, or at its end."""
    return subprocess.run(
        [sys.executable, "-c", _STRUCK, at, str(int(number)), "list", "suites"],
        env={**os.environ, "PYTHONPATH": str(HOME)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("at", "number"),
    [
        ("typer", signal.SIGTERM),
        ("rdbench.cli.options", signal.SIGINT),
        ("rdbench.cli.list", signal.SIGTERM),
    ],
)
def test_a_signal_during_imports_ends_the_command_in_one_line(at: str, number: int) -> None:
    done = struck(at, number)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "rdbench: interrupted\n")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_command_that_is_done_keeps_its_exit_code(number: int) -> None:
    done = struck("the end", number)
    assert (done.returncode, done.stderr) == (0, "")
    assert "scalar" in done.stdout


def test_typer_ends_no_command_without_a_word(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ctrl-C while the words of the command line are read: typer alone would be silent."""

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    from rdbench.cli import main

    monkeypatch.setattr("typer.core.TyperGroup.parse_args", interrupted)
    assert main(["list"]) == 130
    assert capsys.readouterr().err == "rdbench: interrupted\n"
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
