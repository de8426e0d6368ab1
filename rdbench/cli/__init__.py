"""The command line, and the one place where running and reporting meet.

Exit codes: 0 done, 1 some points failed (or a record could not be kept), 2 bad input, 130
interrupted. ``--help`` and ``list`` import nothing heavy, and what only reads records imports no
torch: a command's module is imported when the command is carried out. Nothing at all is imported
here before a signal would end the command in words.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from rdbench.cli.signals import deaf, terminable


def main(args: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code; every complaint is one line on stderr.

    Args:
        args: the words after ``rdbench``; None for those of this process, which ends then: a
            signal that comes after the command is done does not take its exit code away.
    """
    try:
        with terminable():
            code = _carried_out(args)
            if args is None:
                deaf()
    except KeyboardInterrupt:
        from rdbench.cli.messages import complain

        return complain("interrupted", 130)
    return code


def _carried_out(args: Sequence[str] | None) -> int:
    import typer

    from rdbench.cli import stdout
    from rdbench.cli.commands import Told, app
    from rdbench.cli.messages import complain
    from rdbench.outcomes import RdbenchError, StoreError

    command = typer.main.get_command(app)
    stdout.prepare()
    try:
        code = command.main(args=args, prog_name="rdbench", standalone_mode=False)
        sys.stdout.flush()
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
    if code == 130 and not isinstance(code, Told):  # typer ends without a word
        raise KeyboardInterrupt
    return code if isinstance(code, int) else 0


def _misused(problem: Exception) -> int:
    """Exit code of what typer raises, whichever package its classes are in; else a traceback."""
    from rdbench.cli.messages import complain

    if type(problem).__name__ == "Abort":
        return complain("interrupted", 130)
    usage = getattr(problem, "format_message", None)
    if usage is None:
        raise problem
    if type(problem).__name__ == "NoArgsIsHelpError":
        print(usage())
        return 2
    return complain(usage(), 2)
