"""Is the class what the registry, the command line and the tables expect?"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Mapping
from typing import Any

import msgspec

from rdbench import registry
from rdbench.check.findings import Outcome, failed, judged
from rdbench.outcomes import in_words
from rdbench.types import EstimatorInfo

TRANSFORMS = ("shift", "scale", "rotation")
_FIT = ("view", "betas", "generator", "monitor")


def protocol(cls: Any) -> Outcome:
    """A frozen dataclass of plain hyper-parameters with defaults, with ``info`` and ``fit``."""
    if not isinstance(cls, type):
        return failed(f"it is a {type(cls).__name__}, not a class")
    if not dataclasses.is_dataclass(cls):
        return failed("the class is no dataclass; write @dataclass(frozen=True) above it")
    info: Any = getattr(cls, "info", None)
    if not isinstance(info, EstimatorInfo):
        return failed(
            "the class has no info: write info: ClassVar[EstimatorInfo] = EstimatorInfo(...)"
        )
    faults = _faults_of_class(cls) + _faults_of_info(cls, info)
    fields = [f.name for f in dataclasses.fields(cls)]
    presets = ", ".join(["default", *info.presets])
    return judged(
        faults, f"frozen dataclass; parameters: {len(fields)}; presets: {presets}", shown=3
    )


def _faults_of_class(cls: Any) -> list[str]:
    faults = []
    if not cls.__dataclass_params__.frozen:
        faults.append(
            "the dataclass is not frozen: what fit learns would leak from one problem into the "
            "next; write @dataclass(frozen=True)"
        )
    missing = dataclasses.MISSING
    faults += [
        f"the parameter {field.name} has no default"
        for field in dataclasses.fields(cls)
        if field.default is missing and field.default_factory is missing
    ]
    fit = getattr(cls, "fit", None)
    if not callable(fit):
        return [*faults, "it has no method fit"]
    taken = tuple(inspect.signature(fit).parameters)[1:]
    if taken != _FIT:
        faults.append(f"fit takes ({', '.join(taken)}) where ({', '.join(_FIT)}) is meant")
    return faults + ([] if faults else _faults_of_values(cls))


def _faults_of_values(cls: Any) -> list[str]:
    """Results are stored with the hyper-parameters as JSON, and rebuilt from them."""
    try:
        types = registry.field_types(cls)
    except Exception as problem:  # annotations that do not resolve
        return [f"the types of its parameters cannot be read: {in_words(problem)}"]
    try:
        values = dataclasses.asdict(cls())
    except Exception as problem:  # an estimator's code may raise anything
        return [f"it cannot be made without arguments: {in_words(problem)}"]
    faults = []
    for name, wanted in types.items():
        try:
            plain = msgspec.json.decode(msgspec.json.encode(values[name]))
            back = msgspec.convert(plain, wanted)
        except (TypeError, msgspec.MsgspecError) as problem:
            faults.append(
                f"the parameter {name} is not plain JSON of its type ({in_words(problem)}); use "
                "int, float, str, bool, a Literal, or one of these or None"
            )
            continue
        if back != values[name]:
            faults.append(f"the parameter {name} is {values[name]!r}, and {back!r} out of JSON")
    return faults


def _faults_of_info(cls: Any, info: EstimatorInfo) -> list[str]:
    faults = [f"info.{n} is empty" for n in ("summary", "citation") if not getattr(info, n).strip()]
    if info.side not in ("upper", "lower"):
        faults.append(f"info.side is {info.side!r}; it is upper or lower")
    faults += [
        f"info.needs holds {need!r}; density and support are what can be asked for"
        for need in sorted(info.needs - {"density", "support"})
    ]
    limits = ("distortions", "alphabet", "max_dim", "slopes")
    for setting, changed in info.variants.items():
        if setting.partition("=")[0] not in {field.name for field in dataclasses.fields(cls)}:
            faults.append(f"info.variants holds {setting!r}; it takes 'parameter=value'")
        faults += [
            f"info.variants changes {n}, which is no limit" for n in changed if n not in limits
        ]
    if "default" in info.presets:
        faults.append("a preset is called default, which is the name of the defaults")
    for name, values in info.presets.items():
        faults += _faults_of_preset(cls, name, values)
        if not info.preset_notes.get(name, "").strip():
            faults.append(f"info.preset_notes says nothing of the preset {name}")
    for name in sorted(set(info.preset_notes) - set(info.presets) - {"default"}):
        faults.append(f"info.preset_notes has {name}, which is no preset")
    for name in sorted(info.not_invariant):
        transform, _, preset = name.partition(":")
        if transform not in TRANSFORMS or (preset and preset not in {"default", *info.presets}):
            faults.append(
                f"info.not_invariant holds {name!r}; it takes shift, scale and rotation, with "
                "':preset' where one preset alone is meant"
            )
    return faults


def _faults_of_preset(cls: Any, name: str, values: Mapping[str, Any]) -> list[str]:
    known = {field.name for field in dataclasses.fields(cls)}
    strange = sorted(set(values) - known)
    if strange:
        return [f"the preset {name} sets {', '.join(strange)}, which are no parameters"]
    try:
        cls(**values)
    except Exception as problem:  # an estimator's code may raise anything
        return [f"the preset {name} cannot be made: {in_words(problem)}"]
    return []
