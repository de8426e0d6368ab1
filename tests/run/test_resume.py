"""Interrupted, killed, doubled and damaged: a run goes on from what is stored."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from rdbench.cli import main
from rdbench.run.store import RECORDS, load

Start = Callable[..., "subprocess.Popen[str]"]

SLOW = ("run", "--suite", "toy_coin", "--estimators", "toy[mode=slow,pause=0.1]")


def until_first_cell(process: subprocess.Popen[str]) -> list[psutil.Process]:
    """Wait for the first finished cell; the processes of the run at that moment."""
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("[1/"):
            time.sleep(0.15)  # into the second cell
            return psutil.Process(process.pid).children(recursive=True)
    raise AssertionError("no cell finished")


def all_gone(children: list[psutil.Process]) -> bool:
    _, alive = psutil.wait_procs(children, timeout=30)
    return all(p.status() == psutil.STATUS_ZOMBIE for p in alive)


def lines(results: Path) -> list[str]:
    return (results / RECORDS).read_text().splitlines()


@pytest.fixture(scope="module")
def finished(start: Start, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A results folder of two good cells (seeds 0 and 1)."""
    results = tmp_path_factory.mktemp("finished")
    process = start(
        "run", "--suite", "toy_coin", "--estimators", "toy", "--seeds", "0,1",
        "--results", str(results),
    )  # fmt: skip
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, out + err
    return results


GOOD = ("run", "--suite", "toy_coin", "--estimators", "toy", "--seeds", "0,1")


@pytest.fixture
def folder(finished: Path, tmp_path: Path) -> Path:
    """A copy of it to do damage to."""
    (tmp_path / RECORDS).write_bytes((finished / RECORDS).read_bytes())
    return tmp_path


@pytest.mark.parametrize("how", ["ctrl-c", "sigterm", "kill -9"])
def test_an_interrupted_run_goes_on_where_it_was(start: Start, tmp_path: Path, how: str) -> None:
    command = (*SLOW, "--seeds", "0,1,2", "--results", str(tmp_path))
    process = start(*command)
    children = until_first_cell(process)
    # a worker is forked from a server that has one thread, never from the run itself
    servers = [p for p in children if "rdbench.run.executors.server" in " ".join(p.cmdline())]
    assert {p.ppid() for p in children if p.ppid() != process.pid} <= {p.pid for p in servers}
    assert any(p.num_threads() == 1 and p.children() for p in servers)
    if how == "kill -9":
        process.kill()
    else:
        os.killpg(process.pid, signal.SIGINT if how == "ctrl-c" else signal.SIGTERM)
    _, err = process.communicate(timeout=300)
    assert all_gone(children)
    if how != "kill -9":
        assert process.returncode == 130
        said = [line for line in err.splitlines() if line]
        assert len(said) == 1, err
        assert "the same command continues" in said[0]
    kept = load(tmp_path).records
    assert 1 <= len(kept) <= 2
    before = lines(tmp_path)

    again = start(*command)
    out, err = again.communicate(timeout=300)
    assert again.returncode == 0, err
    assert f"3 cells, {len(kept)} stored already, {3 - len(kept)} to run" in out
    assert lines(tmp_path)[: len(before)] == before
    assert len(lines(tmp_path)) == 3
    assert len(load(tmp_path).records) == 3


def test_a_killed_run_leaves_no_worker_behind(start: Start, tmp_path: Path) -> None:
    """kill -9 in the middle of a cell that would go on for minutes: worker and server go, too."""
    slow = ("run", "--suite", "toy_coin", "--estimators", "toy[mode=slow,pause=120]")
    process = start(*slow, "--results", str(tmp_path))
    children: list[psutil.Process] = []
    for _ in range(600):
        children = psutil.Process(process.pid).children(recursive=True)
        if any(p.ppid() != process.pid for p in children):
            break
        time.sleep(0.05)
    assert any(p.ppid() != process.pid for p in children)
    time.sleep(1.0)  # into the fit
    process.kill()
    assert all_gone(children)
    process.communicate(timeout=10)


def test_records_that_vanish_during_a_run_are_missed(start: Start, tmp_path: Path) -> None:
    process = start(*SLOW, "--seeds", "0,1", "--results", str(tmp_path))
    until_first_cell(process)
    os.truncate(tmp_path / RECORDS, 0)
    _, err = process.communicate(timeout=300)
    assert process.returncode == 1
    assert "records that had been read were removed" in err
    assert "1 of 2 cells have no row" in err
    assert len(load(tmp_path).records) == 1


