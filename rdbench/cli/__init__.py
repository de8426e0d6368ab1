"""The command line, and the one place where running and reporting meet.

Exit codes: 0 done, 1 some points failed (or a record could not be kept), 2 bad input, 130
interrupted. ``--help`` and ``list`` import nothing heavy, and what only reads records imports no
torch: a command's module is imported when the command is carried out.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import typer

from rdbench.cli import stdout
from rdbench.cli.commands import app as app
from rdbench.cli.messages import complain
from rdbench.outcomes import RdbenchError, StoreError


def main(args: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code; every complaint is one line on stderr."""
    command = typer.main.get_command(app)
    stdout.prepare()
    try:
        code = command.main(args=args, prog_name="rdbench", standalone_mode=False)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return complain("interrupted", 130)
    except BrokenPipeError:  # `rdbench list | head`
        stdout.silence()
        return 1
    except RdbenchError as problem:
        return complain(str(problem), 2)
    except StoreError as problem:
        return complain(str(problem), 1)
    except Exception as problem:
        if stdout.is_gone(problem):  # `rdbench list > /dev/full`
            stdout.silence()
            return complain(f"cannot write to standard output: {problem.strerror}", 1)
        return _misused(problem)
    return code if isinstance(code, int) else 0


def _misused(problem: Exception) -> int:
    """Exit code of what typer raises, whichever package its classes are in; else a traceback."""
    if type(problem).__name__ == "Abort":
        return complain("interrupted", 130)
    usage = getattr(problem, "format_message", None)
    if usage is None:
        raise problem
    if type(problem).__name__ == "NoArgsIsHelpError":
        print(usage())
        return 2
    return complain(usage(), 2)
