"""The fork server's other end, at the end of a process that never closed its executor."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from rdbench.run.executors import handle
from rdbench.run.executors.local import LocalExecutor
from rdbench.run.provenance import gather
from rdbench.run.settings import Settings


def test_an_executor_starts_no_server_when_its_process_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A Dask worker that is told to go: its server and its scratch go, and nothing takes over."""
    for name in ("_handle", "_ending"):
        monkeypatch.setattr(handle, name, [])
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    executor = LocalExecutor(Settings(gather("cpu", 1, 1)))
    assert os.listdir(tmp_path)
    handle._close()
    executor._thread.join(30.0)
    assert not executor._thread.is_alive()
    assert handle._handle == []
    assert os.listdir(tmp_path) == []
    with pytest.raises(RuntimeError, match="starts no server"):
        handle.start()
