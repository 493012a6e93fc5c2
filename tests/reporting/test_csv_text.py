"""CSV: data to programs, and nothing that a spreadsheet runs."""

from __future__ import annotations

import csv
import io

import pandas as pd
import pytest
from fuzzing import HOSTILE, fuzzed, texts
from hypothesis import given
from hypothesis import strategies as st

from optbench.reporting.tables import FORMULA, csv_text


def cells(frame: pd.DataFrame) -> list[list[str]]:
    return list(csv.reader(io.StringIO(csv_text(frame), newline="")))[1:]


@fuzzed(100)
@given(names=st.lists(texts, min_size=1, max_size=4))
def test_no_text_begins_as_a_formula_does(names: list[str]) -> None:
    frame = pd.DataFrame({"name": pd.Series(names, dtype=object), "value": -1.5})
    read = cells(frame)
    assert [row[1] for row in read] == ["-1.5"] * len(names)
    for (shown, _), name in zip(read, names, strict=True):
        written = name.encode("utf-8", "replace").decode("utf-8").replace("\r", "\\r")
        assert shown in (written, f"'{written}")
        assert (shown != written) is written.startswith(FORMULA)


# Of half a character pandas makes no category.
@pytest.mark.parametrize("text", [text for text in HOSTILE if text != "\ud800"])
def test_a_categorical_is_treated_as_texts_are(text: str) -> None:
    frame = pd.DataFrame({"name": pd.Categorical([f"={text}", "adam"]), "value": 1})
    assert [row[0][:2] for row in cells(frame)] == ["'=", "ad"]


def test_numbers_and_lists_of_them_stay_as_they_are() -> None:
    frame = pd.DataFrame(
        {"a": [-1.0], "b": ["-1.5 2e-05 -3"], "c": [(1, 2)], "d": [True], "e": [None]}
    )
    assert cells(frame) == [["-1.0", "-1.5 2e-05 -3", "[1, 2]", "True", ""]]
