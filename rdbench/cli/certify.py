"""``rdbench certify``: compute the tables of certified truth again, or check them."""

from __future__ import annotations

import random
import sys
import tempfile
from fnmatch import fnmatchcase

from rdbench import registry
from rdbench.cli.options import CertifyOptions
from rdbench.outcomes import RdbenchError
from rdbench.references import tables
from rdbench.references.shipped import rate_name
from rdbench.report.references import write_report


def execute(options: CertifyOptions) -> int:
    """Do it; the exit code is 1 where a check fails.

    Raises:
        RdbenchError: nothing matches, or the options do not go together.
    """
    if options.check and (options.out is not None or options.report is not None):
        raise RdbenchError("--check writes nothing: drop --out and --report")
    if options.sample is not None and options.sample < 1:
        raise RdbenchError(f"--sample must be at least 1, got {options.sample}")
    asked = _asked(options)
    if not options.check and options.out is None:
        raise RdbenchError("give --out, the folder that takes the tables (or --check)")
    return _check(asked, options) if options.check else _compute(asked, options)


def _asked(options: CertifyOptions) -> dict[str, tables.Wanted]:
    suites = registry.load_suites(options.suite)
    found = tables.wanted(case for suite in suites for case in suite.cases())
    chosen = {name: w for name, w in found.items() if fnmatchcase(name, options.cases)}
    if not chosen:
        known = ", ".join(sorted(found)) or "none: every truth is a closed form"
        raise RdbenchError(f"no table matches {options.cases!r}; there are: {known}")
    return chosen


def _compute(asked: dict[str, tables.Wanted], options: CertifyOptions) -> int:
    assert options.out is not None
    for folder in filter(None, (options.out, options.report)):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=folder).close()
        except OSError as error:
            raise RdbenchError(f"cannot write to {folder}: {error.strerror}") from None
    lines: list[str] = []

    def say(line: str) -> None:
        print(line, flush=True)
        lines.append(line)

    for name, wanted in asked.items():
        rungs = list(tables.compute(wanted, say))
        tables.write(options.out, name, wanted.reference.tolerance, rungs)
    if options.report is not None:
        write_report(options.report, options.out, lines)
    return 0


def _check(asked: dict[str, tables.Wanted], options: CertifyOptions) -> int:
    """Complete tables, and a sample of their certificates computed again."""
    faults = [line for wanted in asked.values() for line in tables.missing(wanted)]
    stored = [
        (wanted.reference, centre)
        for wanted in asked.values()
        for rate in wanted.rates
        if (beta := wanted.reference.table.slopes.get(rate_name(rate))) is not None
        if (centre := wanted.reference.table.centres.get(wanted.reference.key(beta))) is not None
    ]
    random.Random(options.seed).shuffle(stored)
    done, left = 0, options.seconds
    for reference, centre in stored:
        if options.sample is not None and done >= options.sample:
            break
        if centre.cpu_s > left:
            continue
        fault, cpu_s = tables.disagreement(reference, centre)
        left -= cpu_s
        done += 1
        faults += [fault] if fault else []
    if not done:
        faults.append(f"nothing was computed again within {options.seconds:g} CPU seconds")
    for line in faults:
        print(f"rdbench: {line}", file=sys.stderr)
    verdict = f"{len(faults)} faults" if faults else "all agree"
    print(f"{len(asked)} tables, {done} of {len(stored)} certificates computed again: {verdict}")
    return 1 if faults else 0
