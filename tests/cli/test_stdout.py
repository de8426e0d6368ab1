"""Output that is full, closed or a terminal: no traceback, no run ended, no order to a terminal."""

from __future__ import annotations

import errno
import io
import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pandas as pd
import pytest

from rdbench.cli import main, stdout
from rdbench.report.spreadsheet import literal
from rdbench.run.store import load

RDBENCH = f'"{sys.executable}" -m rdbench'
RUN = (
    "run --suite scalar --cases gaussian-standard --estimators blahut_arimoto --budget quick "
    "--rates 1 --results"
)


def shell(line: str) -> subprocess.CompletedProcess[str]:
    """A line of bash; the exit code is that of the first command of its pipe."""
    home = str(Path(__file__).parents[2])
    env = {**os.environ, "PYTHONPATH": home, "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        ["bash", "-c", f"{line}\nexit ${{PIPESTATUS[0]}}"],
        env=env, capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("end", "code", "says"),
    [
        (">/dev/full", 1, "rdbench: cannot write to standard output: No space left on device\n"),
        ("| true", 1, ""),
        (">&-", 0, ""),
        (">&- 2>&-", 0, ""),
        (">/dev/full 2>/dev/full", 1, ""),
    ],
)
def test_a_command_that_cannot_write_says_so_at_most(end, code, says):
    # info waits for no reader: what it prints is longer than what a pipe that nobody reads takes
    done = shell(f"{RDBENCH} info scalar {end}" if end != "| true" else
                 f"(sleep 1; {RDBENCH} info scalar; exit $?) {end}")  # fmt: skip
    assert (done.returncode, done.stderr) == (code, says)


def test_output_that_cannot_be_written_ends_no_run(tmp_path):
    done = shell(f"{RDBENCH} {RUN} {tmp_path} | head -1")
    assert (done.returncode, done.stderr) == (0, "")
    assert [one.status for one in load(tmp_path).records.values()] == ["ok"]


def test_a_stream_that_fails_falls_silent_and_says_so_once(capsys, monkeypatch):
    monkeypatch.setattr(stdout, "silence", lambda: None)

    class Full(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    out = stdout.Unbreakable(Full())
    assert [out.write("abc"), out.write("d")] == [3, 1]
    out.flush()
    assert capsys.readouterr().err.count("the work goes on") == 1
    closed = io.StringIO()
    closed.close()
    assert stdout.Unbreakable(closed).write("x") == 1
    assert "closed file" in capsys.readouterr().err
    assert not out.isatty()


@pytest.mark.parametrize("text", ["=1+1", "+A1", "-A1", "@SUM(A1)", "\t=1", "\r=1"])
def test_a_formula_is_quoted(text):
    assert literal(text) == "'" + text


@pytest.mark.parametrize("text", ["-1.5", "+3", "-inf", "-", "", "a=1", "1e-5", "ebrd[a=-1]"])
def test_numbers_and_other_texts_are_left(text):
    assert literal(text) == text


def test_no_csv_holds_a_formula_and_no_command_speaks_to_the_terminal(
    results: Path, gaussian, tmp_path, capsys
):
    nasty = {
        "case": "=cmd|' /C calc'!A0", "estimator": "@e\x1b[2J", "preset": "+p\u202e",
        "reason": "-r\x9b", "suite": "\x1b]0;title\x07",
    }  # fmt: skip
    record = gaussian(**nasty, status="error", cell="b" * 16, traceback="=t\n\x1b[2Jx")
    (results / "records.jsonl").write_bytes(msgspec.json.encode(record) + b"\n")
    where = ["--results", str(results)]
    for command in (
        ["table"], ["table", "--pivot"], ["table", "--format", "html"], ["export"],
        ["export", "--what", "cells"], ["table", "--metric", "cpu_s", "--format", "csv"],
    ):  # fmt: skip
        assert main([*command, *where]) == 0
        done = capsys.readouterr()
        assert not {"\x1b", "\x07", "\x9b", "\u202e"} & set(done.out + done.err)
    out = tmp_path / "cells.csv"
    assert main(["export", "--what", "cells", "--out", str(out), *where]) == 0
    (row,) = pd.read_csv(out).to_dict("records")
    assert row["case"] == "'=cmd|' /C calc'!A0"
    assert row["estimator"] == r"'@e\x1b[2J"
    assert row["reason"] == r"'-r\x9b"
    assert row["traceback"] == "'=t\n" + r"\x1b[2Jx"
    assert main(["table", "--pivot", "--out", str(tmp_path / "t.csv"), *where]) == 0
    assert (tmp_path / "t.csv").read_text().splitlines()[1].startswith("'=cmd")
    assert main(["table", "--metric", "\x1b[2J", *where]) == 2
    assert r"'\x1b[2J'" in capsys.readouterr().err
