"""The two commits, each unpacked into a folder of its own."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks._cases import modules
from benchmarks.gate.errors import BadInput

WATCHED = ("rdbench", "estimators", "suites", "papers", "pyproject.toml", "constraints.txt")
"""The files that a commit is measured by; the cases are those of the gate itself."""

JUDGES = (
    "rdbench/audit",
    "rdbench/certify",
    "rdbench/distortions.py",
    "rdbench/references",
    "rdbench/sources",
    "suites",
)
"""The files that say how large a gap is: each side is judged by its own."""

ONE_HEAP = {"MALLOC_MMAP_THRESHOLD_": str(1 << 25), "MALLOC_TRIM_THRESHOLD_": str(1 << 33)}
"""glibc keeps what is freed, up to its greatest block of 32 MB. Otherwise each process learns in
its own way whether to give large arrays back at once, and the same loop may take five times as long
in one process as in another."""


@dataclass(frozen=True)
class Side:
    """One of the two, where it lies and with what it runs."""

    name: str
    """``BASE`` or ``HEAD``."""
    label: str
    """The commit in words."""
    source: Path
    """The unpacked commit: goes first in ``PYTHONPATH``."""
    work: Path
    """Where its results and its cache go."""
    python: str
    """The interpreter of its environment."""

    @property
    def environ(self) -> dict[str, str]:
        """The environment variables under which this side's rdbench is found, and only this."""
        return {
            **os.environ,
            **ONE_HEAP,
            "PYTHONPATH": str(self.source),
            "RDBENCH_CACHE": str(self.work / "cache"),
        }

    def offers(self, folder: str, name: str) -> bool:
        """Whether ``estimators`` or ``suites`` has NAME: a file or a folder with its parts."""
        return name in modules(self.source / folder)


def git(root: Path, *arguments: str, environ: Mapping[str, str] | None = None) -> str:
    """The output of git, without the last newline; `BadInput` where it complains."""
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *arguments],
            env=environ,
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError:
        raise BadInput("git is needed to get at the commits, and is not installed") from None
    if done.returncode != 0:
        raise BadInput(f"git {arguments[0]}: {done.stderr.strip() or 'failed'}")
    return done.stdout.rstrip("\n")


def commit(root: Path, name: str) -> str:
    """The hash of a commit by any of its names."""
    try:
        return git(
            root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}"
        )
    except BadInput:
        pass
    hint = ""
    if git(root, "rev-parse", "--is-shallow-repository") == "true":
        hint = " (this clone is shallow: git fetch --unshallow)"
    raise BadInput(
        f"no commit named {name!r}; valid: a branch, a tag or a hash of this repository, "
        f"such as main or HEAD~1{hint}"
    )


def working_tree(root: Path) -> str | None:
    """The tree of what is changed but not committed, or None if nothing watched is changed.

    The index is a temporary one: the user's own is not touched.
    """
    watched = _watched(root)
    if not git(root, "status", "--porcelain", "--untracked-files=all", "--", *watched):
        return None
    with tempfile.TemporaryDirectory() as folder:
        environ = {**os.environ, "GIT_INDEX_FILE": str(Path(folder) / "index")}
        git(root, "read-tree", "HEAD", environ=environ)
        git(root, "add", "--all", "--", *watched, environ=environ)
        return git(root, "write-tree", environ=environ)


def _watched(root: Path) -> list[str]:
    """The watched names that HEAD has or that lie there: a folder that is gone counts, too."""
    committed = set(git(root, "ls-tree", "--name-only", "HEAD").splitlines())
    return [name for name in WATCHED if name in committed or (root / name).exists()]


def gone(base: Side, head: Side) -> list[str]:
    """The estimators and suites that only BASE has, as ``estimator/NAME`` and ``suite/NAME``."""
    return [
        f"{folder.removesuffix('s')}/{name}"
        for folder in ("estimators", "suites")
        for name in sorted(modules(base.source / folder) - modules(head.source / folder))
    ]


def differs(root: Path, base: str, head: str) -> list[str]:
    """Which of the files that judge are not the same in two commits or trees."""
    changed = git(root, "diff", "--name-only", base, head, "--", *JUDGES).splitlines()
    return [path for path in JUDGES if any(f"{name}/".startswith(f"{path}/") for name in changed)]


def unpack(root: Path, tree: str, target: Path) -> None:
    """Write the watched files of a commit or a tree into a new folder, links included.

    Raises:
        BadInput: there is no rdbench in it.
    """
    there = set(git(root, "ls-tree", "--name-only", tree).splitlines())
    if "rdbench" not in there:
        raise BadInput(f"commit {tree[:12]} has no folder rdbench; valid: one that has")
    done = subprocess.run(
        ["git", "-C", str(root), "archive", tree, "--", *(n for n in WATCHED if n in there)],
        capture_output=True,
        check=True,
    )
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        archive.extractall(target, filter="data")
