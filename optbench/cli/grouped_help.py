"""Help that shows the options of a command in groups, without rich."""

from __future__ import annotations

from typing import TYPE_CHECKING

from typer.core import TyperCommand

if TYPE_CHECKING:
    from typer import _click as click

GENERAL = "Options"
"""Title of the options that name no group."""


class GroupedCommand(TyperCommand):
    """A command whose options stand under the titles of their ``rich_help_panel``."""

    def format_options(
        self, ctx: click.core.Context, formatter: click.formatting.HelpFormatter
    ) -> None:
        """Write arguments, then each group of options in the order of its first option."""
        groups: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None:
                title = getattr(parameter, "rich_help_panel", None) or GENERAL
                if parameter.param_type_name == "argument":
                    title = "Arguments"
                groups.setdefault(title, []).append(record)
        if GENERAL in groups:
            groups[GENERAL] = groups.pop(GENERAL)
        for title, records in groups.items():
            with formatter.section(title):
                formatter.write_dl(records)
