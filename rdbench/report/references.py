"""The readable table of certified truth."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

_HEAD = """# Certified truth

Computed by `make references`; the log of the last computation is [log.txt](log.txt), the tables
with every digit and the optimal atoms are in `rdbench/references/data`. F\\*(β) lies in [lo, hi];
rates and F\\* in nats per symbol, β in nats per unit of distortion. What the kinds mean:
[docs/truth.md](../../docs/truth.md). CPU seconds of the one certificate, one thread, on a shared
2-core machine.{beside}

| case | certificates | kind | widest bracket of F\\* | tolerance | CPU s, most |
|---|---|---|---|---|---|
"""

_ENTROPIES = """
## Entropies

Means over draws, with their 95% intervals; the other numbers of these cases follow in closed form.

| case | h(X), nats | ± | draws | CPU s |
|---|---|---|---|---|
"""


def write_report(folder: Path, tables: Path, log: Sequence[str]) -> None:
    """Write README.md from every table of a folder, and log.txt.

    Raises:
        OSError: the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    read = [json.loads(path.read_text()) for path in sorted(tables.glob("*.json"))]
    certified = [table for table in read if "rungs" in table]
    summary = "".join(_summary(table) for table in certified)
    entropies = "".join(_entropy(table) for table in read if "entropy" in table)
    details = "".join(_details(table) for table in certified)
    beside = sorted(path.name for path in folder.glob("*.md") if path.name != "README.md")
    links = ", ".join(f"[{name}]({name})" for name in beside)
    head = _HEAD.format(beside=f" Beside this page: {links}." if links else "")
    text = head + summary + (_ENTROPIES + entropies if entropies else "") + details
    (folder / "README.md").write_text(text)
    (folder / "log.txt").write_text("".join(f"{line}\n" for line in log))


def _summary(table: dict[str, Any]) -> str:
    found = [rung["certificate"] for rung in table["rungs"]]
    kinds = " or ".join(sorted({c["kind"] for c in found}))
    widest, cpu = max(c["hi"] - c["lo"] for c in found), max(c["cpu_s"] for c in found)
    return (
        f"| {table['case']} | {len(found)} | {kinds} | {widest:.1e} | {table['tolerance']:g} "
        f"| {cpu:.2g} |\n"
    )


def _entropy(found: dict[str, Any]) -> str:
    h = found["entropy"]
    row = f"{h['value']:.6f} | {h['half']:.1e} | {h['draws']:,} | {h['cpu_s']:.3g}"
    return f"| {found['case']} | {row} |\n"


def _details(table: dict[str, Any]) -> str:
    head = (
        f"\n## {table['case']}\n\n| R | β | F\\* lo | F\\* hi | width | kind | atoms | CPU s |\n"
        "|---|---|---|---|---|---|---|---|\n"
    )
    rows = [
        f"| {rung['rate']:g} | {c['beta']:g} | {c['lo']:.12g} | {c['hi']:.12g} "
        f"| {c['hi'] - c['lo']:.1e} | {c['kind']} | {len(c['weights'])} | {c['cpu_s']:.2g} |\n"
        for rung in table["rungs"]
        for c in [rung["certificate"]]
    ]
    return head + "".join(rows)
