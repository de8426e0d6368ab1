"""``python -m benchmarks.site [FOLDER]``: make asv's published page work without a network."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmarks.site.localise import NotLocal, localise


def main(arguments: list[str] | None = None) -> int:
    """0, or 2 with one line that says what is wrong."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.site", description=__doc__)
    parser.add_argument(
        "folder", nargs="?", type=Path, default=Path(".asv/html"), help="what asv publish wrote"
    )
    folder: Path = parser.parse_args(arguments).folder
    try:
        localise(folder)
    except NotLocal as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"open {folder / 'index.html'}; it needs no network and no server")
    return 0


if __name__ == "__main__":
    sys.exit(main())
