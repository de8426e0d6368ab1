"""Names -> estimators and suites: the files of the two folders and the entry points of others.

Listing imports nothing heavy: names come from file names and package metadata, summaries from
the first line of a module's docstring. A module is imported when something in it is asked for.

A name is unique across estimators and suites. A module ``estimators/<name>.py``, or a folder
``estimators/<name>/`` with its parts beside ``__init__.py``, holds a constant ``ESTIMATOR`` (the
class), a file ``suites/<name>.py`` a constant ``SUITE``; a distribution of somebody else's
registers ``module:ATTR`` under the entry-point groups ``rdbench.estimators`` and
``rdbench.suites``.
"""

from __future__ import annotations

import ast
import importlib
import importlib.metadata
import importlib.util
import itertools
import pkgutil
import re
import typing
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.machinery import PathFinder
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from rdbench.outcomes import RdbenchError
from rdbench.outcomes import unknown as unknown
from rdbench.targets import class_in, import_module

if TYPE_CHECKING:
    from rdbench.types import Estimator, Suite

Kind = Literal["estimator", "suite"]

_SPEC = (
    r"(?P<name>[^:\[\]]*?\.py:\w+(?:\+lower)?|[^:\[\]]+)"
    r"(?::(?P<preset>[^:\[\]]+))?(?:\[(?P<rest>.*)\])?"
)
LOWER = "+lower"
"""After the name of an estimator: its lower twin, `rdbench.fitting.lower`."""
_GROUPS: dict[Kind, str] = {"estimator": "rdbench.estimators", "suite": "rdbench.suites"}
_ATTRIBUTES: dict[Kind, str] = {"estimator": "ESTIMATOR", "suite": "SUITE"}


@dataclass(frozen=True)
class Entry:
    """A registered name, not yet imported."""

    kind: Kind
    name: str
    module: str
    attribute: str
    origin: str
    """``rdbench``, or the distribution that registers it, with its version."""
    file: Path | None

    @property
    def summary(self) -> str:
        """The first line of its docstring; reads its source."""
        said = _first_line(self.file, self.attribute)
        return said if self.origin == "rdbench" else f"{said} (from {self.origin})".strip()


@dataclass(frozen=True)
class EstimatorChoice:
    """An estimator as it was asked for: a name, a preset, overrides, and the instance."""

    name: str
    preset: str
    params: dict[str, Any]
    """The overrides alone, already of the fields' types."""
    estimator: Estimator
    origin: str
    """``rdbench``, the distribution that registers it with its version, or that it is a file."""
    file: str | None = None
    """The absolute path of an estimator that was given as FILE.py:CLASS; None where registered."""

    @property
    def label(self) -> str:
        """The specification that gives this choice again, e.g. ``ebrd:paper[particles=4000]``."""
        return label(self.name, self.preset, self.params)


def label(name: str, preset: str, params: dict[str, Any]) -> str:
    """``name:preset[key=value,...]``, without the parts that say nothing."""
    head = name if preset == "default" else f"{name}:{preset}"
    if not params:
        return head
    return f"{head}[{','.join(f'{k}={_written(v)}' for k, v in sorted(params.items()))}]"


# --------------------------------------------------------------------------------------------
# what is there


def entries() -> dict[str, Entry]:
    """Everything registered, by name, suites and estimators together.

    Raises:
        RdbenchError: two registrations share a name.
    """
    if _settled:
        return dict(_settled[-1])
    found: dict[str, Entry] = {}
    for entry in _registered():
        other = found.get(entry.name)
        if other is not None:
            raise RdbenchError(
                f"the name {entry.name} is registered twice: {_where(other)} and {_where(entry)}"
            )
        found[entry.name] = entry
    return found


_settled: list[dict[str, Entry]] = []
_remembered: dict[str, Entry] = {}


@contextmanager
def settled() -> Iterator[None]:
    """Within the block nothing is registered or goes: to look for it takes 30 ms each time."""
    _settled.append(entries())
    try:
        yield
    finally:
        _settled.pop()


def remember() -> None:
    """Look no further for what is registered now: for a process that looks for the same again."""
    _remembered.update(entries())


