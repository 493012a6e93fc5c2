"""The page on Adam prints what its code computes, and quotes the code that there is."""

from __future__ import annotations

import doctest
import inspect
import re
from pathlib import Path

import pytest

from optbench.optimizers import textbook

PAGE = Path(__file__).parents[2] / "docs" / "adam-step-by-step.md"
BLOCK = re.compile(r"^```pycon\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def run(text: str) -> doctest.TestResults:
    """Every block in order, in one session, as a reader would type them."""
    session = "\n".join(BLOCK.findall(text))
    test = doctest.DocTestParser().get_doctest(session, {}, PAGE.name, str(PAGE), 0)
    return doctest.DocTestRunner(verbose=False).run(test)


def test_every_block_prints_what_the_page_says(capsys: pytest.CaptureFixture[str]) -> None:
    results = run(PAGE.read_text(encoding="utf-8"))
    assert results.failed == 0, capsys.readouterr().out
    assert results.attempted >= 10


def test_a_number_that_is_not_the_codes_is_found(capsys: pytest.CaptureFixture[str]) -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert "| 0.806782" in text
    assert run(text.replace("| 0.806782", "| 0.806783")).failed == 1


def test_the_code_in_the_table_is_that_of_the_rule() -> None:
    (table,) = re.findall(r"^\| Algorithm 1 .*?\n\n", PAGE.read_text("utf-8"), re.M | re.S)
    quoted = re.findall(r"`([^`]+)`", table)
    assert len(quoted) == 6
    for line in quoted:
        assert line in inspect.getsource(textbook.adam)
