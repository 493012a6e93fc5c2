"""``optbench list``: every row, for people and for programs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from optbench.engine.suites import SUITES
from optbench.optimizers import OPTIMIZERS, SCHEDULES
from optbench.problems import PROBLEMS

if TYPE_CHECKING:
    from conftest import Optbench

CATALOGUES = {
    "optimizers": OPTIMIZERS,
    "problems": PROBLEMS,
    "schedules": SCHEDULES,
    "suites": SUITES,
}
KEYS = {
    "optimizers": {"name", "base", "variant", "defaults", "space", "route", "needs", "cite"},
    "problems": {
        *("name", "family", "version", "dimension", "minimum", "minimum_is_bound", "target"),
        *("targets", "budget", "data", "traits", "settings", "cite", "summary"),
    },
    "schedules": {"name", "summary", "cite"},
    "suites": {"name", "runs", "summary"},
}
EACH = pytest.mark.parametrize("catalogue", list(CATALOGUES))


@EACH
def test_as_text_every_row_is_a_line_under_a_header(optbench: Optbench, catalogue: str) -> None:
    code, out, err = optbench("list", catalogue)
    assert (code, err) == (0, "")
    header, *lines = out.splitlines()
    assert header.split()[0] == "name"
    assert [line.split()[0] for line in lines] == [row.name for row in CATALOGUES[catalogue]]
    assert not any(line != line.rstrip() for line in lines)


@EACH
def test_as_json_every_row_is_an_object(optbench: Optbench, catalogue: str) -> None:
    code, out, err = optbench("list", catalogue, "--json")
    assert (code, err) == (0, "")
    # Strict: a NaN or an infinity is no JSON.
    rows = json.loads(out, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))
    assert [row["name"] for row in rows] == [row.name for row in CATALOGUES[catalogue]]
    assert {frozenset(row) for row in rows} == {frozenset(KEYS[catalogue])}


def test_a_row_of_an_optimizer_says_what_its_recipe_says(optbench: Optbench) -> None:
    rows = {row["name"]: row for row in json.loads(optbench("list", "optimizers", "--json").out)}
    fused, adam = rows["adam[fused]"], OPTIMIZERS["adam"]
    assert (fused["base"], fused["variant"]) == ("adam", "fused")
    assert fused["defaults"] == {**adam.defaults, "fused": True}
    assert rows["adam"]["space"]["lr"] == list(adam.space["lr"])
    assert rows["muon"]["needs"] == ["matrices"]
    assert all(row["cite"] for row in rows.values())


def test_a_suite_says_how_many_runs_it_takes(optbench: Optbench) -> None:
    rows = {
        row["name"]: row["runs"] for row in json.loads(optbench("list", "suites", "--json").out)
    }
    _, _, err = optbench("run", "--suite", "quick", "--dry-run")
    assert f"{rows['quick']:,} runs;" in err
    assert rows["smoke"] < rows["quick"] < rows["nightly"] < rows["full"]
    assert rows["nightly"] >= 40_000


def test_an_entry_point_that_does_not_load_is_said_and_the_others_are_listed(
    optbench: Optbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(OPTIMIZERS.broken, "theirs", "their.module: ImportError: [red]no")
    code, out, err = optbench("list", "optimizers")
    assert code == 0
    assert "not loaded: entry point theirs: their.module: ImportError: [red]no" in err
    assert "\nadam " in out


def test_help_is_shown_where_nothing_is_asked(optbench: Optbench) -> None:
    for arguments in ((), ("list",)):
        code, out, err = optbench(*arguments)
        assert code == 2
        assert "Usage: optbench" in out + err
    code, out, _ = optbench("--help")
    assert code == 0
    for command in ("list", "run", "report", "export", "data"):
        assert f" {command} " in out