def modules_of(kind: Kind, names: Iterable[str]) -> list[str]:
    """The modules that would hold these, if they are ours; imports nothing."""
    return [f"{_GROUPS[kind]}.{name.removesuffix(LOWER)}" for name in dict.fromkeys(names)]


def names(kind: Kind) -> list[str]:
    """The registered names of one kind, sorted."""
    return sorted(e.name for e in entries().values() if e.kind == kind)


def find(kind: Kind, name: str) -> Entry:
    """The entry of that name.

    Raises:
        RdbenchError: there is none; the line lists the valid names.
    """
    entry = _remembered.get(name) or entries().get(name)
    if entry is None or entry.kind != kind:
        hint = f"{name} is a {entry.kind}" if entry is not None else ""
        raise unknown(kind, name, names(kind), hint)
    return entry


def _registered() -> Iterable[Entry]:
    kinds: tuple[Kind, ...] = ("suite", "estimator")
    for kind in kinds:
        yield from _built_in(kind)
    for kind in kinds:
        yield from _plugged_in(kind)


def _built_in(kind: Kind) -> Iterable[Entry]:
    package = _GROUPS[kind]
    spec = importlib.util.find_spec(package)
    folders = list(spec.submodule_search_locations or []) if spec is not None else []
    for module in sorted(pkgutil.iter_modules(folders), key=lambda m: m.name):
        if module.name.startswith("_"):
            continue
        inside = f"{module.name}/__init__.py" if module.ispkg else f"{module.name}.py"
        file = next((p for f in folders if (p := Path(f) / inside).is_file()), None)
        yield Entry(
            kind=kind,
            name=module.name,
            module=f"{package}.{module.name}",
            attribute=_ATTRIBUTES[kind],
            origin="rdbench",
            file=file,
        )


def _plugged_in(kind: Kind) -> Iterable[Entry]:
    for point in importlib.metadata.entry_points(group=_GROUPS[kind]):
        dist = point.dist
        origin = f"{dist.name} {dist.version}" if dist is not None else "an entry point"
        yield Entry(
            kind=kind,
            name=point.name,
            module=point.module,
            attribute=point.attr,
            origin=origin,
            file=_file_of(point.module),
        )


def _file_of(module: str) -> Path | None:
    """The source of a module, found without importing it or the packages around it."""
    top, *below = module.split(".")
    try:
        spec = importlib.util.find_spec(top)
        for name in itertools.accumulate(below, "{}.{}".format, initial=top):
            if name != top and spec is not None:
                spec = PathFinder.find_spec(name, spec.submodule_search_locations)
    except (ImportError, ValueError):
        return None
    return None if spec is None or spec.origin is None else Path(spec.origin)


def _first_line(file: Path | None, name: str) -> str:
    """Of the docstring of the class of that name, where there is one, else of the module's."""
    if file is None:
        return ""
    try:
        module = ast.parse(file.read_text(encoding="utf-8"))
    except (OSError, SyntaxError, UnicodeDecodeError):
        return "(its source cannot be read)"
    classes = [n for n in module.body if isinstance(n, ast.ClassDef) and n.name == name]
    nodes: list[ast.ClassDef | ast.Module] = [*classes, module]
    docs = map(ast.get_docstring, nodes)
    return next((doc.splitlines()[0] for doc in docs if doc), "")


def _where(entry: Entry) -> str:
    return f"{entry.kind} {entry.module}:{entry.attribute} ({entry.origin})"


# --------------------------------------------------------------------------------------------
# suites


def load_suite(name: str) -> Suite:
    """Import one suite.

    Raises:
        RdbenchError: unknown, cannot be imported, or is no suite.
    """
    from rdbench.types import Suite

    entry = find("suite", name)
    suite = _load(entry)
    if not isinstance(suite, Suite):
        raise RdbenchError(
            f"{_where(entry)} is a {type(suite).__name__}, not a rdbench.types.Suite"
        )
    if suite.name != name:
        raise RdbenchError(
            f"{_where(entry)} is registered as {name} but calls itself {suite.name!r}"
        )
    return suite


def load_suites(spec: str) -> list[Suite]:
    """``a,b`` or ``all`` -> the suites, each once."""
    if spec.strip() == "all":
        chosen = names("suite")
    else:
        chosen = list(dict.fromkeys(p.strip() for p in spec.split(",") if p.strip()))
    if not chosen:
        raise RdbenchError(f"no suite given; valid: all, {', '.join(names('suite'))}")
    return [load_suite(name) for name in chosen]


