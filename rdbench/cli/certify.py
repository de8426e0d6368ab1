"""``rdbench certify``: compute the tables of certified truth again, or check them."""

from __future__ import annotations

import random
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import partial

from rdbench import registry
from rdbench.cli.options import CertifyOptions
from rdbench.outcomes import RdbenchError
from rdbench.references import tables
from rdbench.references.noisy import SampledBound, sampled_entropy
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


@dataclass(frozen=True)
class _Asked:
    """Tables of certificates and entropies, by name."""

    tables: dict[str, tables.Wanted]
    entropies: dict[str, SampledBound]


def _asked(options: CertifyOptions) -> _Asked:
    cases = [c for suite in registry.load_suites(options.suite) for c in suite.cases()]
    found, entropies = tables.wanted(cases), tables.sampled(cases)
    chosen = _Asked(
        {name: w for name, w in found.items() if fnmatchcase(name, options.cases)},
        {name: r for name, r in entropies.items() if fnmatchcase(name, options.cases)},
    )
    if not chosen.tables and not chosen.entropies:
        known = ", ".join(sorted({*found, *entropies})) or "none: every truth is a closed form"
        raise RdbenchError(f"no table matches {options.cases!r}; there are: {known}")
    return chosen


def _compute(asked: _Asked, options: CertifyOptions) -> int:
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

    for wanted in asked.tables.values():
        rungs = list(tables.compute(wanted, say))
        tables.write(options.out, wanted.reference, rungs)
    for name, reference in asked.entropies.items():
        entropy = sampled_entropy(reference.source, reference.draws)
        say(tables.describe_entropy(name, entropy))
        tables.write_entropy(options.out, name, entropy)
    if options.report is not None:
        write_report(options.report, options.out, lines)
    return 0


def _check(asked: _Asked, options: CertifyOptions) -> int:
    """Complete tables, and a sample of what they hold computed again."""
    wanted, entropies = asked.tables.values(), asked.entropies.values()
    faults = [line for one in wanted for line in tables.missing(one)]
    faults += [f"{r.case}: no entropy" for r in entropies if not r.parts]
    # what it costs, about, and how it is done
    stored: list[tuple[float, Callable[[], tuple[str, float]]]] = [
        (centre.cpu_s, partial(tables.disagreement, one.reference, centre))
        for one in wanted
        for rate in one.rates
        if (beta := one.reference.table.slopes.get(rate_name(rate))) is not None
        if (centre := one.reference.table.centres.get(one.reference.key(beta))) is not None
    ]
    stored += [
        (r.entropy.cpu_s / tables.FEWER, partial(tables.off, r, options.seed))
        for r in entropies
        if r.parts
    ]
    random.Random(options.seed).shuffle(stored)
    done, left = 0, options.seconds
    for cost, again in stored:
        if options.sample is not None and done >= options.sample:
            break
        if cost > left:
            continue
        fault, cpu_s = again()
        left -= cpu_s
        done += 1
        faults += [fault] if fault else []
    if not done:
        faults.append(f"nothing was computed again within {options.seconds:g} CPU seconds")
    for line in faults:
        print(f"rdbench: {line}", file=sys.stderr)
    verdict = f"{len(faults)} faults" if faults else "all agree"
    count = len(asked.tables) + len(asked.entropies)
    print(f"{count} tables, {done} of {len(stored)} certificates computed again: {verdict}")
    return 1 if faults else 0
