"""The CPU time and the memory of a fit are also those of the processes that it starts."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from rdbench.run.clock import FitClock
from rdbench.run.executors.local import _seen_mb, _with_peak
from rdbench.run.records import Cost
from rdbench.run.tree import below, cpu_s_of_children, memory_mb
from rdbench.run.watch import Watch

BURN = (
    "import time\nwhile time.process_time() < 0.3: pass\n"
    "print('burnt', flush=True); import sys; sys.stdin.read()"
)
HOLD = "held = b'x' * (80 << 20); print('held', flush=True); import sys; sys.stdin.read()"


def started(code: str) -> subprocess.Popen[str]:
    """A child that has done its work and waits for the end of its input."""
    pipe = subprocess.PIPE
    child = subprocess.Popen([sys.executable, "-SIc", code], stdin=pipe, stdout=pipe, text=True)
    assert child.stdout is not None
    assert child.stdout.readline()
    return child


def test_the_clock_counts_children_that_live_and_those_that_have_ended() -> None:
    clock = FitClock()
    with clock.running():
        own = time.process_time()
        child = started(BURN)
        own = time.process_time() - own
        alive = clock.cpu_s
        child.communicate()
        ended = clock.cpu_s
    assert own < 0.2
    assert alive >= 0.28
    assert 0.28 <= ended <= clock.cpu_s
    assert ended - alive < 0.2  # it is not counted twice once it is buried


def test_a_child_of_before_does_not_count() -> None:
    child = started(BURN)
    clock = FitClock()
    with clock.running():
        child.communicate()
    assert cpu_s_of_children() >= 0.28
    assert clock.cpu_s < 0.2


def test_memory_is_that_of_all_processes_together(tmp_path: Path) -> None:
    assert memory_mb(2**22 + 1) is None
    watch = Watch(tmp_path / "watch")
    child = started(HOLD)
    try:
        assert child.pid in below(os.getpid())
        alone = memory_mb(child.pid)
        both = memory_mb(os.getpid())
        idle = _seen_mb(os.getpid(), tmp_path / "watch")
        watch.note(True, 0.0)
        fitting = _seen_mb(os.getpid(), tmp_path / "watch")
    finally:
        child.communicate()
    assert alone is None  # nothing is below it
    assert both is not None
    assert both > 80.0
    assert (idle, _seen_mb(child.pid, tmp_path / "watch")) == (0.0, 0.0)
    assert fitting > 80.0


def test_what_was_seen_of_all_processes_is_the_peak_where_it_is_more() -> None:
    assert _with_peak(Cost(peak_rss_mb=100.0), 90.0).peak_rss_mb == 100.0
    assert _with_peak(Cost(peak_rss_mb=100.0), 190.0).peak_rss_mb == 190.0
    assert _with_peak(Cost(), 0.0).peak_rss_mb is None
    assert _with_peak(Cost(), 50.0).peak_rss_mb == 50.0
