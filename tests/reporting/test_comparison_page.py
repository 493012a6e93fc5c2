"""The page and the comment: nothing injected, nothing broken, what matters first."""

from __future__ import annotations

import math
import re
from dataclasses import replace

import pytest
from parsed_html import Html, rendered
from test_comparison_text import (
    RUNGS,
    broken,
    comparison,
    identical,
    improved,
    problem,
    regressed,
    rounding,
)

from optbench.reporting.comparison_page import as_markdown, page
from optbench.verdicts.comparison import (
    Comparison,
    Cost,
    Maths,
    MathsVerdict,
    Refusal,
    SideOfComparison,
)

NASTY = [
    "a|b || c",
    "`code` ``more`` ```",
    '<script>alert("x")</script>',
    "new\nline\n\n| --- | --- |\n# heading",
    "x" * 200,
    "🚀 optimizer 最適化 👩‍💻",
    "*a* _b_ [e](javascript:f) ![i](x.png)",
    "]]>--><svg onload=x></table></section>",
    "{{ 7*7 }}{% raw %} & &amp; <!--",
    "</details></summary><img src=x onerror=alert(1)>",
    "\\| \\",
]


def nasty() -> Comparison:
    """Every name, text and reason is hostile."""
    rows = []
    for number, name in enumerate(NASTY):
        row = (regressed, improved, broken, rounding)[number % 4](name)
        questions = tuple(
            replace(each, problem=name, text=name, league=name) for each in row.problems
        )
        rows.append(
            replace(
                row,
                maths=replace(row.maths, text=f"differs with {name}"),
                convergence_text=row.convergence_text and name,
                problems=(*questions, problem("inconclusive", None, name, text=name)),
                cost=replace(row.cost, text=name),
            )
        )
    return comparison(
        *rows,
        base=SideOfComparison(NASTY[2], "1.0"),
        head=SideOfComparison(f"dir:{NASTY[0]}{NASTY[3]}"),
        only_in_base=tuple(NASTY),
        only_in_head=tuple(NASTY[::-1]),
        not_constructible=tuple(Refusal(name, name) for name in NASTY),
        environment={"torch": "2.9", "python": "3.11", "cpu": NASTY[9]},
    )


def squeezed(text: str) -> str:
    return " ".join(text.split())


EVERY = (identical(), rounding(), improved(), broken(), regressed())


# Nothing is injected.


def test_in_the_page_names_are_text_and_never_markup() -> None:
    shown = Html(page(nasty()))
    allowed = {tag for tag, _ in Html(page(comparison(*EVERY))).tags} | {"ul", "li"}
    assert not allowed & {"script", "img", "svg"}
    assert {tag for tag, _ in shown.tags} <= allowed
    assert not any(name.startswith("on") for _, attributes in shown.tags for name in attributes)
    for name in NASTY:
        assert shown.text.count(name) >= 4, name
    assert "49" not in shown.text


def test_in_the_page_every_row_of_a_table_has_the_columns_of_its_head() -> None:
    tables = Html(page(nasty())).tables
    assert len(tables) > len(NASTY)
    for table in tables:
        assert len({len(row) for row in table}) == 1
    assert [len(row) for row in tables[0]] == [len(RUNGS) + 2] * (1 + len(NASTY))


def test_in_the_comment_names_are_text_and_never_markup() -> None:
    shown = rendered(as_markdown(nasty()))
    assert {tag for tag, _ in shown.tags} <= {
        "h3", "p", "table", "thead", "tbody", "tr", "th", "td", "strong", "ul", "li", "details",
        "summary", "sub",
    }  # fmt: skip
    assert not any(attributes for _, attributes in shown.tags)
    text = squeezed(shown.text)
    for name in NASTY:
        assert text.count(squeezed(name)) >= 4, name


def test_in_the_comment_the_table_stays_one_table() -> None:
    (table,) = rendered(as_markdown(nasty())).tables
    assert [len(row) for row in table] == [len(RUNGS) + 1] * (1 + len(NASTY))
    assert table[0] == ["optimizer", *RUNGS]
    assert sorted(row[0] for row in table[1:]) == sorted(map(squeezed, NASTY))


@pytest.mark.parametrize("where", ["commit", "note", "torch"])
def test_in_the_comment_the_last_line_is_text_as_well(where: str) -> None:
    markup = "</sub>*a* <img src=x>"
    made = comparison(identical())
    if where == "torch":
        made = replace(made, environment={**made.environment, "torch": markup})
    else:
        made = replace(made, head=replace(made.head, **{where: markup}))
    shown = rendered(as_markdown(made))
    assert {tag for tag, _ in shown.tags} <= {
        "h3", "p", "table", "thead", "tbody", "tr", "th", "td", "sub",
    }  # fmt: skip


# One file, and all links lead somewhere.


