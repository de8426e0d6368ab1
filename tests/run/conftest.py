"""The toy plug-in, in this process and in others."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

PLUGIN = Path(__file__).parent / "plugin"
Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def plugged(monkeypatch: pytest.MonkeyPatch) -> None:
    """The toy estimator and suite are registered in this process."""
    monkeypatch.syspath_prepend(str(PLUGIN))


@pytest.fixture(scope="session")
def start(tmp_path_factory: pytest.TempPathFactory) -> Start:
    """``start(*args)``: the real command line in a session of its own, toy plug-in registered."""
    import rdbench

    scratch = str(tmp_path_factory.mktemp("scratch"))  # a killed run leaves its own behind
    home = Path(rdbench.__file__).parent.parent

    def start_(*args: str, tmpdir: str = scratch) -> subprocess.Popen[str]:
        paths = [str(PLUGIN), str(home), os.environ.get("PYTHONPATH", "")]
        path = os.pathsep.join(p for p in paths if p)
        env = {**os.environ, "PYTHONPATH": path, "TMPDIR": tmpdir}
        process: subprocess.Popen[str] = subprocess.Popen(
            [sys.executable, "-m", "rdbench", *args],
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            # an ignored SIGINT (a shell's background job, nohup) would be inherited
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        return process

    return start_
