"""MODULE:CLASS, FILE.py:CLASS or a registered name -> the class, its preset, and how it imports."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from typing import Any

from rdbench import registry
from rdbench.check.findings import Outcome, judged, skipped
from rdbench.check.state import changed, explained, kept, snapshot
from rdbench.outcomes import RdbenchError, in_words, unknown
from rdbench.targets import class_in, import_module

_SEED = 982451653  # one that no module is likely to set
_SLOW = 5.0  # CPU seconds; large libraries that it needs take one or two


@dataclass(frozen=True)
class Loaded:
    """The class and the preset to check."""

    cls: Any
    preset: str
    imported: Outcome
    """The verdict on importing the module: the time it took, the state it changed."""


def load(target: str) -> Loaded:
    """Find and import the class.

    Raises:
        RdbenchError: there is no such module, file, class, name or preset, or the class cannot be
            made without arguments.
    """
    head, colon, tail = target.strip().partition(":")
    if head.removesuffix(registry.LOWER) in registry.names("estimator"):
        return _registered(head, tail if colon else "default")
    if not colon or not head or not tail:
        names = ", ".join(registry.names("estimator"))
        raise RdbenchError(
            f"check takes MODULE:CLASS, FILE.py:CLASS or one of {names}; got {target!r}"
        )
    if not tail.isidentifier():
        raise RdbenchError(f"{tail!r} is no name of a class; check takes MODULE:CLASS")
    known = head in sys.modules
    with kept(_SEED):
        before, began = snapshot(), time.process_time()
        module = import_module(head)
        took, touched = time.process_time() - began, changed(before, snapshot())
    cls = _made(target, class_in(module, head, tail))
    return Loaded(cls, "default", _imported(known, took, touched))


def _made(target: str, cls: Any) -> Any:
    """The class itself, once an instance could be made."""
    if not isinstance(cls, type):
        raise RdbenchError(f"{target} is a {type(cls).__name__}, not a class")
    try:
        with kept(_SEED):
            cls()
    except Exception as problem:  # an estimator's code may raise anything
        raise RdbenchError(
            f"{target} cannot be made without arguments, every parameter needs a default: "
            f"{in_words(problem)}"
        ) from problem
    return cls


def _registered(name: str, preset: str) -> Loaded:
    cls: Any = registry.load_estimator(name)
    if preset != "default" and preset not in cls.info.presets:
        raise unknown(f"preset of {name}", preset, ["default", *cls.info.presets])
    return Loaded(cls, preset, skipped("it is registered, and imported already"))


def _imported(known: bool, took: float, touched: list[str]) -> Outcome:
    if known:
        return skipped("the module was imported already")
    faults = [f"importing the module: {explained(part)}" for part in touched if _matters(part)]
    if took > _SLOW:
        faults.append(
            f"importing the module took {took:.1f} CPU-s: every command that lists or loads it "
            "waits for that; do the work in fit"
        )
    return judged(faults, f"imported in {took:.1f} CPU-s, nothing global changed")


def _matters(part: str) -> bool:
    """Libraries that it imports may set up filters and variables of their own."""
    return part not in ("the warning filters", "the environment variables")
