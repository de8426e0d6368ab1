"""What may befall a run: processes are killed and stopped at random, until it is told to end."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import threading
from collections import Counter
from pathlib import Path

import psutil

SERVER = "rdbench.run.executors.server"
CLUSTER = "rdbench.run.executors.cluster"
DASK_WORKER = "multiprocessing.spawn"
SENT = {"kill": signal.SIGKILL, "stop": signal.SIGSTOP}


def of_campaign(folder: Path) -> list[psutil.Process]:
    """The processes whose temporary files are in a folder, other than this one."""
    found = []
    for one in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            named = one.environ().get("TMPDIR", "")
            if one.pid != os.getpid() and named.startswith(str(folder)):
                found.append(one)
    return found


def kind_of(process: psutil.Process) -> str:
    """driver, server, cell, cluster, Dask worker, or other."""
    with contextlib.suppress(psutil.Error):
        line = " ".join(process.cmdline())
        if SERVER in line:  # a cell is forked from its server and has its command line
            parent = process.parent()
            forked = parent is not None and SERVER in " ".join(parent.cmdline())
            return "cell" if forked else "server"
        if CLUSTER in line:
            return "cluster"
        if DASK_WORKER in line:
            return "Dask worker" if process.children() or process.num_threads() > 3 else "other"
        if "-m rdbench run" in line:
            return "driver"
    return "other"


class Chaos(threading.Thread):
    """Strikes every few seconds."""

    def __init__(self, folder: Path, seed: int, pause: float, weights: dict[str, float]) -> None:
        """Begin with `start`, end with `end`.

        Args:
            folder: where the campaign has its temporary files.
            seed: of the choices.
            pause: seconds between strikes, on average.
            weights: how often "kill cell", "stop server", ... are chosen.
        """
        super().__init__(daemon=True)
        self._folder = folder
        self._random = random.Random(seed)
        self._pause = pause
        self._weights = weights
        self._over = threading.Event()
        self.done: Counter[str] = Counter()

    def run(self) -> None:
        """Choose an act, and somebody whom it can befall."""
        acts, weights = list(self._weights), list(self._weights.values())
        while not self._over.wait(self._random.uniform(0.5, 1.5) * self._pause):
            act = self._random.choices(acts, weights)[0]
            how, _, whom = act.partition(" ")
            there = [one for one in of_campaign(self._folder) if kind_of(one) == whom]
            if there:
                with contextlib.suppress(psutil.Error):
                    self._random.choice(there).send_signal(SENT[how])
                    self.done[act] += 1

    def end(self) -> None:
        """Strike no more."""
        self._over.set()
        self.join()
