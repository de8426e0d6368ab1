"""Hyper-parameters: their meaning, the values that they may take, and which of them seed a fit."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import itertools
import math
import textwrap
import typing
from typing import Any, Literal, TypeVar

from rdbench.types import RdbenchError

Value = TypeVar("Value")


def not_seeded(default: Value) -> Value:
    """A hyper-parameter that does not enter the seed of the fit.

    Fits with two values of it start from the same seed, and a new parameter with a default that
    changes nothing leaves all earlier fits as they were.
    """
    value: Value = dataclasses.field(default=default, metadata={"reseeds": False})
    return value


def reseeding(estimator: Any, fields: dict[str, Any]) -> dict[str, Any]:
    """Those of the hyper-parameters that enter the seed of the fit."""
    left_out = {
        field.name
        for field in dataclasses.fields(estimator)
        if not field.metadata.get("reseeds", True)
    }
    return {name: value for name, value in fields.items() if name not in left_out}


def meanings(cls: type) -> dict[str, str]:
    """Field -> the string below it, of a dataclass and of those that it inherits from.

    Empty where the source cannot be read.
    """
    found: dict[str, str] = {}
    for one in filter(dataclasses.is_dataclass, reversed(cls.__mro__)):
        try:
            body = ast.parse(textwrap.dedent(inspect.getsource(one))).body[0].body  # type: ignore[attr-defined]
        except (OSError, TypeError):
            continue
        for field, below in itertools.pairwise(body):
            match field, below:
                case (
                    ast.AnnAssign(target=ast.Name(id=name)),
                    ast.Expr(value=ast.Constant(value=str(text))),
                ):
                    found[name] = " ".join(text.split())
    return found


def check_settings(
    name: str,
    settings: Any,
    counts: tuple[str, ...] = (),
    positive: tuple[str, ...] = (),
    fractions: tuple[str, ...] = (),
) -> None:
    """Refuse values that no fit can work with; None, where a field allows it, is not looked at.

    Args:
        name: the estimator's, for the message.
        settings: the dataclass; every field that is a ``Literal`` is checked as well.
        counts: fields that are whole numbers of at least one.
        positive: fields that are finite and above zero.
        fractions: fields that lie in [0, 1).

    Raises:
        RdbenchError: the first value that is out of range.
    """

    def refuse(field: str, rule: str) -> None:
        raise RdbenchError(f"{name}: {field} {rule}, got {getattr(settings, field)}")

    def given(names: tuple[str, ...]) -> list[tuple[str, Any]]:
        return [(one, v) for one in names if (v := getattr(settings, one)) is not None]

    for field, value in given(counts):
        if isinstance(value, bool) or value < 1:
            refuse(field, "must be at least 1")
    for field, value in given(positive):
        if not 0.0 < value < math.inf:
            refuse(field, "must be positive")
    for field, value in given(fractions):
        if not 0.0 <= value < 1.0:
            refuse(field, "must lie in [0, 1)")
    for field, wanted in typing.get_type_hints(type(settings)).items():
        if typing.get_origin(wanted) is Literal:
            choices = typing.get_args(wanted)
            if getattr(settings, field) not in choices:
                refuse(field, f"is one of {', '.join(choices)}")
