"""Inputs that nobody meant: ``python -m benchmarks.campaign.fuzz --inputs 1000000 --seed 1``.

A third each are specifications of estimators and suites, lists and numbers of the command line, and
lines of records. They begin as right ones and are damaged at random. Each has to be taken or to be
refused in one line (`RdbenchError`; of a record, a warning); what is taken of records goes through
every table, export and metric, and from time to time through a page. Whatever else is raised is a
fault: its input is shown, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import functools
import io
import random
import sys
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.campaign.plans import commit
from rdbench import registry
from rdbench.cli import parse
from rdbench.columns import TABLES
from rdbench.outcomes import RdbenchError
from rdbench.report.against import against_table
from rdbench.report.csv_file import csv_parts
from rdbench.report.export import frame
from rdbench.report.metrics import METRICS
from rdbench.report.page.render import render
from rdbench.report.pivot import pivot_table
from rdbench.report.tables import metric_table
from rdbench.run.budgets import seconds_of
from rdbench.run.reading import Loaded, take, without_draws
from rdbench.run.records import CellRecord, Draws, PointRecord, TracePoint

_ROOT = Path(__file__).resolve().parents[2]
AT_ONCE = 400
"""Records that go through the tables together."""
_PAGES = 25
"""One such lot in so many makes a page."""
_PIECES = (
    "[", "]", "(", ")", ",", "=", ":", "-", "/", "+", ".", "e", " ", "", "0", "1", "-1", "1e999",
    "1e-999", "nan", "inf", "9" * 25, "9" * 5000, "True", "None", "null", "'", '"', "\\", "\x00",
    "\n", "\x1b[2J", "\ud800", "\N{ARABIC-INDIC DIGIT THREE}", "all", "+lower", ":paper", ".py:",
    "ebrd", "wgd", "particles=", "é",
)  # fmt: skip
_VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2**63, 2**64, -(2**70), 10**400, 0.5, -0.0, 1e308, -1e308, 5e-324,
    "", "x" * 3000, "\ud800", "\x1b[2J", "=1+1", "NaN", "ok", "timeout", "upper", "lower", "exact",
    [], [[]], [1.0], [[1.0, 2.0]], {}, {"a": {}}, {"x": []},
)  # fmt: skip
_SPECS = (
    "ebrd", "wgd[particles=40,iterations=3]", "nerd:paper", "blahut_arimoto:product", "mixture_em",
    "csiszar_dual:paper[hidden=(3,3)]", "wgd+lower", "ebrd:mixture,wgd,nerd[steps=10]", "all",
    "scalar,planar", "beta_vae:tied[latent=2]",
)  # fmt: skip
_LISTS = ("0-3", "0,1,2", "2,5,10", "0.5,1,2", "1e-3,20", "3/7", "bits", "20s,quick,full", "1")


def damaged(text: str, chance: random.Random) -> str:
    """The text with up to four pieces put in, taken out, doubled or exchanged."""
    for _ in range(chance.choice((1, 1, 2, 4))):
        start = chance.randint(0, len(text))
        end = min(start + chance.choice((0, 0, 1, 1, 2, 5)), len(text))
        piece = chance.choice((chance.choice(_PIECES), text[start : start + 6] * 2))
        text = text[:start] + piece + text[end:]
    return text


def damaged_value(value: Any, chance: random.Random) -> Any:
    """A value of JSON with something in it exchanged, left out or added."""
    if isinstance(value, dict) and value and chance.random() < 0.9:
        name = chance.choice(list(value))
        match chance.randint(0, 9):
            case 0:
                return {k: v for k, v in value.items() if k != name}
            case 1:
                return {**value, damaged(name, chance): value[name]}
            case _:
                return {**value, name: damaged_value(value[name], chance)}
    if isinstance(value, list) and value and chance.random() < 0.8:
        place = chance.randrange(len(value))
        own = [damaged_value(value[place], chance)] if chance.random() < 0.8 else []
        return [*value[:place], *own * chance.randint(1, 3), *value[place + 1 :]]
    if isinstance(value, float) and chance.random() < 0.5:
        return value * chance.choice((-1.0, 0.0, 1e-300, 1e300, 1e9, 1.0 + 1e-12))
    if isinstance(value, str) and chance.random() < 0.3:
        return damaged(value, chance)
    return chance.choice(_VALUES)


def line_of(record: Mapping[str, Any], chance: random.Random) -> bytes:
    """A line of records.jsonl, damaged as JSON, and one time in eight as bytes, too."""
    made: Any = dict(record)
    for _ in range(chance.randint(1, 3)):
        made = damaged_value(made, chance)
    try:
        raw = msgspec.json.encode(made)
    except (UnicodeEncodeError, msgspec.MsgspecError, OverflowError):
        import json

        raw = json.dumps(made).encode(errors="surrogatepass")
    if chance.random() < 0.125:
        place = chance.randint(0, len(raw))
        put = (b"\xff", b"[" * 5000, b'"', b"}", b"\x00", b'"draws":{')
        raw = raw[:place] + chance.choice(put) + raw[place + chance.randint(0, 40) :]
    return raw.replace(b"\n", b" ") + b"\n"


def models(chance: random.Random) -> list[dict[str, Any]]:
    """Right records, as JSON has them: some cases, estimators and sides, with every part."""
    found = []
    draws = Draws(x=[[0.5]], y=[[[1e-7], [2.0]]], source=[[0.25]], reproduction=[[-3e-5]])
    with (_ROOT / "results" / "paper" / "records" / "records.jsonl").open("rb") as file:
        base = msgspec.json.decode(file.readline())
    for number in range(24):
        side = ("exact", "upper", "estimate", "lower")[number % 4]
        points = [
            PointRecord(
                beta=beta, target_rate=1.0 / beta, status="ok", side=side, claimed_rate=0.7,
                claimed_distortion=0.25, claimed_side="upper", rate=0.7, distortion=0.25,
                lagrangian=1.2, lagrangian_lo=1.1, lagrangian_hi=1.3, gap=0.01, gap_lo=0.0,
                gap_hi=0.02, truth_lo=1.19, truth_hi=1.19, rate_lo=0.69, rate_hi=0.69,
                dist_lo=0.25, dist_hi=0.25, ess=1.0, rate_error=0.01, gap_common_se=0.001,
                gap_blocks=[chance.random() for _ in range(4)], audit_s=0.5,
                draws=draws if number % 3 else None,
            )
            for beta in (1.0, 2.0)
        ]  # fmt: skip
        trace = [TracePoint(beta=1.0, wall_s=1.0, cpu_s=1.0, gap=0.1, gap_lo=0.0, gap_hi=0.2)]
        plain = {"points": msgspec.to_builtins(points), "trace": msgspec.to_builtins(trace)}
        names = {
            "cell": f"{number:032x}", "case": f"c{number % 3}", "dim": 1 + number % 3,
            "estimator": f"e{number % 5}", "seed": number % 2, "fields": {"steps": 3},
        }  # fmt: skip
        found.append({**base, **names, **plain})
    return found


class Fuzz:
    """Feeds inputs, and keeps what went wrong."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.counts: Counter[str] = Counter()
        self.faults: list[str] = []

    def try_one(self, kind: str, what: object, work: Callable[[], object]) -> None:
        """Carry out the work on an input; a complaint in one line is in order."""
        self.counts[kind] += 1
        try:
            work()
        except RdbenchError as problem:
            self.counts[f"{kind}, refused"] += 1
            if "\n" in str(problem):
                self.faults.append(f"{kind} {what!r}: more than one line: {problem}")
        except BaseException:
            self.faults.append(f"{kind} {str(what)[:2000]!r}:\n{traceback.format_exc()}")

    def specs(self) -> None:
        """One specification."""
        text = damaged(self.chance.choice(_SPECS), self.chance)
        work = self.chance.choice((registry.choose_all, registry.choose_all, registry.load_suites))
        self.try_one("specifications", text, lambda: work(text))

    def lists(self) -> None:
        """One list, number, shard or budget."""
        text = damaged(self.chance.choice(_LISTS), self.chance)
        work = self.chance.choice(
            (
                lambda: parse.integers("--seeds", text, 0),
                lambda: parse.positive_numbers("--rates", text),
                lambda: parse.shard(text),
                lambda: parse.units(text),
                lambda: [seconds_of(part) for part in text.split(",")],
            )
        )
        self.try_one("lists and numbers", text, work)

    def lots(self, every: int) -> Iterator[Callable[[], None]]:
        """Lines of records for ever; a lot of what was taken goes through the tables."""
        good, loaded, number = models(self.chance), Loaded(), 0
        while True:
            raw = line_of(self.chance.choice(good), self.chance)
            yield lambda raw=raw, loaded=loaded: self.record(raw, loaded)  # type: ignore[misc]
            if self.counts["lines of records"] % AT_ONCE == 0:
                records = list(loaded.records.values())
                self.counts["records that were taken"] += len(records)
                number += 1
                yield lambda records=records, n=number: self.tables(  # type: ignore[misc]
                    records, page=n % every == 0
                )
                loaded = Loaded()

    def record(self, raw: bytes, loaded: Loaded) -> None:
        """One line, with its draws or without."""
        short = without_draws(raw) if self.chance.random() < 0.5 else raw
        # Every line is a cell of its own here, so that all that is taken is looked at.
        own = Loaded()
        self.try_one("lines of records", raw, lambda: take([short], Path("records"), 0, own))
        for record in own.records.values():
            key = f"{record.cell} {len(loaded.records)}"
            loaded.records[key] = record
        told = [line for line in own.warnings if "\n" in line or not line.isprintable()]
        self.faults += [f"a warning that cannot be shown: {line!r}" for line in told]

    def tables(self, records: Sequence[CellRecord], *, page: bool) -> None:
        """All that reads records."""
        works: dict[str, Callable[[], object]] = {
            "against": lambda: against_table(records, "e0"),
            "pivot": lambda: pivot_table(records, "gap"),
        }
        for what in TABLES:
            works[f"csv of {what}"] = lambda what=what: list(csv_parts(records, what))  # type: ignore[misc]
            works[f"frame of {what}"] = lambda what=what: frame(records, what)  # type: ignore[misc]
        for name in METRICS:
            works[f"table of {name}"] = lambda name=name: metric_table(records, name)  # type: ignore[misc]
        if page:
            works["page"] = lambda: render(records, "fuzzed")
        for name, work in works.items():
            self.try_one("tables, exports and pages", f"{name} of a lot of records", work)


