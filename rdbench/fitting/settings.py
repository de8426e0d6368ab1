"""Hyper-parameters: what their values may be, and which of them do not reseed a fit."""

from __future__ import annotations

import dataclasses
import math
import typing
from typing import Any, Literal, TypeVar

from rdbench.types import RdbenchError

Value = TypeVar("Value")


def tuned(default: Value) -> Value:
    """A hyper-parameter on which the random stream of the fit does not depend.

    Two values of it are compared on the same random numbers, and a fit with the default draws what
    it drew before the parameter was there.
    """
    value: Value = dataclasses.field(default=default, metadata={"reseeds": False})
    return value


def reseeding(estimator: Any, fields: dict[str, Any]) -> dict[str, Any]:
    """Those of the hyper-parameters that the random stream of the fit is seeded with."""
    tuned_names = {
        field.name
        for field in dataclasses.fields(estimator)
        if not field.metadata.get("reseeds", True)
    }
    return {name: value for name, value in fields.items() if name not in tuned_names}


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
