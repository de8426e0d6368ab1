"""Who waits is told for what, and only there."""

from __future__ import annotations

import threading

import pytest

from rdbench.run.waiting import telling, waiting


def test_what_takes_long_is_said_once_and_again() -> None:
    lines: list[str] = []
    twice = threading.Event()

    def say(line: str) -> None:
        lines.append(line)
        if len(lines) == 2:
            twice.set()

    with telling(say), waiting("the slope of R = 4", first_s=0.01):
        assert twice.wait(30.0)
    assert lines[0].startswith("the slope of R = 4 ... ")


def test_what_is_quick_or_not_listened_to_is_silent(capsys: pytest.CaptureFixture[str]) -> None:
    lines: list[str] = []
    with telling(lines.append), waiting("a truth"):
        pass
    with waiting("nobody listens", first_s=1e-9):
        pass
    assert not lines
    assert capsys.readouterr() == ("", "")
