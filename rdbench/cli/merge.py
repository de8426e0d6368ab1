"""``rdbench merge``: several results folders in one."""

from __future__ import annotations

from rdbench.cli.messages import warn
from rdbench.cli.options import MergeOptions
from rdbench.run.merging import merge


def execute(options: MergeOptions) -> int:
    """Merge, say what was done with every folder, and return the exit code.

    Raises:
        RdbenchError: a folder without results, or one that cannot be written.
    """
    for done in merge(options.folders, options.into):
        for line in done.warnings:
            warn(line)
        print(
            f"{done.folder}: {done.read} cells read, {done.new} new, {done.newer} newer, "
            f"{done.skipped} already there"
        )
    return 0
