"""Text from outside is shown on a line, whatever it is, and whatever shows it raises."""

from __future__ import annotations

from typing import Any

import pytest
from fuzzing import HOSTILE, fuzzed, texts, values
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, ValidationError

from optbench.plain_text import (
    LONGEST_LINE,
    LONGEST_SHOWN,
    first_mistake,
    on_a_line,
    printable,
    said,
    shown,
    words,
)


class Mute(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")

    __repr__ = __str__


@fuzzed(200)
@given(text=texts, longest=st.integers(1, 50))
def test_a_line_is_one_that_a_terminal_can_hold(text: str, longest: int) -> None:
    line = on_a_line(text, longest)
    assert line.isprintable()
    assert len(line) <= longest
    line.encode("utf-8")
    if text.isprintable() and len(text) <= longest:
        assert line == text


@fuzzed(200)
@given(text=texts)
def test_printable_keeps_lines_and_nothing_that_acts(text: str) -> None:
    assert all(part.isprintable() for part in printable(text).split("\n"))
    assert printable(printable(text)) == printable(text)


DEEP: list[Any] = []
for _ in range(2000):
    DEEP = [DEEP]


VALUES = {
    **{"mute": Mute(), "mutes": [Mute()], "large": 16**5000, "deep": DEEP},
    **{"lines": "a\n\x1b[2J", "bytes": b"\xff", "class": object},
}


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
def test_any_value_is_shown(value: Any) -> None:
    assert shown(value).isprintable()
    assert 0 < len(shown(value)) <= LONGEST_SHOWN


def test_an_exception_without_words_has_its_name() -> None:
    assert said(Mute()).startswith("Mute: ")
    assert words(ValueError("a\nb\x1b[2J")) == "a\\nb\\x1b[2J"
    assert len(words(ValueError("x" * 10**6))) == LONGEST_LINE


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")

    number: int = 0


@fuzzed(100)
@given(content=st.dictionaries(st.just("number") | texts, values, max_size=2) | values)
def test_what_pydantic_refuses_is_told_on_a_line(content: Any) -> None:
    try:
        Strict.model_validate(content)
    except ValidationError as error:
        told = first_mistake(error, "tool")
    else:
        return
    assert told.isprintable()
    assert told.startswith("tool")
    assert len(told) < 2000


def test_the_hostile_are_hostile() -> None:
    """What the other tests rest on: these are of every kind that has broken programs."""
    everything = "".join(HOSTILE)
    for kind in ("\x1b", "\n", "\x00", "\u202e", "\ud800", "<img", "$(", "--", "../", "=1"):
        assert kind in everything
