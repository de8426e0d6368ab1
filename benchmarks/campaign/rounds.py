"""A campaign by rounds: commands that are killed, doubled, starved of disk; then a calm one."""

from __future__ import annotations

import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from benchmarks.campaign.chaos import Chaos
from benchmarks.campaign.plans import Campaign

_MOST_S = 14_400.0


@dataclass
class Seen:
    """What the commands of a campaign did."""

    ends: Counter[str] = field(default_factory=Counter)
    """Exit codes and signals."""
    acts: Counter[str] = field(default_factory=Counter)
    """What befell them."""
    tracebacks: int = 0
    lines: list[str] = field(default_factory=list)
    """The last line of each on standard error."""


class Running:
    """A command, and what it says."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.cells = 0
        self._err = ""
        self._threads = [
            threading.Thread(target=one, daemon=True) for one in (self._hear, self._hear_errors)
        ]
        for thread in self._threads:
            thread.start()

    def _hear(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.cells += line.startswith("[")

    def _hear_errors(self) -> None:
        assert self.process.stderr is not None
        self._err = self.process.stderr.read()

    def until(self, done: Callable[[], bool], seconds: float = _MOST_S) -> None:
        """Wait until it has ended, or something else is done."""
        until = time.monotonic() + seconds
        while self.process.poll() is None and not done() and time.monotonic() < until:
            time.sleep(0.1)

    def end(self, number: int | None, seen: Seen) -> None:
        """Send it a signal, or wait for its end, and note how it ended."""
        if number is not None and self.process.poll() is None:
            self.process.send_signal(number)
            seen.acts[f"{signal.Signals(number).name} driver"] += 1
            if number == signal.SIGSTOP:
                time.sleep(3.0)
                self.process.kill()
        try:
            code = self.process.wait(timeout=_MOST_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = self.process.wait()
            seen.ends["did not end"] += 1
        for thread in self._threads:
            thread.join(10.0)
        seen.ends[str(code)] += 1
        seen.tracebacks += self._err.count("Traceback (most recent call last)")
        seen.lines += self._err.strip().splitlines()[-1:]


def carry_out(
    campaign: Campaign, chaos: Chaos, *, rounds: int, cells: int, say: Callable[[str], None]
) -> Seen:
    """Run the command again and again, then once in peace.

    Args:
        campaign: what is run.
        chaos: strikes in all but the last round.
        rounds: how many before the last.
        cells: that a command may finish before it is ended.
        say: is told about every round.
    """
    seen = Seen()
    ends = [signal.SIGKILL, signal.SIGTERM, None, signal.SIGINT, signal.SIGKILL, signal.SIGSTOP]
    chaos.start()
    for number in range(rounds):
        end = ends[number % len(ends)]
        if end is None:
            size = (campaign.results / "records.jsonl").stat().st_size
            first = Running(campaign.begin(most_bytes=size + 8_000))
            seen.acts["full disk"] += 1
            first.until(lambda: False)
            first.end(None, seen)
        else:
            _together([Running(campaign.begin()) for _ in range(1 + number % 2)], cells, end, seen)
        say(f"round {number + 1} of {rounds}: ended so far {dict(seen.ends)}")
    chaos.end()
    seen.acts += chaos.done
    last = Running(campaign.begin())
    last.until(lambda: False)
    last.end(None, seen)
    return seen


def _together(running: list[Running], cells: int, end: int, seen: Seen) -> None:
    """Let commands share the work until they have finished so many cells, then end them."""
    running[0].until(lambda: sum(one.cells for one in running) >= cells)
    for one in running:
        one.end(end, seen)
