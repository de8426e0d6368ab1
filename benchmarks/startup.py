"""How long the first sign of life takes: whole processes, the interpreter's start included."""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from collections.abc import Callable

from benchmarks._cases import pinned

COMMANDS = {
    "import rdbench": ("-c", "import rdbench"),
    "rdbench --help": ("-m", "rdbench", "--help"),
    "rdbench list": ("-m", "rdbench", "list"),
}


def _children_cpu() -> float:
    """CPU seconds of all processes that this one has waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


class _Startup:
    params = (tuple(COMMANDS),)
    param_names = ("command",)
    timeout = 120
    version = "1"
    number = 1
    rounds = 2
    warmup_time = 0.0
    repeat = (3, 5, 5.0)
    timer: Callable[[], float]

    def time_command(self, command: str) -> None:
        """One process from start to end; one that fails is no measurement."""
        done = subprocess.run(
            [sys.executable, "-P", *COMMANDS[command]],
            env=pinned(),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise RuntimeError(f"{command}: exit code {done.returncode}\n{done.stderr[-2000:]}")


class Wall(_Startup):
    """Wall-clock seconds."""

    timer = staticmethod(time.perf_counter)


class Cpu(_Startup):
    """CPU seconds of the process and of its children."""

    timer = staticmethod(_children_cpu)
