"""FILE.py:CLASS and MODULE:CLASS -> the class, imported in this process."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from rdbench.outcomes import RdbenchError, in_words, unknown


def import_module(head: str) -> ModuleType:
    """The module of a file that ends in .py, else of a dotted name.

    Raises:
        RdbenchError: it is not there, or importing it raises.
    """
    try:
        if head.endswith(".py"):
            return _import_file(Path(head))
        # `python -m rdbench` finds modules of the working directory; the command does too.
        here = os.getcwd()
        if here not in sys.path and "" not in sys.path:
            sys.path.insert(0, here)
        return importlib.import_module(head)
    except (RdbenchError, KeyboardInterrupt):
        raise
    except ModuleNotFoundError as problem:
        hint = " (is it installed, or on PYTHONPATH?)" if problem.name == head.split(".")[0] else ""
        raise RdbenchError(f"cannot import {head}: {in_words(problem)}{hint}") from problem
    except BaseException as problem:  # SystemExit too
        raise RdbenchError(f"cannot import {head}: {in_words(problem)}") from problem


def class_in(module: ModuleType, head: str, name: str) -> Any:
    """The class of that name.

    Args:
        module: as `import_module` gave it.
        head: the file or the module as it was typed.
        name: the name of the class.

    Raises:
        RdbenchError: there is nothing of that name; the line lists the module's own classes.
    """
    if not hasattr(module, name):
        own = [
            key
            for key, value in vars(module).items()
            if isinstance(value, type) and value.__module__ == module.__name__
        ]
        raise unknown(f"class of {head}", name, own)
    return getattr(module, name)


def _import_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise RdbenchError(f"there is no file {path}")
    path = path.resolve()
    name = path.parent.name if path.stem == "__init__" else path.stem
    known = sys.modules.get(name)
    if known is not None and getattr(known, "__file__", None) != str(path):
        raise RdbenchError(f"{path.name} has the name of another module, {name}: rename the file")
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise RdbenchError(f"{path} cannot be imported")
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))  # as Python does, for the modules beside it
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up by name
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
