"""Sections as HTML and Markdown: every part, in order, as text and never as markup."""

import re
from collections.abc import Sequence
from html import unescape
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from matplotlib.figure import Figure
from parsed_html import Html, rendered

from optbench.reporting import render, style
from optbench.reporting.files import slug
from optbench.reporting.section import (
    Code,
    Fold,
    Heading,
    Link,
    Part,
    Plot,
    Points,
    Section,
    Terms,
    Text,
)
from optbench.reporting.svg import svg
from optbench.reporting.tables import Cell, Column, Table, name, number

NASTY = [
    '<script>alert("x")</script>',
    "a|b`c`*d*[e](javascript:f)",
    "$x^2$ 50% \\frac {{ 7*7 }} {% raw %}",
    "оптимизатор_最適化 שלום",
    "]]>--><svg onload=x>",
    "\" onfocus=alert(1) autofocus x='",
    "</style></script></details><!--",
    "1. - # heading\n\n<u>block</u>\n```\nend",
]

TEMPLATES = Path(render.__file__).parent / "templates"


def plot(called: str = "one", text: str = "A title") -> Plot:
    with style.drawing():
        figure = Figure(figsize=(3, 2))
        axes = figure.add_subplot()
        axes.set_title(style.plain(text), parse_math=False)
        (line,) = axes.plot([1, 2], color=style.BLUE)
        style.mark(line, text)
        style.tag_problem(axes, text)
    return Plot(called, text, text, text, text, figure, pd.DataFrame({"a": [1]}))


def table(text: str = "adam", file: str = "steps") -> Table:
    columns = [Column("optimizer", number=False), Column(text, text, problem=text)]
    lines = [
        [name(text, optimizer=text), number(3.0, "3", text, "best")],
        [name("sgd", optimizer="sgd", problem="quadratic"), number(float("nan"), "", "missed")],
        [Cell("nobody"), Cell("")],
    ]
    return Table(f"Steps: {text}", columns, lines, file, wide=True)


def parts(text: str) -> tuple[Part, ...]:
    inner = (Text(text), table(text, "inner"), plot("inside", text), Fold(text, (Points((text,)),)))
    return (
        *(Text(text), Text(text, note=True), Code(text), Heading(text), Terms(((text, text),))),
        *(Points((text, text)), Link(text, "tables/runs.csv"), plot("one", text), table(text)),
        Fold(text, inner),
    )


def html(sections: Sequence[Section], **options: Any) -> str:
    drawings = {one.name: svg(one.figure, one.name) for one in render.plots(sections)}
    return render.html("A title", ["What it comes to."], sections, drawings, **options)


def section(*inner: Part) -> list[Section]:
    return [Section("first", "First", inner)]


def test_all_plots_are_found_in_the_order_of_the_page() -> None:
    inner = Fold("fold", (Fold("within", (plot("b"),)), plot("c")))
    sections = [*section(plot("a"), inner), Section("second", "Second", (plot("d"),))]
    assert [one.name for one in render.plots(sections)] == ["a", "b", "c", "d"]
    text = html(sections)
    places = [text.index(f'<figure id="{one}">') for one in "abcd"]
    assert places == sorted(places)


def test_a_plot_without_a_drawing_is_an_error() -> None:
    with pytest.raises(KeyError, match="one"):
        render.html("A title", [], section(plot()), {})


def test_each_part_is_drawn_as_what_it_is() -> None:
    page = Html(html(section(*parts("words"))))
    tags = [tag for tag, _ in page.tags]
    counts = {"pre": 1, "dl": 1, "dt": 1, "dd": 1, "figure": 2, "table": 2, "figcaption": 2}
    assert {tag: tags.count(tag) for tag in counts} == counts
    assert len([a for a in page.of("details") if a.get("class") == "fold"]) == 2
    assert {"href": "tables/runs.csv"} in page.of("a")
    for link in ("figures/one.svg", "tables/one.csv", "tables/steps.csv", "#first"):
        assert {"href": link} in page.of("a")
    images = [a for _, a in page.tags if a.get("role") == "img"]
    assert [image["aria-label"] for image in images] == ["words", "words"]


def test_the_menu_names_the_sections() -> None:
    text = html([Section("a", "A long title", menu="Short"), Section("b", "Second")])
    menu = re.search(r"<nav.*?</nav>", text, re.DOTALL)
    assert menu
    assert re.findall(r'href="#(\w)">([^<]*)<', menu.group()) == [("a", "Short"), ("b", "Second")]
    assert "<h2>A long title</h2>" in text


def test_a_table_says_whose_its_rows_and_columns_are() -> None:
    page = Html(html(section(table("adam[fused]"))))
    rows = [(a.get("data-o"), a.get("data-p")) for a in page.of("tr")]
    mine = slug("adam[fused]")
    assert rows == [(None, None), (mine, None), ("sgd", "quadratic"), (None, None)]
    assert [a.get("data-p") for a in page.of("th")] == [None, mine]
    assert [a.get("data-p") for a in page.of("td")] == [None, mine] * 3
    # What has no value has nothing to sort by, and comes last.
    assert [a.get("data-sort") for a in page.of("td")][1::2] == ["3.0", None, None]


