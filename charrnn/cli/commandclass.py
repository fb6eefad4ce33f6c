"""What Typer's commands lack here: help under headings without Rich, and values read by us alone.

Typer reads values through pydantic, whose import takes a third of the time to the first character
of `sample`. So what was not given is not read at all, and what was is read by the parser of its
field.
"""

from collections.abc import Mapping
from typing import Any

from typer.core import TyperCommand, TyperGroup

from charrnn.cli.options import Item, Parser, number_parser, parser_of
from charrnn.config import Range

OTHER = "Options"
FIRST_COLUMN = 38  # cells at most
LARGEST = 2**63 - 1  # of a number that says no limit of its own


class Reader:
    """Reads what was given for one parameter, with `parse` or else as Typer does."""

    def __init__(self, parameter: Any, parse: Parser | None) -> None:
        self.process, self.parse = parameter.process_value, parse
        self.required = parameter.required
        self.several = getattr(parameter, "multiple", False) or parameter.nargs == -1

    def __call__(self, ctx: Any, value: Any) -> Any:
        """Return the value for the command; None or () if nothing was given."""
        if value is None and not self.required:
            return () if self.several else None
        if self.parse is None:
            return self.process(ctx, value)
        return tuple(map(self.parse, value)) if self.several else self.parse(value)


def read_ourselves(parameters: list[Any], items: Mapping[str, Item]) -> None:
    """Let `parameters` read their values with a Reader."""
    for parameter in parameters:
        if not isinstance(parameter.process_value, Reader):
            item = items.get(parameter.name)
            parse = parser_of(item) if item is not None else parser_of_number(parameter)
            parameter.process_value = Reader(parameter, parse)


def parser_of_number(parameter: Any) -> Parser | None:
    """Return the strict parser of an option that is declared as an integer; None for others."""
    described = getattr(parameter, "type_descriptor", None)
    if described is None:  # an older Typer: what Click knows
        limits, is_integer = parameter.type, "integer" in parameter.type.name
    else:
        limits = parameter
        is_integer = described.annotation is int and described.parameter_info.parser is None
    if not is_integer:
        return None
    low, high = getattr(limits, "min", None), getattr(limits, "max", None)
    allowed = Range(-LARGEST if low is None else low, LARGEST if high is None else high)
    return number_parser(max(parameter.opts, key=len), allowed)


class PlainGroup(TyperGroup):
    """A group of commands, which list themselves in plain lines."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Take the values out of `args`."""
        read_ourselves(self.get_params(ctx), {})
        return super().parse_args(ctx, args)


class PlainCommand(TyperCommand):
    """A command whose help lists the options under their headings."""

    items: Mapping[str, Item] = {}  # options that come from fields

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Take the values out of `args`."""
        read_ourselves(self.get_params(ctx), self.items)
        return super().parse_args(ctx, args)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the arguments, then the options, a section for each heading."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is None:
                continue
            names, text = record
            if parameter.param_type_name == "argument":
                names, title = str(parameter.metavar), "Arguments"
            else:
                title = getattr(parameter, "rich_help_panel", None) or OTHER
            names = names.split(" / --no-")[0]  # each switch has its opposite: no need to say it
            sections.setdefault(title, []).append((names, text))
        for title in sorted(sections, key=lambda title: title != "Arguments"):
            with formatter.section(title):
                formatter.write_dl(sections[title], col_max=FIRST_COLUMN)


def command_class(items: Mapping[str, Item]) -> type[PlainCommand]:
    """Return the class of a command whose options are `items`."""
    return type("Command", (PlainCommand,), {"items": items})