def main(arguments: Sequence[str] | None = None) -> int:
    """Feed the inputs, print the table and write it; 1 where something was raised."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=30_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, help="a folder for fuzz.md")
    given = parser.parse_args(arguments)
    fuzz, began = Fuzz(given.seed), time.process_time()
    lots = fuzz.lots(_PAGES)
    # Nothing is registered meanwhile: to look for it anew each time takes 30 ms.
    registry.entries = functools.cache(registry.entries)
    kinds: Sequence[Callable[[], None]] = (fuzz.specs, fuzz.lists, lambda: next(lots)())
    warnings.simplefilter("ignore")
    for number in range(given.inputs):
        with contextlib.redirect_stderr(io.StringIO()):
            kinds[number % len(kinds)]()
        if len(fuzz.faults) > 20:
            break
    spent = time.process_time() - began
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    text = "\n".join(
        [
            "# Inputs that nobody meant",
            "",
            f"`python -m benchmarks.campaign.fuzz --inputs {given.inputs} --seed {given.seed}` at "
            f"{commit()}, {today}, {spent:.0f} CPU seconds.",
            "",
            "| what | number |",
            "|---|---|",
            *(f"| {name} | {count:,} |" for name, count in sorted(fuzz.counts.items())),
            f"| **raised** anything but a complaint in one line | {len(fuzz.faults)} |",
        ]
    )
    print(text)
    print(*fuzz.faults, sep="\n\n", file=sys.stderr)
    if given.out is not None:
        given.out.mkdir(parents=True, exist_ok=True)
        (given.out / "fuzz.md").write_text(text + "\n")
    return 1 if fuzz.faults else 0


if __name__ == "__main__":
    sys.exit(main())