@pytest.mark.parametrize("made", [comparison(*EVERY), nasty()], ids=["ordinary", "nasty"])
def test_the_page_is_one_file_that_asks_for_nothing(made: Comparison) -> None:
    text = page(made)
    shown = Html(text)
    for tag, attributes in shown.tags:
        assert tag not in ("link", "script", "img", "iframe", "object", "base", "form")
        assert "src" not in attributes
        assert not re.match(r"[a-z]+:|//", attributes.get("href") or "")
    style = text.partition("<style>")[2].partition("</style>")[0]
    assert len(style) > 500
    assert "url(" not in style
    assert "@import" not in style
    assert "http" not in style
    assert text.startswith("<!doctype html>")
    assert '<meta charset="utf-8">' in text


def test_in_the_page_links_lead_to_the_section_of_their_own() -> None:
    text = page(comparison(*EVERY))
    ids = [attributes["id"] for attributes in Html(text).of("section") if "id" in attributes]
    assert len(ids) == len(set(ids))
    links = re.findall(r'<a href="#(\w+)">([^<]+)</a>', text)
    assert len(links) == len(ids) == 4
    for target, name in links:
        assert f'<section id="{target}">\n<h2>{name}</h2>' in text


# What asks for attention comes first.


def test_what_asks_for_attention_comes_first() -> None:
    expected = [
        "tinyopt:Muon", "tinyopt:Adam", "tinyopt:Lion", "tinyopt:Nadam", "tinyopt:SGD",
    ]  # fmt: skip
    for rows in (EVERY, EVERY[::-1]):
        made = comparison(*rows)
        assert [row[0] for row in Html(page(made)).tables[0][1:]] == expected
        (table,) = rendered(as_markdown(made)).tables
        assert [row[0] for row in table[1:]] == expected


def test_rows_of_one_kind_are_in_the_order_of_their_names() -> None:
    names = ["c", "a", "b"]
    (table,) = rendered(as_markdown(comparison(*map(identical, names)))).tables
    assert [row[0] for row in table[1:]] == sorted(names)


def test_what_is_bad_is_marked() -> None:
    text = as_markdown(comparison(*EVERY))
    for word in ("regressed", "broken", "slower", "more"):
        assert f"**{word}**" in text
    for word in ("improved", "identical", "same", "changed", "rounding"):
        assert f"**{word}**" not in text
    shown = page(comparison(*EVERY))
    assert '<td class="bad">broken</td>' in shown
    assert '<td class="good">improved</td>' in shown
    assert '<td class="">identical</td>' in shown


def test_the_largest_effect_is_named_whichever_way_it_goes() -> None:
    def effect(*questions) -> str:
        return Html(page(comparison(replace(regressed(), problems=questions)))).tables[0][1][-1]

    assert effect(problem("regressed", 1.2), problem("improved", 0.5, "p")) == (
        "faster: 0.50 times the steps, p, default"
    )
    assert effect(problem("regressed", 3.0, "p"), problem("improved", 0.5)) == (
        "slower: 3.00 times the steps, p, default"
    )
    assert effect(problem("regressed", math.inf, "p"), problem("regressed", 9.0)) == (
        "slower: ∞ times the steps, p, default"
    )
    assert effect(problem("equivalent", 1.0), problem("inconclusive", 5.0)) == ""


def test_a_head_that_arrives_where_the_base_does_not_is_the_largest_effect() -> None:
    row = replace(improved(), problems=(problem("improved", 0.9), problem("improved", 0.0, "p")))
    assert Html(page(comparison(row))).tables[0][1][-1].endswith(", p, default")


# What is in it.


def test_the_page_says_all_that_was_found() -> None:
    shown = squeezed(Html(page(comparison(*EVERY))).text)
    for text in (
        "What changed from main to working tree",
        "5 optimizers: maths",
        "Base: main 0123456789.",
        "Head: working tree ffffffffff (2 uncommitted changes)",
        "torch 2.9.1, Python 3.11.7, AMD EPYC",
        "differs from step 2 on, by 0.1 times the distance travelled; only with weight_decay=0.1",
        "slower on 1 of 2, most on beale (default): 1.31 [1.18, 1.44]",
        "1.30x [1.25, 1.35] the time a step at 10,000 parameters",
        "State: 8.00 and 12.00 bytes a parameter",
        "raises with two groups: ValueError: no (muon.py:7)",
    ):
        assert text in shown, text
    assert "(interrupted)" not in shown
    questions = Html(page(comparison(regressed()))).tables[1]
    assert questions[1] == [
        "beale", "default", "regressed", "1.31", "1.18", "1.44", "1e-6", "0 of 16", "0.001, 0.01",
    ]  # fmt: skip
    sizes = Html(page(comparison(regressed()))).tables[2]
    numbers = ["slower", "1.30", "1.25", "1.35", "1", "1.3", "32"]
    assert sizes[1] == ["10,000", "equal matrices", *numbers]
    row = regressed()
    row = replace(row, cost=replace(row.cost, sizes=(replace(row.cost.sizes[0], shapes="gpt2"),)))
    assert Html(page(comparison(row))).tables[2][1] == ["10,000", "gpt2", *numbers]


