"""What the numbers of a run depend on beyond its cells: code and versions, one digest each.

Two processes with the same kit give the same rows. The code of rdbench counts as it was when this
process first asked, because that is what it has loaded; plug-ins and files are read again each
time, because every cell imports them anew.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import platform
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from rdbench import registry
from rdbench.outcomes import RdbenchError
from rdbench.run.plan import Cell

Kit = Mapping[str, str]
"""Digest or version by the name of what it is of."""

_LIBRARIES = ("numpy", "scipy", "torch", "pandas", "scikit-learn", "mlxtend")
"""What computes, reads or ships numbers; the last two need not be there."""
_CUDA = "CUDA device"
_CONTENT = (".py", ".so", ".json", ".csv", ".toml", ".npy")
"""What numbers may depend on; a wheel and a checkout have the same of these."""


@dataclass(frozen=True)
class Wanted:
    """What cells need besides rdbench itself; plain data, it crosses to other machines."""

    suites: tuple[str, ...] = ()
    estimators: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    """The paths of estimators that nobody has registered."""
    cuda: bool = False


def wanted_by(cells: Iterable[Cell]) -> Wanted:
    """What is needed by any of the cells."""
    held = list(cells)
    registered = {one.estimator for one in held if one.estimator_file is None}
    return Wanted(
        tuple(sorted({one.suite for one in held if one.data is None})),
        tuple(sorted({name.removesuffix(registry.LOWER) for name in registered})),
        tuple(sorted({one.estimator_file for one in held if one.estimator_file is not None})),
        any(one.device == "cuda" for one in held),
    )


def kit_of(wanted: Wanted) -> Kit:
    """The kit of this process."""
    found = {"rdbench": _ours(), "python": ".".join(platform.python_version_tuple()[:2])}
    for name in _LIBRARIES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            # Builds for one processor or another differ after the plus sign alone.
            found[name] = metadata.version(name).partition("+")[0]
    for name in wanted.suites:
        found |= _plugged("suite", name)
    for name in wanted.estimators:
        found |= _plugged("estimator", name)
    for file in wanted.files:
        found[file] = _digest(_beside(Path(file))) if Path(file).is_file() else "missing"
    if wanted.cuda:
        import torch

        found[_CUDA] = "present" if torch.cuda.is_available() else "missing"
    return found


def needed(wanted: Wanted) -> Kit:
    """The kit that others must have, by this process, which itself need have no device."""
    return {**kit_of(wanted), **({_CUDA: "present"} if wanted.cuda else {})}


def difference(here: Kit, there: Kit) -> str:
    """What differs, in words; empty where nothing does."""
    words = []
    for name, mine in here.items():
        other = there.get(name, "missing")
        if other == mine:
            continue
        if other == "missing":
            words.append(f"{name} is missing there")
        elif name in (*_LIBRARIES, "python"):
            words.append(f"{name} is {other} there and {mine} here")
        else:
            words.append(f"the files of {name} differ")
    return ", ".join(words)


def _plugged(kind: registry.Kind, name: str) -> Kit:
    """Of what a distribution of somebody else's registers; ours is part of rdbench."""
    label = f"the {kind} {name}"
    try:
        entry = registry.find(kind, name)
    except RdbenchError:
        return {label: "missing"}
    if entry.origin == "rdbench":
        return {}
    files = [] if entry.file is None else _beside(entry.file)
    return {label: f"{entry.origin} {_digest(files)}"}


@functools.cache
def _ours() -> str:
    return _digest(_files_in(Path(__file__).resolve().parents[2]))


def _files_in(folder: Path) -> list[tuple[str, Path]]:
    """The files of a package, by their paths in it; through links, which the sources have."""
    found = []
    for at, folders, names in os.walk(folder, followlinks=True):
        folders[:] = [one for one in folders if one != "__pycache__"]
        inside = Path(at).relative_to(folder)
        names = [one for one in names if one.endswith(_CONTENT)]
        found += [((inside / one).as_posix(), Path(at) / one) for one in names]
    return sorted(found)


def _beside(file: Path) -> list[tuple[str, Path]]:
    """A module and the others that it may import: its package, or the modules in its folder."""
    if file.name == "__init__.py":
        return _files_in(file.parent)
    if file.parent.name in ("site-packages", "dist-packages"):
        return [(file.name, file)]
    return sorted((one.name, one) for one in file.parent.glob("*.py"))


def _digest(files: Iterable[tuple[str, Path]]) -> str:
    found = hashlib.sha256()
    for name, path in files:
        try:
            content = hashlib.sha256(path.read_bytes()).hexdigest()
        except OSError:
            content = "unreadable"
        found.update(f"{name} {content}\n".encode())
    return found.hexdigest()[:16]
