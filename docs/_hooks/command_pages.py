"""Markdown about the command line, from the commands themselves."""

from __future__ import annotations

from typing import Any

import typer
from markup import flat, table

from rdbench.cli.commands import app


def commands() -> str:
    """A section for every command: usage, arguments, options with their defaults."""
    group: Any = typer.main.get_command(app)
    return "\n\n".join(_section(name, command) for name, command in group.commands.items())


def _section(name: str, command: Any) -> str:
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    options = [p for p in command.params if p.param_type_name == "option"]
    parts = [f"## rdbench {name}", flat(command.help), f"```console\n{_usage(name, command)}\n```"]
    if arguments:
        rows = [(f"`{_word(p)}`", flat(p.help or ""), _default(p)) for p in arguments]
        parts.append(table(("argument", "meaning", "default"), rows))
    if options:
        rows = [(f"`{_option(p)}`", flat(p.help or ""), _default(p)) for p in options]
        parts.append(table(("option", "meaning", "default"), rows))
    return "\n\n".join(parts)


def _usage(name: str, command: Any) -> str:
    words = [f"rdbench {name}"]
    for parameter in command.params:
        if parameter.param_type_name == "argument":
            words.append(_word(parameter) if parameter.required else f"[{_word(parameter)}]")
        elif parameter.required:
            words.append(_option(parameter))
    if any(p.param_type_name == "option" and not p.required for p in command.params):
        words.append("[OPTIONS]")
    return " ".join(words)


def _word(parameter: Any) -> str:
    return str(parameter.metavar or parameter.name.upper())


def _option(parameter: Any) -> str:
    names = ", ".join(parameter.opts)
    return names if parameter.is_flag else f"{names} {parameter.metavar or _kind(parameter)}"


def _kind(parameter: Any) -> str:
    """The placeholder of a value whose option does not name it."""
    if isinstance(parameter.default, float):
        return "X"
    return "N" if isinstance(parameter.default, int) or parameter.default is None else "TEXT"


def _default(parameter: Any) -> str:
    if parameter.required:
        return "required"
    if parameter.default is None or getattr(parameter, "is_flag", False):
        return ""
    return f"`{parameter.default}`"
