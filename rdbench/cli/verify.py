"""``rdbench verify``: check certificates without the solvers that made them."""

from __future__ import annotations

from fnmatch import fnmatchcase
from importlib import resources
from pathlib import Path

from rdbench.cli.options import VerifyOptions
from rdbench.outcomes import RdbenchError

_SHIPPED = "rdbench.references.data"
_MISSING = "rdbench verify needs python-flint: pip install 'rdbench[verify]'"


def execute(options: VerifyOptions) -> int:
    """Print a line for every certificate; 1 where one is rejected.

    Raises:
        RdbenchError: no files, or one that is no file of certificates; nothing is computed then.
    """
    try:
        from rdbench.verify import verify
    except ImportError:
        raise RdbenchError(_MISSING) from None
    if options.all == bool(options.files):
        raise RdbenchError("give files of certificates, or --all for those that are shipped")
    paths = [path for path in options.files or shipped() if fnmatchcase(path.stem, options.cases)]
    if not paths:
        raise RdbenchError(f"no file matches {options.cases!r}")
    checks = [check for path in paths for check in verify(path)]
    counts = {"verified": 0, "rejected": 0, "not checked": 0}
    total = 0.0
    for check in checks:
        found = check()
        counts[found.state] += 1
        total += found.cpu_s
        claimed = found.claim["hi"] - found.claim["lo"]
        line = f"{found.case} R={found.rate:g} beta={found.claim['beta']:g} {found.state}"
        if found.state == "verified":
            line += (
                f": F* in [{found.lo:.17g}, {found.hi:.17g}], width {found.hi - found.lo:.1e} "
                f"of {claimed:.1e} claimed, {found.cpu_s:.2f} CPU s"
            )
        print(f"{line}: {found.why}" if found.why else line, flush=True)
    told = ", ".join(f"{count} {state}" for state, count in counts.items())
    print(f"{len(checks)} certificates: {told}, in {total:.0f} CPU s")
    return 1 if counts["rejected"] else 0


def shipped() -> list[Path]:
    """The shipped files of certificates, which hold slopes with brackets."""
    folder = Path(str(resources.files(_SHIPPED)))
    return [path for path in sorted(folder.glob("*.json")) if '"rungs"' in path.read_text()]
