"""``--help``: whole sentences at 80 columns, and options in groups."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
import typer.main

from optbench.cli import app

if TYPE_CHECKING:
    from conftest import Optbench

COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]


@pytest.fixture(autouse=True)
def a_terminal_of_80_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")


def test_each_command_is_described_on_one_line(optbench: Optbench) -> None:
    lines = optbench("--help").out.split("Commands:\n")[1].splitlines()
    assert [line.split()[0] for line in lines] == [*COMMANDS]
    assert not [line for line in lines if "..." in line or not line.endswith(".")]


@pytest.mark.parametrize("name", ["run", "check", "compare", "nightly"])
def test_the_options_of_a_long_command_stand_in_groups(optbench: Optbench, name: str) -> None:
    out = optbench(name, "--help").out
    groups = dict(re.findall(r"^([A-Z][^\n]*):\n((?:  .*\n|\n)+)", out, flags=re.M))
    assert {"Where and how", "Options"} < set(groups)
    listed = re.findall(r"^  (?:-\w, )?(--[\w-]+)", out, flags=re.M)
    options = {opt for p in COMMANDS[name].params for opt in p.opts if opt.startswith("--")}
    assert sorted(listed) == sorted({*options, "--help"})
    assert "--help" in groups["Options"]


@pytest.mark.parametrize("name", [*COMMANDS])
def test_no_line_is_longer_than_the_terminal(optbench: Optbench, name: str) -> None:
    assert max(map(len, optbench(name, "--help").out.splitlines())) <= 80
