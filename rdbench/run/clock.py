"""The stop-watch of a fit: wall seconds, CPU seconds, peak memory, what it starts included.

It runs while the estimator works and stands still during audits. In a worker it notes both in the
`rdbench.run.watch` that the parent reads, which ends the worker at the timeout, whatever that does.
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from rdbench.run.tree import cpu_s_of_children
from rdbench.run.watch import Watch

_STATUS = Path("/proc/self/status")
_CLEAR_REFS = Path("/proc/self/clear_refs")
_watches: list[Watch] = []


def noted_in(path: Path) -> None:
    """Let the clocks of this process note in a file when they run."""
    _watches.append(Watch(path))


def _note(fitting: bool, before: float) -> None:
    for watch in _watches:
        watch.note(fitting, before)


class FitClock:
    """A stop-watch that is started and stopped many times."""

    def __init__(self, timeout: float | None = None) -> None:
        self.timeout = timeout
        # A fit that listens to its monitor ends by itself shortly before it would be killed.
        self._soft = None if timeout is None else timeout - min(0.1 * timeout, 2.0)
        self._wall = 0.0
        self._cpu = 0.0
        self._since: tuple[float, float] | None = None
        self._buried_mb = 0.0
        self.peak_rss_mb = 0.0
        """Of this process, or of the largest that it has started and that has ended, in MB."""

    @property
    def wall_s(self) -> float:
        """Wall seconds of fitting."""
        now = 0.0 if self._since is None else time.perf_counter() - self._since[0]
        return self._wall + now

    @property
    def cpu_s(self) -> float:
        """CPU seconds of fitting, of all threads of this process and of what it has started."""
        now = 0.0 if self._since is None else _cpu_s() - self._since[1]
        return self._cpu + now

    @property
    def spent(self) -> bool:
        """Whether the fit should stop now."""
        return self._soft is not None and self.wall_s >= self._soft

    @property
    def expired(self) -> bool:
        """Whether the timeout has passed."""
        return self.timeout is not None and self.wall_s >= self.timeout

    def start(self) -> None:
        """Run."""
        if self._since is not None:
            raise RuntimeError("the clock runs already")
        _reset_peak()
        self._buried_mb = _largest_buried_mb()
        self._since = (time.perf_counter(), _cpu_s())
        _note(True, self._wall)

    def stop(self) -> None:
        """Stand still."""
        if self._since is None:
            return
        wall, cpu = self.wall_s, self.cpu_s
        self._since = None
        self._wall, self._cpu = wall, cpu
        _note(False, wall)
        buried = _largest_buried_mb()
        self.peak_rss_mb = max(
            self.peak_rss_mb, _peak_rss_mb(), buried if buried > self._buried_mb else 0.0
        )

    @contextmanager
    def running(self) -> Iterator[None]:
        """Run for the length of the block."""
        self.start()
        try:
            yield
        finally:
            self.stop()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Stand still for the length of the block."""
        self.stop()
        try:
            yield
        finally:
            self.start()


def _cpu_s() -> float:
    return time.process_time() + cpu_s_of_children()


def _reset_peak() -> None:
    """Set the kernel's high-water mark to the present size, so that audits do not count."""
    with suppress(OSError):  # not Linux, or not allowed: the peak is then the life-time's
        _CLEAR_REFS.write_text("5")


def _largest_buried_mb() -> float:
    """The peak of the largest process that this one has started and that has ended."""
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return peak / (1024.0 * 1024.0 if sys.platform == "darwin" else 1024.0)


def _peak_rss_mb() -> float:
    """Of this process, since the last reset."""
    try:
        for line in _STATUS.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024.0
    except (OSError, ValueError, IndexError):
        pass
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024.0 * 1024.0 if sys.platform == "darwin" else 1024.0)
