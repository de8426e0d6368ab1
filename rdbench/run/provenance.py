"""Where and by what a record is made."""

from __future__ import annotations

import datetime
import platform
import subprocess
from importlib import metadata
from pathlib import Path

import msgspec

from rdbench.run.records import Provenance
from rdbench.version import __version__


def now() -> str:
    """The time, ISO 8601 in UTC."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="microseconds")


def gather(device: str, threads: int, jobs: int) -> Provenance:
    """Everything but the times, which `stamp` fills in for each cell."""
    commit, dirty = _commit()
    return Provenance(
        commit=commit,
        dirty=dirty,
        versions=_versions(),
        processor=_processor(),
        platform=platform.platform(),
        device=_device(device),
        threads=threads,
        jobs=jobs,
        started="",
        finished="",
    )


def stamp(base: Provenance, started: str) -> Provenance:
    """With the times of one cell that ends now."""
    return msgspec.structs.replace(base, started=started, finished=now())


def _versions() -> dict[str, str]:
    found = {"rdbench": __version__, "python": platform.python_version()}
    for name in ("numpy", "scipy", "torch", "pandas"):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _device(device: str) -> str:
    if device != "cuda":
        return device
    import torch

    return f"cuda ({torch.cuda.get_device_name()})"


def _commit() -> tuple[str, bool | None]:
    """The commit that the package runs from; ("", None) where it is installed elsewhere."""
    home = Path(__file__).resolve().parents[2]
    root = _git(home, "rev-parse", "--show-toplevel")
    if root is None or Path(root).resolve() != home:
        return "", None
    commit = _git(home, "rev-parse", "--verify", "--quiet", "HEAD")
    changed = _git(home, "status", "--porcelain")
    return commit or "", None if changed is None else bool(changed)


def _git(home: Path, *words: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(home), *words],
            capture_output=True,
            text=True,
            timeout=20,
            check=True,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
