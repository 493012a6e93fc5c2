"""Whatever ``--compare`` is given: it is read and drawn, or refused in a line; names stay text."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from fuzzing import HOSTILE, damaged, fuzzed, texts, works_or_is_refused
from hypothesis import example, given
from hypothesis import strategies as st
from parsed_html import Html

from optbench.api.report_inputs import read_comparisons
from optbench.reporting.comparison_page import as_markdown, page
from optbench.reporting.comparison_text import Teller, sides, summary, told_apart
from optbench.verdicts.comparison_json import read_comparison


def made(text: str) -> dict[str, Any]:
    """A comparison whose every text is one."""
    words = {"source": text, "commit": text, "note": text}
    on = {"problem": text, "league": text, "verdict": "regressed", "ratio": 2.0, "low": 1.5,
          "high": 3.0, "target": 0.1, "seeds": 3, "won": 1, "lr": [0.1, 0.1],
          "text": text}  # fmt: skip
    timed = {"parameters": 10, "verdict": "slower", "ratio": 2.0, "low": 1.5, "high": 3.0,
             "seconds": [0.1, 0.2], "rounds": 3, "shapes": text}  # fmt: skip
    pairs = {"operations": [1.0, 2.0], "bytes": [1.0, 2.0], "calls": [1.0, 2.0]}
    counted = {**pairs, "dearer": [{**pairs, "function": text}], "decides": True}
    return {
        "schema": 2, "base": words, "head": words, "notes": [text],
        "rungs": ["maths", "convergence", "speed", "memory"], "only_in_base": [text],
        "only_in_head": [text], "not_constructible": [{"name": text, "reason": text}],
        "environment": {text: text, "cpu": text},
        "optimizers": [
            {"name": text, "maths": "changed", "maths_text": text, "scenarios": 1,
             "differing_scenarios": [text], "convergence": "regressed", "convergence_text": text,
             "first_difference": {"scenario": text, "step": 1, "relative": 0.1},
             "problems": [on], "speed": "slower", "memory": "leak",
             "cost": {"sizes": [timed], "text": text, "counted": counted, "step_ratio": 2.0,
                      "low": 1.5, "high": 3.0}}
        ],
    }  # fmt: skip


def all_of(comparison: Any) -> tuple[str, str]:
    teller = Teller(verbose=True, rungs=comparison.rungs)
    for each in comparison.optimizers:
        teller.line(each)
    list(teller.rest(comparison))
    sides(comparison), summary(comparison), told_apart(comparison)
    return page(comparison), as_markdown(comparison)


@fuzzed(120)
@given(content=damaged(texts.map(made)).map(json.dumps).map(str.encode) | st.binary())
@example(b"[" * 100_000)
@example(b"9" * 5000)
@example(b'{"schema": "\\u001b[2J\\n"}')
@example(json.dumps(made("x")).replace('"low": 1.5, "high": 3.0}}', '"low": null}}').encode())
@example(b'{"schema": ' + b"[" * 900 + b"]" * 900 + b"}")
def test_any_file(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    file = tmp_path_factory.getbasetemp() / "comparison.json"
    file.write_bytes(content)
    refusal = works_or_is_refused(lambda: read_comparisons([file]))
    if refusal:
        assert str(file) in refusal
    else:
        for comparison in read_comparisons([file]):
            all_of(comparison)


@pytest.mark.parametrize("text", HOSTILE)
def test_a_hostile_comparison_makes_no_element(text: str) -> None:
    html, markdown = all_of(read_comparison(made(text)))
    plain, _ = all_of(read_comparison(made("words")))
    assert set(Html(html).elements) <= set(Html(plain).elements)
    assert all(link.startswith("#o") for link in Html(html).links)
    assert "\x1b" not in html + markdown
    assert "<img" not in markdown.replace("\\<img", "")


def test_a_file_that_never_ends_is_refused(tmp_path: Path) -> None:
    (tmp_path / "c.json").symlink_to("/dev/zero")
    assert "it is not a plain file" in works_or_is_refused(
        lambda: read_comparisons([tmp_path / "c.json"])
    )