def test_the_bar_offers_what_it_is_given_and_waits_for_the_script() -> None:
    optimizers = {
        one: style.look(one, one.split("[")[0]) for one in ("adam", "adam[fused]", "mine")
    }
    page = Html(html(section(plot()), optimizers=optimizers, problems=["quadratic", "a b"]))
    boxes = [a for a in page.of("input") if a.get("type") == "checkbox"]
    assert [a["value"] for a in boxes] == [slug(one) for one in optimizers]
    assert [a["aria-label"] for a in boxes] == [f"Show {one}" for one in optimizers]
    assert [a["value"] for a in page.of("option")] == ["", "quadratic", slug("a b")]
    bars = [a for a in page.of("div") if a.get("class") == "controls"]
    assert ["hidden" in a for a in bars] == [True]
    without = Html(html(section(plot())))
    assert not without.of("input")
    assert not without.of("select")


def test_a_date_is_shown_where_there_is_one() -> None:
    assert "2026-01-01" in html([], date="2026-01-01")
    assert "2026-01-01" in render.markdown("A title", [], [], date="2026-01-01")
    assert "2026" not in html([])


def full(text: str) -> Html:
    """A page in which everything that can be said is one text."""
    sections = [Section("first", text, parts(text), menu=text)]
    drawings = {one.name: svg(one.figure, one.name) for one in render.plots(sections)}
    return Html(
        render.html(
            *(text, [text], sections, drawings),
            date=text,
            optimizers={text: style.look("adam", "adam")},
            problems=[text],
        )
    )


@pytest.mark.parametrize("text", NASTY)
def test_names_are_text_and_never_markup(text: str) -> None:
    page = full(text)
    # The very tags and attributes that plain words give: no name opened, closed or added one.
    assert page.elements == full("words").elements
    assert not [a for _, a in page.tags if (a.get("href") or "").startswith("javascript:")]
    assert page.text.count(text) >= 20


def test_what_cannot_be_seen_does_nothing() -> None:
    hidden = "a\u202eb\x00c\x1bd\u2066e"
    text = html(section(Text(hidden), table(hidden)))
    assert "a�b�c�d�e" in text
    assert not re.search("[\u202a-\u202e\u2066-\u2069\x00-\x08\x0b-\x1f]", text)


MARKS = re.compile(r"(?<!\\)(?:<(?:script|img|svg|u|style)\b|\]\(javascript)")


@pytest.mark.parametrize("text", NASTY)
def test_markdown_cannot_be_broken_out_of(text: str) -> None:
    found = render.markdown(text, [text], [Section("first", text, parts(text))], date="")
    # What stands in a fence is shown as it is; no line of it may be the fence's end.
    fence = re.search(r"^(`{3,})\n(.*?)\n\1$\n", found, re.DOTALL | re.MULTILINE)
    assert fence
    assert fence.group(2) == text
    outside = found.replace(fence.group(), "")
    assert not MARKS.search(outside)
    assert "```" not in re.sub(r"\\`", "", outside)
    assert outside.count("<details>") == outside.count("</details>") == 2
    lines = outside.splitlines()
    assert sum(line.startswith("# ") for line in lines) == 1
    assert sum(line.startswith("## ") for line in lines) == 1
    assert sum(line.startswith("### ") for line in lines) == 3  # a heading and two plots
    summaries = re.findall("^<details><summary>(.*)</summary>$", found, re.MULTILINE)
    assert [unescape(one) for one in summaries] == [" ".join(text.split())] * 2
    for pipes in re.findall(r"(?:^\|.*\n)+", found, re.MULTILINE):
        widths = {len(re.findall(r"(?<!\\)\|", line)) for line in pipes.strip().splitlines()}
        assert widths == {3}


def seen_by_a_reader(text: str) -> Html:
    """What a Markdown in which everything that can be said is one text is rendered to."""
    found = render.markdown(text, [text], [Section("first", text, parts(text))], date="")
    return rendered(found)


@pytest.mark.parametrize("text", NASTY)
def test_rendered_markdown_has_the_tags_that_plain_words_give(text: str) -> None:
    page = seen_by_a_reader(text)
    assert page.elements == seen_by_a_reader("words").elements
    assert " ".join(page.text.split()).count(" ".join(text.split())) >= 14


def test_markdown_shows_pictures_and_links_the_rest() -> None:
    text = render.markdown("A title", ["Lead."], section(*parts("words")))
    assert text.count("![words](figures/one.png)") == 1
    assert "](figures/one.svg)" in text
    assert "](tables/one.csv)" in text
    assert "](tables/steps.csv)" in text
    assert "| optimizer | words |\n| --- | ---: |\n| words | **3** |" in text
    assert not re.search(r"\n{3,}", text)


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ("1. first", r"1\. first"),
        ("- item", r"\- item"),
        ("=== line", r"\=== line"),
        ("36 optimizers", "36 optimizers"),
        ("> quoted", r"\> quoted"),
    ],
)
def test_a_paragraph_begins_nothing_else(words: str, shown: str) -> None:
    assert f"\n\n{shown}\n" in render.markdown("A title", ["Lead."], section(Text(words)))


def test_style_and_script_are_small_and_ask_for_nothing() -> None:
    sources = [(TEMPLATES / one).read_text("utf-8") for one in ("style.css", "page.css", "page.js")]
    assert sum(len(one.encode()) for one in sources) < 40_000
    for source in sources:
        assert not re.search(
            r"https?:|url\(|@import|fetch\(|XMLHttp|import\(|innerHTML|eval", source
        )
        # A page must not end its own script or style within a word.
        assert "</" not in source
