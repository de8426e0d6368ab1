"""Make the tables of results/peers from what was measured.

    python -m benchmarks.peers.table [--records rdbench-results/peers] [--out results/peers]

With ``--records`` the looks at what `run` stored are collected into ``looks.csv`` first; without,
the tables are made of the CSV files that are there. ``settings.csv`` and ``settings.md`` have the
authors' settings against ours, ``blahut_arimoto.md`` the timings of `blahut_arimoto`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.peers import ratios, timings
from benchmarks.peers.ratios import Look, collect, missing
from benchmarks.peers.tables import BadFile, markdown, read, write


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code 0, or 2 for bad input; what was not run is named."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.peers.table",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--records", type=Path, help="where `run` stored its fits")
    parser.add_argument("--out", type=Path, default=Path("results/peers"))
    given = parser.parse_args(arguments)
    out: Path = given.out
    if given.records:
        if not given.records.is_dir():
            parser.error(f"{given.records} is no folder of records; run benchmarks.peers.run")
        looks = collect(given.records)
        if not looks:
            parser.error(f"{given.records} holds no record; run benchmarks.peers.run")
        write(out / "looks.csv", Look, looks)
    try:
        looks = read(out / "looks.csv", Look)
        ba = timings.table(read(out / "blahut_arimoto.csv", timings.Timing))
    except BadFile as error:
        parser.error(str(error))
    found = ratios.pairs(looks)
    write(out / "settings.csv", ratios.Pair, found)
    lacking = missing(looks)
    note = f"\n\nNot run, or without a look: {'; '.join(lacking)}." if lacking else ""
    settings = markdown(ratios.table(found)) + note
    for name, text in (("settings", settings), ("blahut_arimoto", markdown(ba))):
        (out / f"{name}.md").write_text(text + "\n", encoding="utf-8")
        print(text, end="\n\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
