"""Cells on the workers of a Dask cluster; one cluster of one worker, for all tests of this file."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import os
import socket
import time
from collections.abc import Iterator
from concurrent.futures import CancelledError, Future
from pathlib import Path
from typing import Any

import psutil
import pytest

from benchmarks.campaign.same import differences, plain
from rdbench import registry
from rdbench.cli import main
from rdbench.outcomes import StoreError
from rdbench.run.executors import Executor
from rdbench.run.executors.kit import needed
from rdbench.run.plan import Cell, make_plan
from rdbench.run.provenance import gather
from rdbench.run.settings import Settings
from rdbench.run.store import RECORDS, load

pytest.importorskip("distributed")
pytestmark = pytest.mark.usefixtures("plugged")

from distributed.comm.core import CommClosedError  # noqa: E402

from rdbench.run.executors import dask as dask_module  # noqa: E402
from rdbench.run.executors.cluster import OwnCluster  # noqa: E402
from rdbench.run.executors.dask import DaskExecutor  # noqa: E402

PLUGIN = Path(__file__).parent / "plugin"
SETTINGS = Settings(gather("cpu", 1, 1))


@pytest.fixture(scope="module")
def cluster() -> Iterator[OwnCluster]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(PLUGIN))
        made = OwnCluster(1)
    yield made
    made.close()


def processes(cluster: OwnCluster, words: str) -> list[psutil.Process]:
    """Those of a cluster in whose command line these words are."""
    below = psutil.Process(cluster._process.pid).children(recursive=True)
    found = []
    for one in below:
        try:
            if words in " ".join(one.cmdline()):
                found.append(one)
        except psutil.Error:
            continue
    return found


def forked_from(process: psutil.Process, words: str) -> bool:
    try:
        parent = process.parent()
        return parent is not None and words in " ".join(parent.cmdline())
    except psutil.Error:
        return False


def cells(spec: str, seeds: range = range(1)) -> list[Cell]:
    suites = [registry.load_suite("toy_coin")]
    return list(make_plan(suites, registry.choose_all(spec), seeds=list(seeds)).cells)


def run(cluster: OwnCluster, results: Path, *more: str) -> int:
    given = ("--executor", "dask", "--scheduler", cluster.address, "--results", str(results))
    return main(["run", "--suite", "toy_coin", *given, *more])


def within(seconds: float, ready: Any) -> bool:
    until = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True


@pytest.mark.trials
def test_a_killed_worker_loses_and_doubles_nothing(
    cluster: OwnCluster, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """kill -9 of the Dask worker in the middle of cells; one cell fails, and is shown."""
    found = cells("toy[mode=slow,pause=0.1],toy[mode=own_output]", range(4))
    executor = DaskExecutor(SETTINGS, found, cluster.address)
    assert isinstance(executor, Executor)
    assert executor.width == 2
    first = executor.submit(found[0])
    assert within(120, lambda: processes(cluster, "executors.server"))
    (worker,) = (one for one in processes(cluster, "spawn_main") if one.children())
    worker.kill()
    record = json.loads(first.result(timeout=120))
    assert record["cell"] == found[0].id
    assert record["status"] == "ok"
    executor.close()

    specs = "toy[mode=slow,pause=0.1],toy[mode=own_output]"
    assert run(cluster, tmp_path, "--estimators", specs, "--seeds", "0-3") == 1
    said = capsys.readouterr().out
    assert "| its last words" in said
    lines = [json.loads(line) for line in (tmp_path / RECORDS).read_text().splitlines()]
    assert sorted(line["cell"] for line in lines) == sorted(cell.id for cell in found)
    by_mode = {line["fields"]["mode"]: line["status"] for line in lines}
    assert by_mode == {"slow": "ok", "own_output": "error"}
    for record in load(tmp_path).records.values():
        assert record.provenance.jobs == 1
        assert record.provenance.versions == SETTINGS.provenance.versions
        assert record.provenance.started < record.provenance.finished
    # The same rows as on this machine, two at a time and in the order of the plan, but for times.
    here = ["run", "--suite", "toy_coin", "--estimators", specs, "--seeds", "0-3", "--jobs", "2"]
    assert main([*here, "--results", str(tmp_path / "here")]) == 1
    local = load(tmp_path / "here").records
    remote = load(tmp_path).records
    assert local.keys() == remote.keys()
    for cell, row in local.items():
        assert list(differences(plain(row), plain(remote[cell]), 0.0)) == []


def test_a_worker_with_other_code_is_refused_before_anything_runs(
    cluster: OwnCluster,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(dask_module, "needed", lambda w: {**needed(w), "torch": "0.1"})
    assert run(cluster, tmp_path, "--estimators", "toy") == 2
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert "has other code: torch is" in said[0]
    assert "and 0.1 here" in said[0]
    assert (tmp_path / RECORDS).read_text() == ""


def test_a_worker_without_rdbench_is_refused_before_anything_runs(
    cluster: OwnCluster,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(dask_module, "_TASK", "rdbench_that_is_not_there")
    assert run(cluster, tmp_path, "--estimators", "toy") == 2
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert "cannot run cells (ModuleNotFoundError: No module named 'rdbench_that" in said[0]
    assert "install there what is installed here" in said[0]


def test_a_scheduler_that_dies_before_the_first_cell_is_told_in_one_line(
    cluster: OwnCluster,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def gone(_: DaskExecutor) -> Any:
        raise CommClosedError("Stream is closed")

    monkeypatch.setattr(DaskExecutor, "_kits", gone)
    assert run(cluster, tmp_path, "--estimators", "toy") == 1
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert "the connection to the Dask scheduler" in said[0]


def test_a_worker_that_comes_later_with_other_code_gives_no_record(cluster: OwnCluster) -> None:
    """It is not there when workers are compared: the cell itself is refused there."""
    (cell,) = cells("toy")
    executor = DaskExecutor(SETTINGS, [cell], cluster.address)
    kit = {**executor._way.kit, "rdbench": "another"}
    executor._way = dataclasses.replace(executor._way, kit=kit)
    with pytest.raises(StoreError, match="other code: the files of rdbench differ"):
        executor.submit(cell).result(timeout=60)
    executor.close()


def test_what_is_given_up_ends_on_the_worker(cluster: OwnCluster) -> None:
    """Ctrl-C closes the executor; the cells go, and the worker is free for others."""
    found = cells("toy[mode=sleep],toy[mode=stopped]")

    def living() -> list[psutil.Process]:
        server = "rdbench.run.executors.server"
        return [p for p in processes(cluster, server) if forked_from(p, server)]

    executor = DaskExecutor(SETTINGS, found, cluster.address)
    futures: list[Future[bytes]] = [executor.submit(cell) for cell in found]
    assert within(120, living)
    executor.cancel(futures[0])
    assert futures[0].done()
    assert within(120, lambda: executor._tasks.keys() == {futures[1]})
    assert within(120, living)
    executor.close()
    with pytest.raises(CancelledError):
        futures[1].result(timeout=1)
    assert within(120, lambda: not living())


def test_a_scheduler_that_dies_ends_the_run_in_one_line(
    cluster: OwnCluster, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The last test that has the cluster."""
    (cell,) = cells("toy[mode=sleep]")
    executor = DaskExecutor(SETTINGS, [cell], cluster.address)
    future = executor.submit(cell)
    assert within(120, lambda: executor._tasks)
    below = psutil.Process(cluster._process.pid).children(recursive=True)
    cluster._process.kill()
    with pytest.raises(StoreError, match=r"the connection to .* is lost; what is done is kept"):
        future.result(timeout=60)
    executor.close()
    _, alive = psutil.wait_procs(below, timeout=30)  # nothing of it is left
    assert all(one.status() == psutil.STATUS_ZOMBIE for one in alive)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["--executor", "cloud"], "--executor takes"),
        (["--scheduler", "tcp://127.0.0.1:8786"], "--scheduler belongs to --executor dask"),
        (["--executor", "dask", "--scheduler", "x", "--jobs", "2"], "--jobs does not go with"),
        (["--executor", "dask", "--scheduler", "{closed}"], "no Dask scheduler answers at"),
        (["--executor", "dask", "--scheduler", "nonsense://1"], "no Dask scheduler answers at"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    given: list[str],
    words: str,
) -> None:
    monkeypatch.setattr(dask_module, "_CONNECT_S", 0.3)
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        closed = f"tcp://127.0.0.1:{held.getsockname()[1]}"
        given = [one.replace("{closed}", closed) for one in given]
        command = ["run", "--suite", "toy_coin", "--estimators", "toy", *given]
        assert main([*command, "--results", str(tmp_path)]) == 2
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1, said
    assert words in said[0]


def test_without_dask_one_line_says_what_to_install(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    there = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *a: None if name == "distributed" else there(name)
    )
    command = ["run", "--suite", "toy_coin", "--estimators", "toy", "--executor", "dask"]
    assert main([*command, "--results", str(tmp_path / "out")]) == 2
    assert "pip install 'rdbench[dask]'" in capsys.readouterr().err
    assert not os.path.exists(tmp_path / "out")
