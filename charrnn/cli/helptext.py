"""--help in plain lines: options under headings, and no import of Rich for it."""

from typing import Any

from typer.core import TyperCommand

OTHER = "Options"
FIRST_COLUMN = 38  # cells at most


class PlainCommand(TyperCommand):
    """A command whose help lists the options under their headings."""

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
