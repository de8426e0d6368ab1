"""``rdbench list``: names and summaries."""

from __future__ import annotations

from collections.abc import Iterator

from rdbench import registry
from rdbench.cli import parse
from rdbench.cli.layout import print_columns, rates_of
from rdbench.cli.messages import note
from rdbench.cli.options import ListOptions
from rdbench.outcomes import RdbenchError


def execute(options: ListOptions) -> int:
    """Print names and summaries; imports nothing heavy unless cases are asked for.

    Raises:
        RdbenchError: it is none of suites, estimators, cases.
    """
    what = parse.one_of("list", options.what, ("all", "suites", "estimators", "cases"))
    if what == "cases":
        print_columns(list(_cases()))
        return 0
    found = sorted(registry.entries().values(), key=lambda e: e.name)
    for kind, title in (("suite", "suites"), ("estimator", "estimators")):
        if what not in ("all", title):
            continue
        rows = [(e.name, e.summary) for e in found if e.kind == kind]
        if what == "all":
            print(f"{title}:")
        print_columns(rows or [("(none)", "")], indent=2 if what == "all" else 0)
    return 0


def _cases() -> Iterator[tuple[str, str, str]]:
    for name in registry.names("suite"):
        try:
            cases = registry.load_suite(name).cases()
        except RdbenchError as problem:  # it may need a package that is not installed
            note(str(problem))
            continue
        for case in cases:
            yield f"{name}/{case.name}", case.problem.source.name, rates_of(case.rates)
