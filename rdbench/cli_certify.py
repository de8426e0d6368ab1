"""``rdbench certify``: compute the tables of certified truth again, or check them."""

from __future__ import annotations

import random
import sys
import tempfile
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from rdbench import registry
from rdbench.cli_parse import bad
from rdbench.references import tables
from rdbench.references.shipped import rate_name
from rdbench.report.references import write_report


@dataclass(frozen=True)
class Request:
    """What the command line asked for."""

    suite: str
    cases: str
    out: Path | None
    report: Path | None
    check: bool
    sample: int | None
    seconds: float
    seed: int


def execute(request: Request) -> int:
    """Do it; the exit code is 1 where a check fails.

    Raises:
        RdbenchError: nothing matches, or the options do not go together.
    """
    if request.check and (request.out is not None or request.report is not None):
        raise bad("--check writes nothing: drop --out and --report")
    if request.sample is not None and request.sample < 1:
        raise bad(f"--sample must be at least 1, got {request.sample}")
    asked = _asked(request)
    if not request.check and request.out is None:
        raise bad("give --out, the folder that takes the tables (or --check)")
    return _check(asked, request) if request.check else _compute(asked, request)


def _asked(request: Request) -> dict[str, tables.Wanted]:
    suites = registry.load_suites(request.suite)
    found = tables.wanted(case for suite in suites for case in suite.cases())
    chosen = {name: w for name, w in found.items() if fnmatchcase(name, request.cases)}
    if not chosen:
        known = ", ".join(sorted(found)) or "none: every truth is a closed form"
        raise bad(f"no table matches {request.cases!r}; there are: {known}")
    return chosen


def _compute(asked: dict[str, tables.Wanted], request: Request) -> int:
    assert request.out is not None
    for folder in filter(None, (request.out, request.report)):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=folder).close()
        except OSError as error:
            raise bad(f"cannot write to {folder}: {error.strerror}") from None
    lines: list[str] = []

    def say(line: str) -> None:
        print(line, flush=True)
        lines.append(line)

    for name, wanted in asked.items():
        rungs = list(tables.compute(wanted, say))
        tables.write(request.out, name, wanted.reference.tolerance, rungs)
    if request.report is not None:
        write_report(request.report, request.out, lines)
    return 0


def _check(asked: dict[str, tables.Wanted], request: Request) -> int:
    """Complete tables, and a sample of their certificates computed again."""
    faults = [line for wanted in asked.values() for line in tables.missing(wanted)]
    stored = [
        (wanted.reference, centre)
        for wanted in asked.values()
        for rate in wanted.rates
        if (beta := wanted.reference.table.slopes.get(rate_name(rate))) is not None
        if (centre := wanted.reference.table.centres.get(wanted.reference.key(beta))) is not None
    ]
    random.Random(request.seed).shuffle(stored)
    done, left = 0, request.seconds
    for reference, centre in stored:
        if request.sample is not None and done >= request.sample:
            break
        if centre.cpu_s > left:
            continue
        fault, cpu_s = tables.disagreement(reference, centre)
        left -= cpu_s
        done += 1
        faults += [fault] if fault else []
    if not done:
        faults.append(f"nothing was computed again within {request.seconds:g} CPU seconds")
    for line in faults:
        print(f"rdbench: {line}", file=sys.stderr)
    verdict = f"{len(faults)} faults" if faults else "all agree"
    print(f"{len(asked)} tables, {done} of {len(stored)} certificates computed again: {verdict}")
    return 1 if faults else 0
