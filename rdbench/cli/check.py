"""``rdbench check``: what is wrong with an estimator, one line per check."""

from __future__ import annotations

import shutil
import textwrap
from collections import Counter

from rdbench.check.catalogue import LIMIT_S, MEND, NAMES, findings, known
from rdbench.check.findings import Finding
from rdbench.check.load import load
from rdbench.cli.options import CheckOptions
from rdbench.outcomes import RdbenchError

_WORDS = {"pass": "ok", "fail": "FAIL", "skip": "skip"}
_NAME = 15
_WIDEST = 110


def execute(options: CheckOptions) -> int:
    """Print the findings as they come; 1 where a check fails, else 0.

    Raises:
        RdbenchError: no such module, class, preset or check.
    """
    if not 0.0 < options.effort <= 100.0:
        raise RdbenchError(f"--effort takes a number above 0, up to 100; got {options.effort:g}")
    only = None
    if options.only is not None:
        only = [part.strip() for part in options.only.split(",") if part.strip()]
        if not only:
            valid = ", ".join(NAMES)
            raise RdbenchError(
                f"--only takes names of checks, got {options.only!r}; valid: {valid}"
            )
        known(only)
    import torch

    torch.set_num_threads(1)
    found = load(options.target)
    print(f"checking {options.target} (seed {options.seed}, effort {options.effort:g})")
    all_found = [Finding("import", found.imported.verdict, found.imported.message, 0.0)]
    _show(all_found[0])
    for finding in findings(found.cls, found.preset, options.seed, options.effort, only, LIMIT_S):
        all_found.append(finding)
        if not finding.message.endswith(MEND):
            _show(finding)
    left = [finding for finding in all_found if finding.message.endswith(MEND)]
    if left:
        _show(Finding(f"{len(left)} others", "skip", left[0].message, 0.0))
    counts = Counter(finding.verdict for finding in all_found)
    cpu_s = sum(finding.cpu_s for finding in all_found)
    print(
        f"{len(all_found)} checks: {counts['pass']} passed, {counts['fail']} failed, "
        f"{counts['skip']} skipped, in {cpu_s:.0f} CPU-s"
    )
    return 1 if counts["fail"] else 0


def _show(finding: Finding) -> None:
    head = f"{_WORDS[finding.verdict]:<5}{finding.name:<{_NAME}}{finding.cpu_s:5.1f} s  "
    width = min(_WIDEST, shutil.get_terminal_size((_WIDEST, 24)).columns)
    lines = textwrap.wrap(finding.message, max(30, width - len(head))) or [""]
    print(head + f"\n{'':{len(head)}}".join(lines), flush=True)
