"""Files -> columns of values, as they are: nothing is unpickled, nothing is downloaded."""

from __future__ import annotations

import importlib.util
import warnings
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from rdbench.data.pictures import PICTURES, read_patches
from rdbench.data.table import Raw, from_array, from_frame
from rdbench.data.tensors import plain
from rdbench.data.text import read_csv
from rdbench.outcomes import RdbenchError, one_line

EXTENSIONS = (".npy", ".npz", ".csv", ".parquet", ".pt")
_PICKLED = "it holds pickled objects, which could run anything: save plain arrays instead"


def read(path: Path, entry: str | None = None, patches: int | None = None) -> Raw:
    """The columns of a file, or the patches of a folder of pictures.

    Args:
        path: a file that ends in .npy, .npz, .csv, .parquet or .pt, or a folder of pictures.
        entry: which array of an archive (.npz, or a dictionary in .pt).
        patches: the side of the patches that pictures are cut into.

    Raises:
        RdbenchError: it is not there, empty, of another kind, damaged, or holds pickled objects.
    """
    if not path.exists():
        raise RdbenchError(f"there is no file {path}")
    if path.is_dir() or path.suffix.lower() in PICTURES:
        if patches is None:
            what = "a folder" if path.is_dir() else "a picture"
            raise RdbenchError(f"{path} is {what}: pictures need the side of patches, --patches 8")
        return read_patches(path, patches)
    if patches is not None:
        raise RdbenchError(f"--patches cuts pictures, and {path.name} is none")
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        listed = ", ".join(EXTENSIONS)
        raise RdbenchError(
            f"{path.name}: data are {listed} or a folder of pictures, not {path.suffix or 'this'}"
        )
    if path.stat().st_size == 0:
        raise RdbenchError(f"{path} is empty")
    try:
        return reader(path, entry)
    except RdbenchError:
        raise
    except Exception as problem:  # whatever a reader makes of a damaged file
        raise RdbenchError(f"cannot read {path}: {one_line(problem)}"[:400]) from problem


def _npy(path: Path, entry: str | None) -> Raw:
    _no_entry(path, entry)
    _starts_with(path, b"\x93NUMPY", "a .npy file")
    try:
        # mapped: a file of many gigabytes is read once, as numbers
        return from_array(np.load(path, allow_pickle=False, mmap_mode="r"), path.name)
    except ValueError as problem:
        raise _maybe_pickled(path, problem) from None


def _npz(path: Path, entry: str | None) -> Raw:
    if not zipfile.is_zipfile(path):
        raise RdbenchError(f"{path} is no .npz archive")
    with np.load(path, allow_pickle=False) as archive:
        name = _chosen(path, archive.files, entry)
        try:
            return from_array(archive[name], f"{path.name}:{name}")
        except ValueError as problem:
            raise _maybe_pickled(path, problem) from None


def _parquet(path: Path, entry: str | None) -> Raw:
    import pandas as pd

    _no_entry(path, entry)
    if importlib.util.find_spec("pyarrow") is None:
        raise RdbenchError("parquet needs pyarrow: pip install 'rdbench[parquet]'")
    return from_frame(pd.read_parquet(path, engine="pyarrow"))


def _pt(path: Path, entry: str | None) -> Raw:
    import pickle

    import torch

    if not zipfile.is_zipfile(path):  # as torch.save wrote before version 1.6, or no such file
        _starts_with(path, b"\x80", "a file of torch.save")
    try:
        with warnings.catch_warnings():  # of old pickles, which are refused in a line of our own
            warnings.simplefilter("ignore")
            held = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise RdbenchError(f"{path}: {_PICKLED}") from None
    if isinstance(held, Mapping):
        entries = {str(key): value for key, value in held.items()}
        held = entries[_chosen(path, list(entries), entry)]
    else:
        _no_entry(path, entry)
    if not isinstance(held, torch.Tensor):
        raise RdbenchError(f"{path} holds a {type(held).__name__}, not a tensor")
    return from_array(plain(held, str(path)), path.name)


def _csv(path: Path, entry: str | None) -> Raw:
    _no_entry(path, entry)
    return read_csv(path)


_READERS: Mapping[str, Callable[[Path, str | None], Raw]] = {
    ".npy": _npy, ".npz": _npz, ".csv": _csv, ".parquet": _parquet, ".pt": _pt,
}  # fmt: skip


def _starts_with(path: Path, magic: bytes, what: str) -> None:
    with path.open("rb") as file:
        if file.read(len(magic)) != magic:
            raise RdbenchError(f"{path} is not {what}, whatever its name says")


def _chosen(path: Path, names: list[str], entry: str | None) -> str:
    if not names:
        raise RdbenchError(f"{path.name} holds no array")
    if entry is None and len(names) == 1:
        return names[0]
    if entry not in names:
        listed = ", ".join(names[:12]) or "nothing"
        wrong = f"{path.name} has no array {entry!r}." if entry else f"which array of {path.name}?"
        raise RdbenchError(f"{wrong} It holds {listed}; write {path.name}:NAME")
    assert entry is not None
    return entry


def _no_entry(path: Path, entry: str | None) -> None:
    if entry is not None:
        raise RdbenchError(f"{path.name} is one array: drop :{entry}")


def _maybe_pickled(path: Path, problem: ValueError) -> RdbenchError:
    said = str(problem)
    if any(words in said for words in ("allow_pickle", "Object arrays", "Python objects")):
        return RdbenchError(f"{path}: {_PICKLED}")
    return RdbenchError(f"cannot read {path}: {one_line(problem)}"[:400])
