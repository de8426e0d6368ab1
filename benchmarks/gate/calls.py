"""A worker process of one side, and what it may answer."""

from __future__ import annotations

import json
import os
import select
import subprocess
from pathlib import Path
from typing import Any

from benchmarks._cases import pinned
from benchmarks.gate.sides import Side

SCRIPT = Path(__file__).with_name("worker.py")
TOOLS = Path(__file__).resolve().parents[2]
LIMIT = 600.0
"""Seconds after which something hangs; all of it takes a few, but a machine may be very busy."""


class Failed(Exception):
    """A side cannot do a kernel: ``absent``, ``wrong``, ``fails``, ``hangs`` or ``crashed``."""

    def __init__(self, problem: str, reason: str) -> None:
        super().__init__(reason)
        self.problem = problem
        self.reason = reason


class Worker:
    """The process; it ends with `end`, and with the gate, however that ends."""

    def __init__(self, side: Side) -> None:
        # The kernels are the gate's own, for both sides; rdbench is found first in the side's.
        path = os.pathsep.join([str(side.source), str(TOOLS)])
        self._log = side.work / "worker.log"
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                [side.python, "-P", str(SCRIPT)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                cwd=side.work,
                env={**pinned(side.environ), "PYTHONPATH": path},
            )

    def end(self) -> None:
        """Kill it."""
        self._process.kill()
        self._process.communicate()

    def ask(self, **request: Any) -> dict[str, Any]:
        """The answer to a request.

        Raises:
            Failed: it is a problem, or the process is gone.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
            if not select.select([self._process.stdout], [], [], LIMIT)[0]:
                raise Failed("hangs", f"no answer within {LIMIT:.0f} s")
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            said = self._log.read_text().strip().splitlines()[-1:]
            code = self._process.wait()
            ended = f"killed by signal {-code}" if code < 0 else f"exit code {code}"
            raise Failed("crashed", " ".join([f"the process ended: {ended}", *said]))
        reply: dict[str, Any] = json.loads(line)
        if "problem" in reply:
            raise Failed(reply["problem"], reply["reason"])
        return reply