def _load(entry: Entry) -> Any:
    try:
        return getattr(importlib.import_module(entry.module), entry.attribute)
    except RdbenchError:
        raise
    except Exception as problem:
        raise RdbenchError(
            f"cannot load {_where(entry)}: {type(problem).__name__}: {_one_line(problem)}"
        ) from problem


# --------------------------------------------------------------------------------------------
# estimators


def load_estimator(name: str, file: str | None = None) -> type[Estimator]:
    """Import one estimator's class.

    Args:
        name: a registered name; with a file, the file's and the class's: ``mine.py:Mine``.
        file: the path of a file that nobody has registered.

    A name that ends in ``+lower`` is the lower twin of the estimator before it.

    Raises:
        RdbenchError: unknown, cannot be imported, or is no frozen dataclass with info and fit; a
            twin of what is a lower bound already.
    """
    import dataclasses

    if name.endswith(LOWER):
        from rdbench.fitting.lower import lowered

        upper = load_estimator(name.removesuffix(LOWER), file)
        if upper.info.side == "lower":
            raise RdbenchError(f"{name.removesuffix(LOWER)} is a lower bound: it has no {LOWER}")
        return cast("type[Estimator]", lowered(upper))
    if file is None:
        entry = find("estimator", name)
        where, cls = _where(entry), _load(entry)
    else:
        attribute = name.rpartition(":")[2]
        where, cls = name, class_in(import_module(file), file, attribute)
    if not (isinstance(cls, type) and dataclasses.is_dataclass(cls)):
        raise RdbenchError(f"{where} is not a dataclass with info and fit")
    lacking = [a for a in ("info", "fit") if not hasattr(cls, a)]
    if lacking:
        raise RdbenchError(f"{where} lacks {' and '.join(lacking)}")
    return cast("type[Estimator]", cls)


def choose(spec: str) -> EstimatorChoice:
    """``name``, ``name:preset`` or ``name:preset[key=value,...]`` -> the estimator.

    In place of a registered name stands ``FILE.py:CLASS`` for a class in a file.

    Raises:
        RdbenchError: an unknown name, preset or key, a value of the wrong type, or bad brackets.
    """
    name, preset, texts = _parse(spec)
    path, colon, cls_name = name.rpartition(".py:")
    file = str(Path(f"{path}.py").resolve()) if colon else None
    if file is None:
        origin = find("estimator", name.removesuffix(LOWER)).origin
    else:
        name, origin = f"{Path(file).name}:{cls_name}", "a file"
    cls = load_estimator(name, file)
    presets = cls.info.presets
    if preset != "default" and preset not in presets:
        raise unknown(f"preset of {name}", preset, dict.fromkeys(["default", *presets]))
    fields = field_types(cls)
    params: dict[str, Any] = {}
    for key, text in texts.items():
        if key not in fields:
            raise unknown(f"parameter of {name}", key, fields)
        params[key] = _convert(name, key, text, fields[key])
    try:
        estimator = cls(**{**presets.get(preset, {}), **params})
    except (TypeError, ValueError) as problem:
        raise RdbenchError(f"{spec}: {_one_line(problem)}") from problem
    return EstimatorChoice(name, preset, params, estimator, origin, file)


def sandwiched(choices: Iterable[EstimatorChoice]) -> list[EstimatorChoice]:
    """Every estimator, each upper one followed by its lower twin with the same settings."""
    found: dict[str, EstimatorChoice] = {}
    for choice in choices:
        found.setdefault(choice.label, choice)
        if choice.estimator.info.side == "lower":
            continue
        name = choice.name + LOWER
        given = choice.estimator
        fields = {key: getattr(given, key) for key in field_types(type(given))}
        twin = load_estimator(name, choice.file)(**fields)
        one = replace(choice, name=name, estimator=twin)
        found.setdefault(one.label, one)
    return list(found.values())


def rebuild(name: str, fields: dict[str, Any], file: str | None = None) -> Estimator:
    """The estimator with these hyper-parameters, as plain JSON values (a worker's way in)."""
    import msgspec

    cls = load_estimator(name, file)
    types = field_types(cls)
    return cls(**{key: msgspec.convert(value, types[key]) for key, value in fields.items()})


