"""Fields of dataclasses -> options of a command: name, help, default, range and choices from there.

A command takes them as `**options`. An option that was not given is None, so that what the user
said himself is known.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import Field, fields
from inspect import Parameter, Signature, signature
from typing import Annotated, Any, TypeVar, get_args, get_origin

import typer

from charrnn.cli.parsing import parse_choice, parse_duration, parse_number
from charrnn.config import DEFAULT_MAX_TIME, Range

Command = TypeVar("Command", bound=Callable[..., None])
Parser = Callable[[Any], Any]
Item = Field[Any]

DURATIONS = {"max_time"}  # seconds in the configuration, "3m" on the command line
METAVARS = {
    "config": "FILE",
    "device": "auto|cpu|cuda[:N]",
    "init_from": "DIR",
    "model": "DIR",
    "output": "DIR",
    "prompt": "TEXT",
    "prompt_file": "FILE",
    "stop": "STRING",
    "valid": "FILE",
}


def items_of(*classes: type) -> dict[str, Item]:
    """Return the fields of dataclasses by name."""
    return {item.name: item for kind in classes for item in fields(kind)}


def flag_of(name: str) -> str:
    """Return "--seq-length" for "seq_length"."""
    return "--" + name.replace("_", "-")


def is_switch(item: Item) -> bool:
    """Return whether a field is either true or false."""
    return item.type is bool or bool in get_args(item.type)


def is_list(item: Item) -> bool:
    """Return whether the option of a field can be given more than once."""
    return get_origin(item.type) is tuple


def parser_of(item: Item) -> Parser:
    """Return the function that reads the value of a field from a string.

    Values that are no strings stay: they were read before.
    """
    allowed: Any = item.metadata.get("range")
    choices, option = item.metadata.get("choices"), flag_of(item.name)

    def parse(value: Any) -> Any:
        if not isinstance(value, str):
            return value
        if item.name in DURATIONS:
            return parse_duration(value, allowed, option)
        if allowed is not None:
            return parse_number(value, allowed, option)
        return value if choices is None else parse_choice(value, choices, option)

    return parse


def number_parser(option: str, allowed: Range) -> Parser:
    """Return a strict parser for an option of a view: typer.Option(parser=..., metavar="N")."""
    return lambda value: parse_number(value, allowed, option) if isinstance(value, str) else value


def as_typed(value: Any) -> Any:
    """Return `value` as it is: bytes of file names that are no UTF-8 must stay."""
    return value


def metavar_of(item: Item) -> str:
    """Return what help shows for the value of a field."""
    allowed, choices = item.metadata.get("range"), item.metadata.get("choices")
    if item.name in DURATIONS:
        return "TIME"
    if allowed is not None:
        return "N" if allowed.integer else "X"
    if choices is not None:
        return "|".join(choices)
    return METAVARS.get(item.name, item.name.upper())


def help_of(item: Item) -> str:
    """Return the help text of a field, with its default."""
    text, default = str(item.metadata["help"]), item.default
    if item.name == "max_time":
        default = f"{DEFAULT_MAX_TIME / 60:g}m"
    silent = default is None or isinstance(default, bool | tuple)
    return text if silent else f"{text} [default: {default}]"


def option_for(item: Item, panel: str, short: str | None = None) -> Parameter:
    """Return the option for one field; each switch --x has its opposite --no-x."""
    names = [flag_of(item.name), *([short] if short else [])]
    shared: dict[str, Any] = {
        "help": help_of(item),
        "rich_help_panel": panel,
        "show_default": False,
    }
    kind: Any
    if is_switch(item):
        opposite = "" if item.name.startswith("no_") else f"/--no-{names[0][2:]}"
        names = [names[0] + opposite, *names[1:]]
        kind = Annotated[bool | None, typer.Option(*names, **shared)]
    else:
        shared |= {"parser": parser_of(item), "metavar": metavar_of(item)}
        choices = item.metadata.get("choices")
        if choices is not None:
            shared["autocompletion"] = completion_of(choices)
        value: Any = list[str] if is_list(item) else str
        kind = Annotated[value | None, typer.Option(*names, **shared)]
    return Parameter(item.name, Parameter.KEYWORD_ONLY, default=None, annotation=kind)


def completion_of(choices: Sequence[str]) -> Callable[[str], list[str]]:
    """Return a function that completes the beginning of a choice, for the shell."""

    def complete(incomplete: str) -> list[str]:
        return [choice for choice in choices if choice.startswith(incomplete)]

    return complete


def add_options(
    items: Mapping[str, Item], panels: Mapping[str, str], short: Mapping[str, str]
) -> Callable[[Command], Command]:
    """Return a decorator that gives a command options in the place of its `**options`.

    `panels` says which `items`, by headings of --help; `short` gives some a second name.
    """
    options = [
        option_for(items[name], panel, short.get(name))
        for panel, names in panels.items()
        for name in names.split()
    ]

    def decorate(command: Command) -> Command:
        own = [p for p in signature(command).parameters.values() if p.kind != p.VAR_KEYWORD]
        command.__signature__ = Signature([*own, *options])  # type: ignore[attr-defined]
        return command

    return decorate


def given_only(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that were given."""
    return {name: value for name, value in options.items() if value is not None and value != []}
