"""A night's page: names of strangers are text in it, and a word in a line for a shell."""

from __future__ import annotations

import shlex
from html.parser import HTMLParser

import pytest
from fuzzing import HOSTILE
from markdown_it import MarkdownIt

from optbench.nightly.night import Night
from optbench.nightly.regression import Regression
from optbench.nightly.stage import Stage, State
from optbench.nightly.summary import summary

COMMIT = "a" * 40


def page(text: str) -> str:
    row = Regression(text, text, text, text, COMMIT, COMMIT, text, text, text,
                     f"optbench bisect a b -o {shlex.quote(text)}")  # fmt: skip
    stage = Stage("history", State.DONE, text, 1.0)
    return summary(
        Night("regressed", COMMIT, text, COMMIT, "2026-01-01", 1.0, (stage,), (row,),
              ((text, text),), (text,))
    )  # fmt: skip


def tags(text: str) -> set[str]:
    found: set[str] = set()

    class Tags(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            found.add(f"{tag} {sorted(name for name, _ in attrs)}")

    Tags().feed(MarkdownIt("commonmark").enable("table").render(text))
    return found


@pytest.mark.parametrize("text", [*HOSTILE, "</code></pre><script>alert(1)</script>", "[x](y:z)"])
def test_no_name_makes_markup_or_a_command(text: str) -> None:
    made = page(text)
    assert tags(made) <= tags(page("words"))
    (line,) = [line for line in made.splitlines() if line.startswith("    optbench accept ")]
    if text.isprintable() and " ".join(text.split()) == text:
        assert shlex.split(line) == ["optbench", "accept", COMMIT[:10], text, "--why", "..."]
