"""The cells of a campaign, and the commands that run them."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.campaign.moody import STATUS

_GOOD = 42
"""Good cells of a seed; beside them one of every other mode."""
PER_SEED = _GOOD + len(STATUS) - 1
_ROOT = Path(__file__).resolve().parents[2]
_FILE = Path(__file__).with_name("moody.py")


@dataclass(frozen=True)
class Campaign:
    """What is run, where."""

    seeds: int
    jobs: int
    results: Path
    scratch: Path
    """Where all commands have their temporary files."""
    where: Sequence[str] = ()
    """Options that say who runs the cells."""
    timeout: float = 1.0
    """Seconds until a cell that hangs is ended; on a busy machine good ones may take one."""
    python: str = sys.executable

    @property
    def planned(self) -> int:
        """How many cells it has."""
        return self.seeds * PER_SEED

    @property
    def command(self) -> list[str]:
        """The same for every run of it."""
        own = f"{_FILE}:Moody"
        specs = [f"{own}[variant={i}]" for i in range(_GOOD)]
        specs += [f"{own}[mode={mode}]" for mode in STATUS if mode != "good"]
        jobs = [] if "--scheduler" in self.where else ["--jobs", str(self.jobs)]
        return [
            self.python, "-m", "rdbench", "run", "--suite", "discrete", "--cases", "bernoulli",
            "--rates", "0.1,0.3", "--budget", "quick", "--estimators", ",".join(specs),
            "--seeds", f"0-{self.seeds - 1}", "--timeout", f"{self.timeout:g}",
            "--audit-timeout", "20", "--results", str(self.results), *jobs, *self.where,
        ]  # fmt: skip

    @property
    def environment(self) -> Mapping[str, str]:
        """Of its commands: what they leave behind can be told by it."""
        return {**os.environ, "TMPDIR": str(self.scratch)}

    def begin(self, *, most_bytes: int | None = None) -> subprocess.Popen[str]:
        """Start the command.

        Args:
            most_bytes: that a file may have, as if the disk were full then.
        """

        def prepare() -> None:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            stand_back()
            if most_bytes is not None:
                _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
                resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, hard))

        return subprocess.Popen(
            self.command,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,
            preexec_fn=prepare,
        )


def commit() -> str:
    """The commit that runs, for a table."""
    git = ["git", "-C", str(_ROOT)]
    asked = (["rev-parse", "--short", "HEAD"], ["status", "--porcelain", "--untracked-files=no"])
    found, changed = (
        subprocess.run([*git, *words], capture_output=True, text=True, check=False).stdout.strip()
        for words in asked
    )
    return f"{found}{' with changes' if changed else ''}" if found else "an unknown commit"


def stand_back() -> None:
    """Let others on the machine go first, where sessions share it between them."""
    try:
        Path("/proc/self/autogroup").write_text("15")
    except OSError:
        os.nice(10)
