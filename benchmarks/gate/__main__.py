"""``python -m benchmarks.gate BASE [HEAD]``: is HEAD less accurate or slower than BASE?"""

from __future__ import annotations

import contextlib
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks.gate import sides
from benchmarks.gate.compare import compare
from benchmarks.gate.environment import check_packages, import_problem, interpreters
from benchmarks.gate.errors import BadInput, Broken
from benchmarks.gate.options import Options, parse
from benchmarks.gate.report import failing, save, show, summary
from benchmarks.gate.sides import Side
from benchmarks.gate.verdicts import Finding

ROOT = Path(__file__).resolve().parents[2]


def main(arguments: Sequence[str]) -> int:
    """Compare, print, and return the exit code."""
    out = Console(width=None if sys.stdout.isatty() else 160)
    try:
        return _gate(parse(arguments), out)
    except BadInput as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 2
    except Broken as problem:
        print(f"broken environment, {problem}", file=sys.stderr)
        print("nothing is said about the commits", file=sys.stderr)
        return 3
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


def _interrupted(*_: object) -> None:
    raise KeyboardInterrupt


def _gate(options: Options, out: Console) -> int:
    base_name = sides.commit(ROOT, options.base)
    head_name, head_label = _head(options.head)

    def say(line: str) -> None:
        out.print(line, markup=False, highlight=False)

    with _folder() as folder:
        base, head = _unpacked(folder, (base_name, f"{options.base} ({base_name[:12]})"),
                               (head_name, head_label))  # fmt: skip
        versions = {side.name: check_packages(side) for side in (base, head)}
        for side in (base, head):
            has = ", ".join(f"{name} {version}" for name, version in versions[side.name].items())
            say(f"{side.name}  {side.label}: {has}")
        if base_name == head_name:
            say("note: BASE and HEAD are the same commit")
        if versions["BASE"] != versions["HEAD"]:
            say("note: the packages differ, so what differs below may come from them")
        if other := sides.differs(ROOT, base_name, head_name):
            say(
                f"note: {', '.join(other)} differ, and each side's gaps are judged by its own: "
                "gaps that became smaller may be judged more kindly"
            )
        findings = _findings(base, head, options)
    if shown := [one for one in findings if options.verbose or one.verdict != "ok"]:
        show(shown, out)
    say(summary(findings, options.allow_missing))
    if options.json is not None:
        about: dict[str, Any] = {
            side.name: {"label": side.label, "versions": versions[side.name]}
            for side in (base, head)
        }
        save(options.json, about, findings)
    return 1 if failing(findings, options.allow_missing) else 0


def _head(name: str | None) -> tuple[str, str]:
    """The commit or tree of HEAD, and what to call it."""
    hash_ = sides.commit(ROOT, name or "HEAD")
    if name is not None:
        return hash_, f"{name} ({hash_[:12]})"
    changed = sides.working_tree(ROOT)
    if changed is not None:
        return changed, f"the working tree, changed since {hash_[:12]}"
    return hash_, f"the working tree ({hash_[:12]}, nothing changed)"


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    """A folder for one run, deleted with it."""
    above = ROOT / ".asv" / "gate"
    above.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=above, prefix="run-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _unpacked(folder: Path, base: tuple[str, str], head: tuple[str, str]) -> tuple[Side, Side]:
    """Both sides, each with its source, its folder and its interpreter."""
    sources = (folder / "base" / "source", folder / "head" / "source")
    for (tree, _), source in zip((base, head), sources, strict=True):
        sides.unpack(ROOT, tree, source)
        (source.parent / "work").mkdir()
    pythons = interpreters(ROOT, sources)

    def side(index: int, name: str, label: str) -> Side:
        source = sources[index]
        return Side(name, label, source, source.parent / "work", pythons[index])

    return side(0, "BASE", base[1]), side(1, "HEAD", head[1])


def _findings(base: Side, head: Side, options: Options) -> list[Finding]:
    """All findings; an environment that broke on the way is told from a regression.

    Raises:
        Broken: BASE cannot be imported, nothing could be measured, or a check of the packages that
            passed before does not any more.
    """
    problem = import_problem(base)
    if problem is not None:
        raise Broken("BASE", "import rdbench: there is nothing to compare with", problem)
    problem = import_problem(head)
    if problem is not None:
        return [Finding("import rdbench", "does not import", note=problem)]
    findings = compare(base, head, options)
    # Also those that the cases of this checkout do not name (any more).
    gone = sides.gone(base, head)
    findings += [Finding(name, "missing", note="HEAD has no such file") for name in gone]
    if all(one.verdict == "both fail" for one in findings):
        notes = "\n".join(dict.fromkeys(one.note for one in findings))
        raise Broken("both sides", "nothing could be measured", notes)
    if any(one.verdict in ("fails now", "both fail") for one in findings):
        for side in (base, head):
            check_packages(side)
    return findings


if __name__ == "__main__":
    for kind in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(kind, _interrupted)  # as Ctrl-C: what is running is ended first
    sys.exit(main(sys.argv[1:]))
