"""Files -> columns of values, as they are: nothing is unpickled, nothing is downloaded."""

from __future__ import annotations

import importlib.util
import warnings
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from rdbench.data.pictures import PICTURES, read_patches
from rdbench.data.table import Raw, from_array, from_frame
from rdbench.outcomes import RdbenchError, one_line

if TYPE_CHECKING:
    import pandas as pd

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
            raise RdbenchError(f"{path} is pictures: give the side of their patches, --patches 8")
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


def _csv(path: Path, entry: str | None) -> Raw:
    import pandas as pd

    _no_entry(path, entry)
    frame = _frame(path, "infer")
    if _all_numbers(frame.columns):
        frame = _frame(path, None)
        frame.columns = pd.Index([str(i) for i in range(frame.shape[1])])
    return from_frame(frame)


def _frame(path: Path, header: Literal["infer"] | None) -> pd.DataFrame:
    import pandas as pd

    # numbers as they were written: the readers before pandas 3 err in the last digit
    exact: Any = {} if int(pd.__version__.split(".")[0]) >= 3 else {"float_precision": "round_trip"}
    frame: pd.DataFrame = pd.read_csv(path, header=header, skipinitialspace=True, **exact)
    return frame


def _parquet(path: Path, entry: str | None) -> Raw:
    import pandas as pd

    _no_entry(path, entry)
    if importlib.util.find_spec("pyarrow") is None:
        raise RdbenchError("parquet needs pyarrow: pip install 'rdbench[parquet]'")
    return from_frame(pd.read_parquet(path, engine="pyarrow"))


def _pt(path: Path, entry: str | None) -> Raw:
    import pickle

    import torch

    try:
        with warnings.catch_warnings():  # of old pickles, which are refused in a line of our own
            warnings.simplefilter("ignore")
            held = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise RdbenchError(f"{path}: {_PICKLED}") from None
    if isinstance(held, Mapping):
        held = held[_chosen(path, [str(key) for key in held], entry)]
    else:
        _no_entry(path, entry)
    if not isinstance(held, torch.Tensor):
        raise RdbenchError(f"{path} holds a {type(held).__name__}, not a tensor")
    if held.is_sparse or held.is_quantized:
        raise RdbenchError(f"{path} holds a sparse or quantised tensor: save a dense one")
    if held.dtype in (torch.bfloat16, torch.float16):
        held = held.float()
    return from_array(held.detach().numpy(), path.name)


_READERS: Mapping[str, Callable[[Path, str | None], Raw]] = {
    ".npy": _npy, ".npz": _npz, ".csv": _csv, ".parquet": _parquet, ".pt": _pt,
}  # fmt: skip


def _chosen(path: Path, names: list[str], entry: str | None) -> str:
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


def _all_numbers(names: Any) -> bool:
    """Whether a header is none, but the first row; pandas numbers a value that comes twice."""
    try:
        [float(str(name)) for name in names]
    except ValueError:
        first = [str(name) for name in names]
        return all(_number(name) or _number(name.rpartition(".")[0]) for name in first)
    return True


def _number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
