"""``rdbench info``: all about one suite, or about one estimator."""

from __future__ import annotations

import dataclasses
import textwrap
from typing import Any

from rdbench import registry
from rdbench.cli.layout import print_columns, rates_of
from rdbench.cli.options import InfoOptions
from rdbench.outcomes import unknown


def execute(options: InfoOptions) -> int:
    """Print all there is to know of a suite or an estimator.

    Raises:
        RdbenchError: there is nothing of that name.
    """
    found = registry.entries()
    name = options.name.removesuffix(registry.LOWER)
    if name not in found or (name != options.name and found[name].kind == "suite"):
        raise unknown("suite or estimator", options.name, sorted(found))
    if found[name].kind == "suite":
        _show_suite(name)
    else:
        _show_estimator(found[name], options.name)
    return 0


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
        print_columns(
            [
                ("source", f"{problem.source.name} (d = {problem.source.dim})"),
                ("distortion", problem.distortion.name),
                ("rates (nats)", rates_of(case.rates)),
                ("truth", _flat(getattr(reference, "accuracy", reference.kind))),
                ("known from", _flat(reference.citation)),
                ("valid for", _flat(reference.validity)),
            ],
            indent=2,
        )


def _show_estimator(entry: registry.Entry, name: str) -> None:
    """All of an estimator, or of its lower twin, which has its parameters and presets."""
    # these import torch, as the estimator does
    from rdbench.fitting.settings import meanings
    from rdbench.fitting.support import described

    cls: Any = registry.load_estimator(name)
    info = cls.info
    print(f"estimator {name} ({entry.origin})")
    print(_flat(info.summary))
    print(f"citation: {_flat(info.citation)}")
    print(f"needs: {', '.join(sorted(info.needs)) or 'samples alone'}")
    print(f"supports: {described(info) or 'every problem'}")
    for setting, changed in info.variants.items():
        print(f"  with {setting}: {described(dataclasses.replace(info, **changed))}")
    if info.not_invariant:
        print(f"not invariant under: {', '.join(sorted(info.not_invariant))}")
    print("\nparameters:")
    types, said = registry.field_types(cls), meanings(cls)
    for field in dataclasses.fields(cls):
        if field.name in types:
            print(f"  {field.name}: {registry.type_name(types[field.name])} = {_default(field)}")
            meaning = said.get(field.name, "").partition(". ")[0].replace("``", "")
            for line in textwrap.wrap(meaning, 90):
                print(f"      {line}")
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


def _flat(text: str) -> str:
    return " ".join(text.split())
