"""``rdbench list`` and ``rdbench info``."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any

from rdbench import registry
from rdbench.cli.options import InfoOptions, ListOptions
from rdbench.outcomes import RdbenchError

_LISTS = ("all", "suites", "estimators", "cases")


def show_list(options: ListOptions) -> int:
    """Print names and summaries; imports nothing heavy unless cases are asked for.

    Raises:
        RdbenchError: it is none of suites, estimators, cases.
    """
    what = options.what
    if what not in _LISTS:
        raise RdbenchError(f"list takes suites, estimators or cases, got {what!r}")
    if what == "cases":
        _show_cases()
        return 0
    found = sorted(registry.entries().values(), key=lambda e: e.name)
    for kind, title in (("suite", "suites"), ("estimator", "estimators")):
        if what not in ("all", title):
            continue
        rows = [(e.name, e.summary) for e in found if e.kind == kind]
        if what == "all":
            print(f"{title}:")
        _columns(rows or [("(none)", "")], indent=2 if what == "all" else 0)
    return 0


def show_info(options: InfoOptions) -> int:
    """Print all there is to know of a suite or an estimator.

    Raises:
        RdbenchError: there is nothing of that name.
    """
    name = options.name
    found = registry.entries()
    if name not in found:
        raise registry.unknown("suite or estimator", name, sorted(found))
    if found[name].kind == "suite":
        _show_suite(name)
    else:
        _show_estimator(found[name])
    return 0


def _show_cases() -> None:
    _columns(
        [
            (f"{name}/{case.name}", case.problem.source.name, _rates(case.rates))
            for name in registry.names("suite")
            for case in registry.load_suite(name).cases()
        ]
    )


def _show_suite(name: str) -> None:
    suite = registry.load_suite(name)
    print(f"suite {name}, version {suite.version}")
    print(_flat(suite.summary))
    if suite.default_dims is not None and suite.dim_range is not None:
        lo, hi = suite.dim_range
        print(f"dimensions: {lo} to {hi}, by default {', '.join(map(str, suite.default_dims))}")
    else:
        print("dimensions: of its cases (it takes no --dims)")
    for case in suite.cases():
        problem, reference = case.problem, case.reference
        print(f"\ncase {case.name}")
        _columns(
            [
                ("source", f"{problem.source.name} (d = {problem.source.dim})"),
                ("distortion", problem.distortion.name),
                ("rates (nats)", _rates(case.rates)),
                ("truth", _flat(getattr(reference, "accuracy", reference.kind))),
                ("known from", _flat(reference.citation)),
                ("valid for", _flat(reference.validity)),
            ],
            indent=2,
        )


def _show_estimator(entry: registry.Entry) -> None:
    from rdbench.fitting.support import described  # imports torch, as the estimator does

    cls: Any = registry.load_estimator(entry.name)
    info = cls.info
    print(f"estimator {entry.name} ({entry.origin})")
    print(_flat(info.summary))
    print(f"citation: {_flat(info.citation)}")
    print(f"needs: {', '.join(sorted(info.needs)) or 'samples alone'}")
    print(f"supports: {described(info) or 'every problem'}")
    for setting, changed in info.variants.items():
        print(f"  with {setting}: {described(dataclasses.replace(info, **changed))}")
    if info.not_invariant:
        print(f"not invariant under: {', '.join(sorted(info.not_invariant))}")
    print("\nparameters (name, type, default):")
    types = registry.field_types(cls)
    _columns(
        [
            (f.name, registry.type_name(types[f.name]), _default(f))
            for f in dataclasses.fields(cls)
            if f.name in types
        ],
        indent=2,
    )
    print("\npresets:")
    presets = {"default": {}, **info.presets}
    for preset, values in presets.items():
        shown = ", ".join(f"{k}={v}" for k, v in values.items()) or "the defaults"
        print(f"  {preset}: {shown}")
        if preset in info.preset_notes:
            print(f"    {_flat(info.preset_notes[preset])}")


def _default(field: dataclasses.Field[Any]) -> str:
    if field.default is not dataclasses.MISSING:
        return repr(field.default)
    if field.default_factory is not dataclasses.MISSING:
        return repr(field.default_factory())
    return "(required)"


def _rates(rates: Iterable[float]) -> str:
    return ", ".join(f"{rate:.4g}" for rate in rates)


def _flat(text: str) -> str:
    return " ".join(text.split())


def _columns(rows: Sequence[tuple[str, ...]], indent: int = 0) -> None:
    if not rows:
        return
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        cells = (text.ljust(width) for text, width in zip(row, widths, strict=True))
        print((" " * indent + "  ".join(cells)).rstrip())
