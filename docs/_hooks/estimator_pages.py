"""Markdown about the estimators, from their classes."""

from __future__ import annotations

import dataclasses
from typing import Any

from markup import flat, table

from rdbench import registry
from rdbench.fitting.settings import meanings
from rdbench.fitting.support import described


def overview() -> str:
    """One row per registered estimator of this package, with a link to its page."""
    rows = []
    for name in registry.names("estimator"):
        if registry.find("estimator", name).origin != "rdbench":
            continue
        info = registry.load_estimator(name).info
        presets = ", ".join(f"`{name}:{preset}`" for preset in info.presets) or "–"
        rows.append((f"[{name}]({name}.md)", flat(info.summary), presets))
    return table(("estimator", "what it does", "presets"), rows)


def facts(name: str) -> str:
    """Citation, what the estimator sees and supports, and on which coordinates it depends."""
    info = registry.load_estimator(name).info
    sees = ["training samples", *(f"the {one} of the source" for one in sorted(info.needs))]
    supported = described(info) or "every problem"
    if "support" in info.needs:
        supported = f"finite sources under every distortion; on R^d, {supported}"
    return "\n".join(
        [
            f"- **Summary**: {flat(info.summary)}.",
            f"- **Reference**: {flat(info.citation)}.",
            f"- **Sees**: {', '.join(sees)}.",
            f"- **Supports**: {supported}.",
            f"- **Depends on**: {_dependence(info.not_invariant)}.",
        ]
    )


def parameters(name: str) -> str:
    """Every field of the class: type, default, meaning."""
    cls: Any = registry.load_estimator(name)
    types = registry.field_types(cls)
    said = meanings(cls)
    rows = [
        (
            f"`{field.name}`",
            f"`{_default(field)}`",
            registry.type_name(types[field.name]).replace(" | ", ", "),
            said.get(field.name, ""),
        )
        for field in dataclasses.fields(cls)
        if field.name in types
    ]
    return table(("parameter", "default", "takes", "meaning"), rows)


def presets(name: str) -> str:
    """The settings of every preset, and which of them are not published."""
    info = registry.load_estimator(name).info
    if not info.presets:
        return "There are no presets."
    parts = []
    for preset, values in info.presets.items():
        shown = ", ".join(f"`{key}={value}`" for key, value in values.items())
        note = flat(info.preset_notes.get(preset, ""))
        parts.append(f"**`{name}:{preset}`** sets {shown}.\n\n{note}".strip())
    return "\n\n".join(parts)


def _dependence(declared: frozenset[str]) -> str:
    if not declared:
        return "neither the mean, the scale nor the axes of the source"
    by_preset: dict[str, list[str]] = {}
    for one in sorted(declared):
        kind, _, preset = one.partition(":")
        by_preset.setdefault(preset, []).append(kind)
    return "; ".join(
        f"{', '.join(kinds)} of the source{f' (preset {preset} only)' if preset else ''}"
        for preset, kinds in by_preset.items()
    )


def _default(field: dataclasses.Field[Any]) -> str:
    if field.default_factory is not dataclasses.MISSING:
        return repr(field.default_factory())
    return "required" if field.default is dataclasses.MISSING else str(field.default)
