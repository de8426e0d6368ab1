"""The commands by name; each hands its options to a module that is imported only then."""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable
from typing import Annotated, Any, get_type_hints

import typer

from rdbench.cli import options as o
from rdbench.cli.messages import complain

app = typer.Typer(
    name="rdbench",
    help="Trustworthy benchmarks of rate-distortion estimators. Rates in nats, distortion "
    "summed over dimensions, gap = F(q) - F*(beta).",
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # it would take the brackets of wgd[particles=4000] for its own
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _command(carry_out: Callable[[Any], int]) -> None:
    """Register a command: its options are the fields of the dataclass that it takes."""
    kind = get_type_hints(carry_out)["options"]
    types = get_type_hints(kind, include_extras=True)

    @functools.wraps(carry_out)
    def called(**given: Any) -> None:
        try:
            code = carry_out(kind(**given))
        except KeyboardInterrupt:  # typer would end without a word
            code = complain("interrupted", 130)
        raise typer.Exit(code)

    missing = dataclasses.MISSING
    signature = inspect.Signature(
        [
            inspect.Parameter(
                field.name,
                inspect.Parameter.KEYWORD_ONLY,
                default=inspect.Parameter.empty if field.default is missing else field.default,
                annotation=types[field.name],
            )
            for field in dataclasses.fields(kind)
        ]
    )
    vars(called).update(__signature__=signature)
    called.__annotations__ = types
    app.command(carry_out.__name__.rstrip("_"))(called)


@app.callback(invoke_without_command=True)
def _root(
    version: Annotated[bool, typer.Option("--version", help="Show the version.")] = False,
) -> None:
    if version:
        from rdbench.version import __version__

        print(__version__)
        raise typer.Exit


@_command
def run(options: o.RunOptions) -> int:
    """Run estimators on suites; stored cells are not run again."""
    from rdbench.cli.run import execute

    return execute(options)


@_command
def list_(options: o.ListOptions) -> int:
    """List suites and estimators, or the cases of all suites."""
    from rdbench.cli.show import show_list

    return show_list(options)


@_command
def info(options: o.InfoOptions) -> int:
    """All about one suite, or about one estimator."""
    from rdbench.cli.show import show_info

    return show_info(options)


@_command
def export(options: o.ExportOptions) -> int:
    """All results as tidy rows, in nats."""
    from rdbench.cli.export import execute

    return execute(options)


@_command
def table(options: o.TableOptions) -> int:
    """One metric as a table for a paper, a page or a spreadsheet."""
    from rdbench.cli.table import execute

    return execute(options)


@_command
def report(options: o.ReportOptions) -> int:
    """One self-contained HTML page of all results; it needs no network."""
    from rdbench.cli.report import execute

    return execute(options)


@_command
def paper(options: o.PaperOptions) -> int:
    """A paper, reproduced: its figures, its numbers beside ours; runs what is missing."""
    from rdbench.cli.paper import execute

    return execute(options)


@_command
def certify(options: o.CertifyOptions) -> int:
    """Compute the certified truth again, or check it."""
    from rdbench.cli.certify import execute

    return execute(options)


@_command
def check(options: o.CheckOptions) -> int:
    """Check an estimator: exits with 1 and says what is wrong."""
    from rdbench.cli.check import execute

    return execute(options)


@_command
def merge(options: o.MergeOptions) -> int:
    """Combine results folders; the newest row of a cell wins."""
    from rdbench.cli.merge import execute

    return execute(options)
