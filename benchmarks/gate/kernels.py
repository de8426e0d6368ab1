"""Kernels and start-up, timed side by side: the two sides take turns within one run."""

from __future__ import annotations

import resource
import statistics
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from types import TracebackType
from typing import Any, Self

from benchmarks._cases import pinned
from benchmarks.gate import times
from benchmarks.gate.calls import LIMIT, Failed, Worker
from benchmarks.gate.sides import Side
from benchmarks.gate.verdicts import Finding, Pair, judge_times

START = {"import": ["-c", "import rdbench"], "list": ["-m", "rdbench", "list"]}
"""Start-up times: the arguments of a fresh interpreter."""
ROUNDS = 11
CONFIRMING_ROUNDS = 3
"""Of each pair of new processes."""

Take = Callable[[], float]
"""One measurement of one side, in CPU seconds."""


class Unmeasured(Exception):
    """What each side said, where at least one of them could not be measured."""

    def __init__(self, base: Failed | None, head: Failed | None) -> None:
        super().__init__()
        self.base = base
        self.head = head


class Bench:
    """A worker on each side, started when needed; a context manager."""

    def __init__(self, base: Side, head: Side) -> None:
        self.sides = (base, head)
        self._workers: tuple[Worker, Worker] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.renew()

    def renew(self) -> None:
        """Let the next measurement start new processes."""
        for worker in self._workers or ():
            worker.end()
        self._workers = None

    def pairs(self, metric: str, rounds: int) -> list[Pair]:
        """Time ``kernel/NAME`` or ``start/NAME`` in turns.

        Raises:
            Unmeasured: a side lacks it, has it wrong, fails or crashes.
        """
        kind, _, name = metric.partition("/")
        try:
            return _take_turns(
                *(self._kernel(name) if kind == "kernel" else self._start(name)), rounds
            )
        except Unmeasured:
            self.renew()
            raise

    def _kernel(self, name: str) -> tuple[Take, Take]:
        """Both sides' kernel, ready and found right."""
        if self._workers is None:
            one = Worker(self.sides[0])
            try:
                self._workers = (one, Worker(self.sides[1]))
            except BaseException:
                one.end()
                raise
        base, head = self._workers
        said = [_attempt(partial(_calls, worker, name)) for worker in (base, head)]
        calls = min(_both(said))  # the same for both: a slower side does not do less
        return partial(_time, base, name, calls), partial(_time, head, name, calls)

    def _start(self, name: str) -> tuple[Take, Take]:
        base, head = (partial(_start, side, START[name]) for side in self.sides)
        _both([_attempt(base), _attempt(head)])  # also compiles what is not compiled yet
        return base, head


def first_look(bench: Bench, metric: str, ratio: float) -> Finding:
    """Time it in one pair of processes; a median beyond the limit asks for pairs of new ones.

    A process that ended gets a second chance: memory may have run out once.
    """
    finding = _judged(bench, metric, ratio)
    if finding.verdict in ("fails now", "mended", "both fail"):
        finding = _judged(bench, metric, ratio)
    return finding


def confirm(bench: Bench, metric: str, ratio: float) -> Finding:
    """Time it in pair after pair of new processes."""
    try:
        return times.confirm(metric, partial(_fresh_pair, bench, metric), ratio)
    except Unmeasured as said:
        return _unmeasured(metric, said.base, said.head)


def _judged(bench: Bench, metric: str, ratio: float) -> Finding:
    try:
        found = judge_times(metric, bench.pairs(metric, ROUNDS), ratio)
    except Unmeasured as said:
        return _unmeasured(metric, said.base, said.head)
    assert found.change is not None
    return replace(found, verdict="suspected" if found.change > ratio else "ok")


def _fresh_pair(bench: Bench, metric: str, index: int) -> Pair:  # noqa: ARG001
    """The medians of a few rounds of two new processes."""
    bench.renew()
    pairs = bench.pairs(metric, CONFIRMING_ROUNDS)
    return Pair(
        statistics.median(pair.base for pair in pairs),
        statistics.median(pair.head for pair in pairs),
    )


def _unmeasured(metric: str, base: Failed | None, head: Failed | None) -> Finding:
    """The verdict where a side has no time; a kernel that a commit lacks is ``absent``."""
    words = {"BASE": base, "HEAD": head}
    note = "; ".join(f"{k} {v.problem}: {v.reason}" for k, v in words.items() if v is not None)
    if head is None:
        new = base is not None and base.problem == "absent"
        return Finding(metric, "new" if new else "mended", note=note)
    if head.problem == "absent":
        return Finding(metric, "missing" if base is None else "both fail", note=note)
    blamed = base is None or base.problem == "absent"
    return Finding(metric, "fails now" if blamed else "both fail", note=note)


def _take_turns(base: Take, head: Take, rounds: int) -> list[Pair]:
    """Rounds of A B, B A, A B ...: what drifts, drifts through both."""
    pairs: list[Pair] = []
    for index in range(-1, rounds):  # the first warms up and does not count
        turns = (head, base) if index % 2 else (base, head)
        said = [_attempt(turn) for turn in turns]
        here, there = _both(said[::-1] if index % 2 else said)
        if index >= 0:
            pairs.append(Pair(here, there))
    return pairs


def _calls(worker: Worker, name: str) -> int:
    """Make the kernel ready; how many calls one measurement should do."""
    return int(worker.ask(prepare=name)["calls"])


def _time(worker: Worker, name: str, calls: int) -> float:
    return float(worker.ask(time=name, calls=calls)["seconds"])


def _start(side: Side, arguments: list[str]) -> float:
    """CPU seconds of a fresh interpreter with these arguments."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    try:
        done = subprocess.run(
            [side.python, "-P", *arguments],
            cwd=side.work,
            env=pinned(side.environ),
            capture_output=True,
            text=True,
            timeout=LIMIT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise Failed("hangs", f"no end within {LIMIT:.0f} s") from None
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode != 0:
        raise Failed("fails", (done.stderr.strip().splitlines() or ["no message"])[-1])
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _attempt(action: Callable[[], Any]) -> Any:
    try:
        return action()
    except Failed as problem:
        return problem


def _both(said: Sequence[Any]) -> Sequence[Any]:
    """The two results; `Unmeasured` if one of them is a problem."""
    problems = [one if isinstance(one, Failed) else None for one in said]
    if any(problems):
        raise Unmeasured(*problems)
    return said
