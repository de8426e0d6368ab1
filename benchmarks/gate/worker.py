"""A long-lived process that times kernels on one side, a few calls at a time, when asked.

Requests and answers are lines of JSON on the standard input and output. It ends when the input
does, so it cannot outlive the gate. That memory is kept between calls comes with the environment
(``ONE_HEAP`` in ``sides.py``), as for fits and starts; ``keep_memory`` of the kernels would
override it, and is not called.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from typing import Any, TextIO

TRIAL_SECONDS = 0.03
"""CPU seconds that one measurement should take: far above the clock's resolution."""


def main() -> None:
    """Answer until the input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the gate's to handle
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # whatever a library prints is no answer
    for line in sys.stdin:
        _answer(answers, json.loads(line))


def _answer(answers: TextIO, request: dict[str, Any]) -> None:
    try:
        reply = _prepare(request["prepare"]) if "prepare" in request else _time(**request)
    except NotImplementedError as missing:
        reply = {"problem": "absent", "reason": str(missing) or "not in this commit"}
    except AssertionError as wrong:
        reply = {"problem": "wrong", "reason": _first_line(wrong)}
    except Exception as failed:
        reply = {"problem": "fails", "reason": f"{type(failed).__name__}: {_first_line(failed)}"}
    answers.write(json.dumps(reply) + "\n")


_ready: dict[str, Any] = {}


def _prepare(name: str) -> dict[str, Any]:
    """Make a kernel, check its result, and find how many calls make one measurement."""
    from benchmarks._kernels import KERNELS

    _ready.clear()
    kernel = KERNELS[name]()
    kernel.check(kernel.work())
    _ready[name] = kernel
    once = _seconds(kernel, 1)
    if once < TRIAL_SECONDS:
        once = min(once, _seconds(kernel, 2) / 2)
    return {
        "calls": max(1, round(TRIAL_SECONDS / max(once, 1e-6))),
        "iterations": kernel.iterations,
    }


def _time(time: str, calls: int) -> dict[str, Any]:
    return {"seconds": _seconds(_ready[time], calls) / calls}


def _seconds(kernel: Any, calls: int) -> float:
    began = time.process_time()
    for _ in range(calls):
        kernel.work()
    return time.process_time() - began


def _first_line(problem: BaseException) -> str:
    return (str(problem).strip() or type(problem).__name__).splitlines()[0]


if __name__ == "__main__":
    main()