def test_what_a_killed_run_left_behind_is_swept(tmp_path: Path) -> None:
    """The scratch of a run that is dead, and the processes that it started; not those of others."""
    env = {**os.environ, "TMPDIR": str(tmp_path)}

    def python(line: str) -> subprocess.Popen[str]:
        code = f"from rdbench.run.executors.scratch import *; import subprocess\n{line}"
        return subprocess.Popen(
            [sys.executable, "-c", code],
            env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    make = "s = Scratch(); print(s.path, flush=True)"
    child = "p = subprocess.Popen(['sleep', '600'], env={MARK: str(s.path)}, stdout=-3)"
    with python(f"{make}; {child}; print(p.pid, flush=True); os.kill(os.getpid(), 9)") as dead:
        scratch, orphan = dead.communicate(timeout=60)[0].split()
    with python(f"{make}; input()") as living:
        assert living.stdout is not None
        others = Path(living.stdout.readline().strip())
        assert not Path(scratch).exists()  # a run sweeps as it begins
        assert not psutil.pid_exists(int(orphan)) or all_gone([psutil.Process(int(orphan))])
        with python("sweep()") as third:
            third.communicate(timeout=60)
        assert others.is_dir()
        living.communicate("\n", timeout=60)
    assert list(tmp_path.iterdir()) == [others]  # it did not put it away


def test_two_runs_in_one_folder_share_the_work(start: Start, tmp_path: Path) -> None:
    command = (*SLOW, "--seeds", "0,1,2,3", "--results", str(tmp_path))
    both = [start(*command), start(*command)]
    ends = [p.communicate(timeout=300) for p in both]
    assert [p.returncode for p in both] == [0, 0], ends
    loaded = load(tmp_path)
    assert loaded.warnings == []
    assert len(loaded.records) == 4
    assert len(lines(tmp_path)) == 4  # nothing was done twice
    for out, _ in ends:
        assert "mean gap" in out  # both end in the whole table


@pytest.mark.usefixtures("plugged")
@pytest.mark.parametrize(
    ("other", "to_run"),
    [
        ([], 0),
        (["--timeout", "7", "--jobs", "3", "--threads", "2"], 0),
        (["--fresh"], 2),
        (["--budget", "full"], 2),
        (["--rates", "0.1"], 2),
        (["--estimators", "toy[draws=101]"], 2),
    ],
    ids=str,
)
def test_what_changes_the_content_is_run_and_nothing_else(
    folder: Path, capsys: pytest.CaptureFixture[str], other: list[str], to_run: int
) -> None:
    before = lines(folder)
    how = ["--dry-run"] if to_run else []
    assert main([*GOOD, *other, *how, "--results", str(folder)]) == 0
    assert f"{to_run} to run" in capsys.readouterr().out
    assert lines(folder) == before


@pytest.mark.usefixtures("plugged")
def test_a_damaged_line_is_named_and_the_rest_used(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = folder / RECORDS
    whole = path.read_bytes()
    path.write_bytes(whole[:-200])
    assert main([*GOOD, "--dry-run", "--results", str(folder)]) == 0
    said = capsys.readouterr()
    assert "1 stored already, 1 to run" in said.out
    assert f"{path} line 2: torn last line" in said.err
    first, second = whole.decode().splitlines()
    path.write_text(f"{first}\n{{'broken\n{second}\n")
    assert main([*GOOD, "--dry-run", "--results", str(folder)]) == 0
    said = capsys.readouterr()
    assert "2 stored already" in said.out
    assert f"{path} line 2: not a record" in said.err
    assert main(["export", "--results", str(folder)]) == 0
    said = capsys.readouterr()
    assert len(said.out.splitlines()) == 1 + 2 * 4
    assert f"{path} line 2" in said.err


@pytest.mark.usefixtures("plugged")
@pytest.mark.parametrize(
    ("status", "flags", "to_run"),
    [
        ("ok", [], 0),
        ("unsupported", [], 0),
        ("not_converged", [], 0),
        ("not_converged", ["--retry"], 1),
        ("ok", ["--retry"], 0),
        ("timeout", [], 1),
        ("crashed", [], 1),
        ("error", [], 1),
        ("out_of_memory", [], 1),
    ],
)
def test_which_statuses_are_final(
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    status: str,
    flags: list[str],
    to_run: int,
) -> None:
    row = json.loads(lines(folder)[0])
    row["status"] = status
    row["points"][0]["status"] = status
    with (folder / RECORDS).open("a") as file:
        file.write(json.dumps(row) + "\n")  # the newest record wins
    assert main([*GOOD, *flags, "--dry-run", "--results", str(folder)]) == 0
    assert f"{to_run} to run" in capsys.readouterr().out


def test_merging_takes_the_newest_of_every_cell(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = (json.loads(line) for line in lines(folder))
    newer = json.loads(json.dumps(first))
    newer["provenance"]["finished"] = "2999-01-01T00:00:00+00:00"
    newer["reason"] = "newer"
    for name, rows in {"a": [first], "b": [newer, second]}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / RECORDS).write_text("".join(json.dumps(r) + "\n" for r in rows))
    into = tmp_path / "into"
    for order in (("b", "a"), ("a", "b")):  # the second time there is nothing to add
        folders = [str(tmp_path / name) for name in order]
        assert main(["merge", *folders, "--into", str(into)]) == 0
        merged = load(into).records
        assert set(merged) == {first["cell"], second["cell"]}
        assert merged[first["cell"]].reason == "newer"
    assert len(lines(into)) == 2
    assert "2 already there" in capsys.readouterr().out
