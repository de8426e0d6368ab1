"""The commands as typer has them, made from their options.

``rdbench NAME`` gives its options to ``execute`` in ``rdbench/cli/NAME.py``, which is imported only
then.
"""

from __future__ import annotations

import gc
import importlib
import inspect
from dataclasses import MISSING, fields
from typing import Annotated, Any, get_type_hints

import typer

from rdbench.cli.messages import complain
from rdbench.cli.options import COMMANDS
from rdbench.version import __version__

app = typer.Typer(
    name="rdbench",
    help="Trustworthy benchmarks of rate-distortion estimators. Rates in nats, distortion "
    "summed over dimensions, gap = F(q) - F*(beta).",
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # it would take the brackets of wgd[particles=4000] for its own
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


class Told(int):
    """The exit code of a command that has said what there is to say."""


@app.callback(invoke_without_command=True)
def _root(
    version: Annotated[bool, typer.Option("--version", help="Show the version.")] = False,
) -> None:
    if version:
        print(__version__)
        raise typer.Exit


def _register(name: str, kind: type[Any]) -> None:
    """Register a command whose parameters are the fields of its dataclass."""

    def carry_out(**given: Any) -> None:
        try:
            code = importlib.import_module(f"rdbench.cli.{name}").execute(kind(**given))
        except KeyboardInterrupt:  # typer would end without a word
            code = complain("interrupted", 130)
        finally:
            gc.unfreeze()
        raise typer.Exit(Told(code))

    types = get_type_hints(kind)
    parameters = []
    for one in fields(kind):
        told = one.metadata["typer"]
        if one.metadata["flag"]:  # typer would add a --no- to it
            told.param_decls = (f"--{one.name.replace('_', '-')}",)
        parameters.append(
            inspect.Parameter(
                one.name,
                inspect.Parameter.KEYWORD_ONLY,
                default=inspect.Parameter.empty if one.default is MISSING else one.default,
                annotation=Annotated[types[one.name], told],
            )
        )
    vars(carry_out).update(
        __signature__=inspect.Signature(parameters),
        __annotations__={one.name: one.annotation for one in parameters},
    )
    app.command(name, help=kind.__doc__)(carry_out)


for _name, _kind in COMMANDS.items():
    _register(_name, _kind)