def test_the_comment_says_all_that_was_found() -> None:
    shown = squeezed(rendered(as_markdown(comparison(*EVERY))).text)
    for text in (
        "optbench: main → working tree",
        "5 optimizers: maths",
        "slower on 1 of 2, most on beale (default): 1.31 [1.18, 1.44]",
        "2 questions on convergence",
        "deep-tanh, default: equivalent",
        "raises with two groups: ValueError: no (muon.py:7)",
        "main 0123456789; working tree ffffffffff (2 uncommitted changes); "
        "torch 2.9.1, Python 3.11.7, AMD EPYC",
    ):
        assert text in shown, text


def test_the_comment_s_details_open_and_close() -> None:
    text = as_markdown(comparison(regressed(), improved(), identical()))
    assert text.count("<details>") == text.count("</details>") == 2
    # Markdown within is read only behind an empty line.
    assert re.search(r"</summary>\n\n+- ", text)
    assert re.search(r"\n\n+</details>", text)


def test_rungs_that_were_not_asked_for_have_no_column() -> None:
    made = comparison(identical(), broken(), rungs=("maths",))
    assert Html(page(made)).tables[0][0] == ["optimizer", "maths", "largest effect"]
    assert rendered(as_markdown(made)).tables[0][0] == ["optimizer", "maths"]


def test_a_broken_one_alone() -> None:
    made = comparison(broken())
    for shown in (Html(page(made)), rendered(as_markdown(made))):
        assert shown.tables[0][1][:5] == ["tinyopt:Muon", "broken", "—", "—", "—"]
        assert len(shown.tables) == 1
        assert "raises with two groups" in shown.text


def test_one_that_answers_no_question() -> None:
    silent = problem("inconclusive", None, text="neither side reaches a target in the budget")
    made = comparison(replace(regressed(), problems=(silent,), cost=Cost()))
    row = Html(page(made)).tables[1][1]
    assert row[2] == "inconclusive: neither side reaches a target in the budget"
    assert row[3:7] == ["—"] * 4
    assert "neither side reaches a target" in rendered(as_markdown(made)).text


def test_nothing_but_refusals() -> None:
    refusals = tuple(Refusal(f"tinyopt:O{i}", "on both sides: takes no lr") for i in range(3))
    made = comparison(not_constructible=refusals, complete=False)
    for shown in (Html(page(made)), rendered(as_markdown(made))):
        (table,) = shown.tables
        assert len(table) == 1
        assert "Not compared" in shown.text
        assert "tinyopt:O2: on both sides: takes no lr" in squeezed(shown.text)


def test_an_interrupted_one_is_said_to_be_by_the_page() -> None:
    assert "(interrupted)" in Html(page(comparison(identical(), complete=False))).text


def test_an_interrupted_one_is_said_to_be_by_the_comment() -> None:
    text = as_markdown(comparison(identical(), complete=False))
    assert "interrupted" in text


@pytest.mark.parametrize("render", [page, as_markdown])
def test_a_comparison_of_which_no_environment_is_known(render) -> None:
    assert "tinyopt:SGD" in render(comparison(identical(), environment={}))


def test_what_is_only_on_one_side_is_named() -> None:
    made = comparison(identical(), only_in_base=("a:Old", "a:Older"), only_in_head=("a:New",))
    for shown in (Html(page(made)), rendered(as_markdown(made))):
        text = squeezed(shown.text)
        assert "Only in the base: a:Old, a:Older" in text
        assert "Only in the head: a:New" in text


@pytest.mark.parametrize(
    ("commit", "shown"), [("a1b2" * 10, "a1b2a1b2a1"), ("a1" * 32, "a1" * 5), ("1.2.post3", None)]
)
def test_a_hash_is_cut_and_a_version_is_not(commit: str, shown: str | None) -> None:
    made = comparison(identical(), head=SideOfComparison("x", commit))
    for text in (page(made), as_markdown(made)):
        assert f"x {shown or commit}" in text
        assert shown is None or commit not in text


def test_the_same_comparison_gives_the_same_bytes() -> None:
    assert page(nasty()) == page(nasty())
    assert as_markdown(nasty()) == as_markdown(nasty())


def test_a_note_on_identical_maths_is_told() -> None:
    row = replace(identical(), maths=Maths(MathsVerdict.IDENTICAL, "now takes caution"))
    for shown in (Html(page(comparison(row))), rendered(as_markdown(comparison(row)))):
        assert "now takes caution" in shown.text
