"""Whatever ``optbench run`` is told: runs are planned, or it is refused in a line."""

from __future__ import annotations

import json
from typing import Any

import pytest
from fuzzing import HOSTILE, fuzzed, texts, values, works_or_is_refused
from hypothesis import example, given
from hypothesis import strategies as st

from optbench.api.run import configure
from optbench.cli.options import parse_settings
from optbench.engine.identity import key
from optbench.engine.plan import MOST_SEEDS, Selection, parse_seeds, plan

names = st.sampled_from(["lr", "betas", "eps", "weight_decay", "foreach", "lr_schedule", "x"])
literals = texts | values.map(repr) | values.map(json.dumps) | st.sampled_from(
    ["0.9,0.99", "1j", "b'x'", "{1,2}", "...", "(" * 200, "1" * 5000, "cosine", "{1: [2, {3}]}",
     "0x" + "f" * 5000, "-1", "1e308", "[[1],[2]]", "'\\ud800'", "nan", "inf", "none"]
)  # fmt: skip
pairs = st.tuples(names, st.sampled_from(["=", "==", " = ", ""]), literals).map("".join)


def planned(**changes: Any) -> None:
    """What `optbench run` does before the first run is begun."""
    options: dict[str, Any] = {
        **{"optimizers": ["adam"], "problems": ["beale"], "seeds": "1", "budget": 5},
        **changes,
    }
    options["settings"] = parse_settings(options.pop("settings", []))
    made = plan(configure(**options).selections)
    for run in made.runs:
        assert len(key(run)) == 32


@fuzzed(150)
@given(given_pairs=st.lists(pairs | texts, min_size=1, max_size=3))
@example(["eps=0x" + "f" * 5000])
@example(["lr=0x" + "f" * 5000])
@example(["lr=" + "9" * 400])
@example(["betas={1,2}"])
@example(["weight_decay=" + "[" * 90 + "]" * 90])
@example(["foreach=[[1],[2]]"])
@example(["lr_schedule=" + "x" * 9000])
@example(["lr_schedule={1: [2]}"])
@example(["eps=" + "-" * 3000 + "1"])
def test_any_hyperparameter(given_pairs: list[str]) -> None:
    works_or_is_refused(lambda: planned(settings=given_pairs))


@fuzzed(150)
@given(text=texts | st.text("0123456789,- ", max_size=30))
@example("9" * 5000)
@example(f"0-{'9' * 4299},0-{'9' * 4299}")
@example("1-" + "9" * 4299)
@example("²")
@example("-5")
@example("99999999999")
@example("4294967296,")
def test_any_seeds(text: str) -> None:
    if not works_or_is_refused(lambda: planned(seeds=text)):
        assert 1 <= len(parse_seeds(text)) <= MOST_SEEDS


@fuzzed(80)
@given(
    lr=st.lists(st.floats(), min_size=1, max_size=3) | st.none(),
    budget=st.integers() | st.none(),
    schedules=st.lists(texts | st.sampled_from(["cosine", "*", "step"]), max_size=2),
    optimizers=st.lists(st.sampled_from(["adam", "sgd", "*[fused]", "no"]), max_size=2),
    problems=st.lists(st.sampled_from(["beale", "quad*", "no"]), max_size=2),
    suite=texts | st.none(),
)
def test_any_other_option(suite: str | None, **options: Any) -> None:
    works_or_is_refused(lambda: planned(suite=suite, **options))


@fuzzed(150)
@given(content=st.dictionaries(st.sampled_from([*Selection.model_fields, "x"]), values, max_size=4))
def test_any_selection(content: dict[str, Any]) -> None:
    works_or_is_refused(lambda: Selection.model_validate(content))


@pytest.mark.parametrize("text", HOSTILE)
def test_a_hostile_value_is_text(text: str) -> None:
    works_or_is_refused(lambda: parse_settings([text]))
    if text.isprintable():
        read = parse_settings([f"x={text}"])["x"]
        assert isinstance(read, str | int | float)
