"""docs/comparing.md names every option, every verdict, and a JSON that is what is written."""

from __future__ import annotations

import inspect
import json
import re
from pathlib import Path

from optbench.cli import compare as command
from optbench.sources.configuration import Configuration
from optbench.verdicts import comparison
from optbench.verdicts.comparison import (
    RUNGS,
    Comparison,
    ConvergenceVerdict,
    Maths,
    MathsVerdict,
    OptimizerComparison,
    SideOfComparison,
)

PAGE = (Path(__file__).parents[2] / "docs" / "comparing.md").read_text("utf-8")


def test_every_long_option_is_named_but_for_those_that_say_themselves() -> None:
    silent = {"--verbose", "--timeout", "--optimizer"}
    for parameter in inspect.signature(command.compare, eval_str=True).parameters.values():
        option = parameter.annotation.__metadata__[0]
        names = {str(option.default), *(option.param_decls or ())} - silent
        long = [name for name in names if name.startswith("--")]
        assert all(name.partition("/")[0] in PAGE for name in long), long


def test_every_verdict_and_every_word_of_fail_on_is_named() -> None:
    verdicts = [*MathsVerdict, *ConvergenceVerdict]
    assert all(f"{each}" in PAGE for each in verdicts)
    assert all(f"`{word}`" in PAGE for word in command.WORDS)
    assert all(f"### {rung.capitalize()}" in PAGE or rung == "memory" for rung in RUNGS)


def test_the_keys_of_the_table_are_those_that_are_read() -> None:
    (table,) = re.findall(r"```toml\n.*?\[tool\.optbench\]\n(.*?)```", PAGE, re.DOTALL)
    keys = {line.partition(" =")[0] for line in table.splitlines()}
    assert keys == {field.alias or name for name, field in Configuration.model_fields.items()}


def test_the_json_has_the_keys_that_are_written() -> None:
    (block,) = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
    shown = json.loads(block)
    row = OptimizerComparison("a:B", Maths(MathsVerdict.IDENTICAL))
    written = Comparison(
        SideOfComparison("main"), SideOfComparison("working tree"), RUNGS, (row,)
    ).as_json()
    assert shown["schema"] == comparison.SCHEMA
    assert set(shown) <= set(written)
    (example,) = shown["optimizers"]
    (made,) = written["optimizers"]
    assert set(example) <= set(made)
    assert set(example["cost"]) <= set(made["cost"])
    problem = {field.name for field in comparison.OnProblem.__dataclass_fields__.values()}
    assert set(example["problems"][0]) <= problem
