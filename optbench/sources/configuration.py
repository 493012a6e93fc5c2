"""``[tool.optbench]`` of a repository's ``pyproject.toml``: what it wants compared."""

from __future__ import annotations

import tomllib
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from optbench.plain_text import first_mistake, words
from optbench.sources.source import SourceError
from optbench.whole_files import read_whole


class Configuration(BaseModel):
    """What a repository says about its optimizers.

    Attributes
    ----------
    optimizers : tuple of str
        Targets, as ``-o`` takes them.
    path : str or None
        The folder that goes on the path.
    install : bool
        Whether a checkout must be built before it can be imported.
    overlay : str
        A package within an installed one, whose folder is laid over it.
    fail_on : tuple of str
        As ``--fail-on`` takes them.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    optimizers: tuple[str, ...] = ()
    path: str | None = None
    install: bool = False
    overlay: str = ""
    fail_on: tuple[str, ...] | None = Field(default=None, alias="fail-on")

    @field_validator("optimizers", "fail_on", mode="before")
    @classmethod
    def _listed(cls, value: object) -> object:
        if isinstance(value, str):
            raise ValueError(f'a list is wanted: ["{value}"]')
        return value

    @field_validator("optimizers")
    @classmethod
    def _named(cls, targets: tuple[str, ...]) -> tuple[str, ...]:
        for target in targets:
            if not target.strip():
                raise ValueError("an empty name")
        return targets


def read_configuration(checkout: Path) -> Configuration:
    """Return the table of a checkout; its defaults where there is none.

    Raises
    ------
    SourceError
        With the path of the wrong key.
    """
    file = checkout / "pyproject.toml"
    if not file.is_file():
        return Configuration()
    try:
        content = tomllib.loads(read_whole(file).decode("utf-8"))
    # ValueError: no TOML, no UTF-8, a number of more digits than Python reads.
    except (OSError, ValueError, RecursionError) as error:
        raise SourceError(f"{file}: {words(error)}") from error
    tool = content.get("tool", {})
    table = tool.get("optbench", {}) if isinstance(tool, dict) else {}
    try:
        return Configuration.model_validate(table)
    except ValidationError as error:
        known = ", ".join(field.alias or name for name, field in Configuration.model_fields.items())
        strange = error.errors(include_url=False)[0]["type"] == "extra_forbidden"
        hint = f"; known are {known}" if strange else ""
        mistake = first_mistake(error, "tool", "optbench")
        raise SourceError(f"{file}: {mistake}{hint}") from error