def choose_all(specs: str) -> list[EstimatorChoice]:
    """A comma-separated list of specifications; ``all`` means every registered estimator.

    Raises:
        RdbenchError: as `choose`; also where a specification is given twice or none is given.
    """
    parts = names("estimator") if specs.strip() == "all" else split_list(specs)
    if not parts:
        valid = names("estimator")
        raise RdbenchError(f"no estimator given; valid: {', '.join(valid) or '(there are none)'}")
    choices = [choose(part) for part in parts]
    labels = [c.label for c in choices]
    twice = next((one for one in labels if labels.count(one) > 1), None)
    if twice is not None:
        raise RdbenchError(f"estimator {twice} is given twice")
    return choices


def name_of(spec: str) -> str:
    """The name in a specification, whether or not it is registered.

    Raises:
        RdbenchError: bad brackets.
    """
    return _parse(spec)[0]


def split_list(text: str) -> list[str]:
    """Split at the commas outside brackets; empty parts are dropped."""
    parts: list[str] = []
    depth, start = 0, 0
    for i, char in enumerate(text):
        depth += (char in "[(") - (char in "])")
        if char == "," and depth == 0:
            parts.append(text[start:i])
            start = i + 1
    return [p for part in [*parts, text[start:]] if (p := part.strip())]


def field_types(cls: type) -> dict[str, Any]:
    """The hyper-parameters of an estimator and their types."""
    import dataclasses

    hints = typing.get_type_hints(cls)
    return {f.name: hints[f.name] for f in dataclasses.fields(cls) if f.init}


_NO_TEXT = re.compile("[\x00-\x08\x0e-\x1f\x7f\ud800-\udfff]")
"""Control characters, and halves of characters: bytes of a command line that are no UTF-8."""


def _parse(spec: str) -> tuple[str, str, dict[str, str]]:
    """The name (or ``FILE.py:CLASS``), the preset and the parameters as text."""
    found = re.fullmatch(_SPEC, spec.strip())
    lines = [] if found is None else found["name"].strip().splitlines()
    if _NO_TEXT.search(spec) or len(lines) > 1:
        raise RdbenchError(f"bad estimator {spec!r}: it holds characters that no name has")
    if found is None:
        raise RdbenchError(
            f"bad estimator {spec!r}; write name, name:preset or name:preset[key=value]"
        )
    texts: dict[str, str] = {}
    for pair in split_list(found["rest"] or ""):
        key, equals, value = pair.partition("=")
        key = key.strip()
        if not equals or not key:
            raise RdbenchError(f"bad parameter {pair!r} in {spec!r}; write key=value")
        if key in texts:
            raise RdbenchError(f"parameter {key} is given twice in {spec!r}")
        texts[key] = value.strip()
    return found["name"].strip(), (found["preset"] or "default").strip(), texts


def _convert(name: str, key: str, text: str, wanted: Any) -> Any:
    """Text -> a value of the field's type: as JSON, as it stands, or as msgspec reads words."""
    import math

    import msgspec

    readings: tuple[Callable[[], Any], ...] = (
        lambda: msgspec.json.decode(text, type=wanted),
        lambda: msgspec.convert(text, wanted),
        lambda: msgspec.convert(None if text.lower() == "none" else text, wanted, strict=False),
    )
    for read in readings:
        try:
            value = read()
        except msgspec.MsgspecError:
            continue
        break
    else:
        raise RdbenchError(f"parameter {key} of {name} takes {type_name(wanted)}, got {text!r}")
    if isinstance(value, float) and math.isnan(value):
        raise RdbenchError(f"parameter {key} of {name} takes {type_name(wanted)}, got {text!r}")
    return value


def type_name(wanted: Any) -> str:
    """A type as a person would write it."""
    if typing.get_origin(wanted) is Literal:
        return " | ".join(map(str, typing.get_args(wanted)))
    return wanted.__name__ if isinstance(wanted, type) else str(wanted).replace("typing.", "")


def _written(value: Any) -> str:
    """The text that `_convert` reads back as this value."""
    import msgspec

    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _one_line(problem: BaseException) -> str:
    return " ".join(str(problem).split())
