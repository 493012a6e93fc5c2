"""A store whose every text is hostile goes through the whole report, and stays text.

And one whose values nothing of ours has written is refused in a line.
"""

from __future__ import annotations

import csv
import io
import re
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import pytest
from fuzzing import HOSTILE
from parsed_html import Html, rendered

if TYPE_CHECKING:
    from conftest import Optbench

ALL = "|".join(
    [
        *(text for text in HOSTILE if text != "\ud800" and len(text) < 1000),
        '"><script>alert(1)</script><a href="javascript:alert(1)" onclick=x>x</a>',
        "</style></script></svg></title><iframe src=//evil.example>",
        "]]>--><!--<base href=//evil.example>{{ 7*7 }}{% raw %}$x^2$\\frac",
        "[click](javascript:alert(1)) ![x](http://evil.example/x.png) <http://evil.example>",
        "`code` *bold* _it_ # h\n\n- item\n1. one\n| a | b |\n|---|---|\n```\nfence",
    ]
)
"""In one string: what it opens, nothing of it may close."""

TEXTS = {
    "runs": ("optimizer", "base", "variant", "error", "dtype", "device"),
    "problems": ("problem", "data", "cite", "summary"),
    "environments": ("cpu", "os", "python", "torch", "numpy", "optbench", "device", "commit"),
}


def rewritten(path: Path, text: str) -> str:
    """Every text of a store, made another; gives the name of an optimizer of it."""
    # Begins as a formula does, and differs where names differ.
    mark = "=" if text == ALL else ""
    with sqlite3.connect(path) as connection:
        for table, columns in TEXTS.items():
            for column in columns:
                connection.execute(
                    f'update {table} set "{column}" = ? || coalesce("{column}", \'\') || ? '
                    f"where \"{column}\" is not '' or '{column}' != 'variant'",
                    (mark, text),
                )
        connection.execute("update runs set hyperparameters = ?", ('{"x": "' + "y" * 9 + '"}',))
        (name,) = connection.execute("select min(optimizer) from runs").fetchone()
    connection.close()
    return str(name)


def reported(optbench: Optbench, store: Path, out: str, baseline: str) -> Path:
    ended = optbench("report", "--store", store, "--baseline", baseline, "--out", out)
    assert ended.code == 0, ended.err
    assert "\x1b" not in ended.out + ended.err
    return Path(out)


@pytest.mark.proof
def test_every_text_of_a_store_stays_text(optbench: Optbench, store: Path, workplace: Path) -> None:
    plain_store = store.with_name("plain.sqlite")
    plain_store.write_bytes(store.read_bytes())
    plain = reported(optbench, plain_store, "plain", rewritten(plain_store, "-words"))
    before = {path for path in workplace.rglob("*") if path.is_file()}
    out = reported(optbench, store, "out", rewritten(store, ALL))

    html = (out / "index.html").read_text("utf-8")
    page, honest = Html(html), Html((plain / "index.html").read_text("utf-8"))
    assert set(page.elements) <= set(honest.elements)
    assert page.code == honest.code
    outside = {link for link in page.links if not re.fullmatch(r"#[\w-]+|[\w-]+/[\w.-]+", link)}
    assert outside == set()
    assert len(re.findall("alert", html)) > 20, "the names are not on the page at all"
    assert not re.search("[\x00-\x08\x0b-\x1f\u202a-\u202e]", html)

    markdown = (out / "report.md").read_text("utf-8")
    shown = rendered(markdown)
    honest_md = (plain / "report.md").read_text("utf-8")
    known = rendered(honest_md)
    assert set(shown.elements) <= set(known.elements)
    assert not [link for link in shown.links if "evil" in link or "javascript" in link]

    drawings = list((out / "figures").glob("*.svg"))
    assert drawings
    for file in drawings:
        tags = {element.tag.rpartition("}")[2] for element in ElementTree.parse(file).iter()}
        assert not tags & {"script", "a", "foreignObject", "iframe", "image"}, file
    for file in (out / "tables").glob("*.csv"):
        for row in csv.reader(io.StringIO(file.read_text("utf-8"), newline="")):
            assert not [cell for cell in row if cell.startswith(("=", "@"))], file
    after = {path for path in workplace.rglob("*") if path.is_file()} - before
    assert {path for path in after if not path.is_relative_to(workplace / out)} == set()
    assert all(re.fullmatch(r"[\w.-]+", path.name) for path in after)


@pytest.mark.parametrize(
    ("table", "column", "value", "words"),
    [
        ("runs", "lr", "fast", "is damaged: .*'fast'"),
        ("runs", "lr", float("inf"), "hold inf as lr"),
        ("runs", "lr", b"\x00\x01", "is damaged|as lr"),
        ("runs", "seed", "first", "is damaged: .*'first'"),
        ("runs", "budget", 2**62, "as budget"),
        ("runs", "steps", -1, "hold -1 as steps"),
        ("runs", "status", "fine", "hold the status 'fine'"),
        ("runs", "optimizer", b"\xff", "as optimizer"),
        ("runs", "hyperparameters", "{", "cannot be read|is damaged"),
        ("runs", "hyperparameters", "[" * 100_000, "cannot be read|is damaged"),
        ("runs", "hits", "[1, 2", "cannot be read|is damaged"),
        ("runs", "hits", '["x"]', "cannot be read|is damaged"),
        ("problems", "targets", "[[]]", "cannot be read|is damaged|hold"),
        ("problems", "dimension", "wide", "is damaged: .*'wide'"),
        ("problems", "target", "near", "hold 'near' as target"),
        ("environments", "threads", "many", "hold 'many' as threads"),
    ],
)
def test_a_value_of_nobody_s_is_refused(
    optbench: Optbench, store: Path, table: str, column: str, value: object, words: str
) -> None:
    with sqlite3.connect(store) as connection:
        connection.execute(f'update {table} set "{column}" = ?', (value,))
    connection.close()
    ended = optbench("report")
    assert (ended.code, len(ended.err.splitlines())) == (2, 1), ended.err
    assert re.search(words, ended.err), ended.err
    assert not Path("reports").exists()
