"""The page as a reader's browser gets it: complete, alone, the same each time, nothing injected."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from parsed_html import Html
from synthetic import grid, synthetic_results

from optbench.analysis import Results
from optbench.reporting import page
from optbench.reporting.errors import NothingToReport, UnknownBaseline
from optbench.reporting.material import ReportInputs
from optbench.reporting.page import write_report

NASTY = [
    "adam",
    '<script>alert("x")</script>',
    "a|b`c`*d*[e](javascript:f)",
    "$x^2$ 50% \\frac",
    "../../../escaped/optimizer",
    "оптимизатор_最適化",
    "]]>--><svg onload=x>",
    "url(#clip) href=\"#a\" id='b' </style>{{ 7*7 }}",
    "new\nline\x00null",
]


def report(results: Results, out: Path, *, command: str = "", **options: Any) -> str:
    inputs = ReportInputs(landscapes={"rosenbrock-2d": grid(30)}, command=command)
    return write_report(results, out, inputs=inputs, **options).read_text("utf-8")


def everything(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def failed_only(results: Results) -> Results:
    missing = dict.fromkeys(["steps_to_target", "initial_gap", "final_gap"], np.nan)
    runs = results.runs.assign(status="failed", error="RuntimeError: no <b>luck</b>", **missing)
    none = {"targets": results.targets.iloc[:0], "traces": results.traces.iloc[:0]}
    return replace(results, runs=runs, **none)


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures are made and not drawn, for who asks about words: drawing takes most of the time."""
    monkeypatch.setattr(page, "svg", lambda figure, name: f'<svg id="{name}"></svg>')
    monkeypatch.setattr(page, "png", lambda figure: b"")


@pytest.fixture
def without_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures are drawn for the page, and not once more as pictures."""
    monkeypatch.setattr(page, "png", lambda figure: b"")


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("report")
    report(synthetic_results(), out, command="optbench run --suite quick")
    return out


@pytest.fixture(scope="module")
def shown_page(written: Path) -> Html:
    return Html((written / "index.html").read_text("utf-8"))


def test_all_figures_and_tables_are_written(written: Path) -> None:
    names = set(everything(written))
    figures = (
        *("attained-default", "attained-tuned", "against-default", "against-tuned", "sensitivity"),
        *("against-by-problem", "convergence-default-convex", "convergence-tuned-network"),
        *("times", "ranks", "tuning", "trajectory-rosenbrock-2d", "curves-mnist-mlp", "profiles"),
        "seconds-mnist-mlp",
    )
    for name in figures:
        assert {f"figures/{name}.svg", f"figures/{name}.png", f"tables/{name}.csv"} <= names
    tables = ("ranking-default", "ranking-tuned", "steps-tuned", "choices-tuned", "claims", "runs")
    for name in tables:
        assert f"tables/{name}.csv" in names


def test_the_page_asks_the_network_for_nothing(shown_page: Html) -> None:
    for tag, attributes in shown_page.tags:
        assert tag not in {"link", "img", "iframe", "object", "base"}
        assert not attributes.get("src")
        for name in ("href", "xlink:href"):
            assert not re.match(r"[a-z]+:|//", attributes.get(name) or "")


def test_every_link_leads_somewhere(written: Path, shown_page: Html) -> None:
    ids = {attributes.get("id") for _, attributes in shown_page.tags}
    links = [a["href"] for a in shown_page.of("a")]
    assert len(links) > 10
    for link in links:
        assert link
        assert link[1:] in ids if link.startswith("#") else (written / link).is_file()


def test_ids_are_unique_and_references_resolve(written: Path, shown_page: Html) -> None:
    ids = [attributes["id"] for _, attributes in shown_page.tags if attributes.get("id")]
    assert len(ids) == len(set(ids))
    text = (written / "index.html").read_text("utf-8")
    references = set(re.findall(r'url\(#([^)]+)\)|xlink:href="#([^"]+)"', text))
    assert len(references) > 5
    assert {a or b for a, b in references} <= set(ids)


def test_each_figure_has_a_name_and_a_caption(shown_page: Html) -> None:
    images = [a for _, a in shown_page.tags if a.get("role") == "img"]
    assert len(images) == len(shown_page.of("figure")) == len(shown_page.of("figcaption")) > 15
    assert all(len(image["aria-label"] or "") > 20 for image in images)


def test_figures_are_well_formed_documents_of_their_own(written: Path) -> None:
    for path in (written / "figures").glob("*.svg"):
        assert ElementTree.parse(path).getroot().tag.endswith("svg")


def test_markdown_refers_to_files_that_exist(written: Path) -> None:
    text = (written / "report.md").read_text("utf-8")
    links = re.findall(r"\]\(([^)]+)\)", text)
    assert len([link for link in links if link.endswith(".png")]) > 15
    assert all((written / link).is_file() for link in links)


@pytest.mark.proof
def test_the_same_results_give_the_same_bytes(written: Path, tmp_path: Path) -> None:
    report(synthetic_results(), tmp_path, command="optbench run --suite quick")
    assert everything(tmp_path) == everything(written)


@pytest.mark.proof
def test_the_order_of_rows_gives_the_same_page(written: Path, tmp_path: Path) -> None:
    results = synthetic_results()
    shuffled = replace(
        results,
        runs=results.runs.sample(frac=1, random_state=1),
        traces=results.traces.sample(frac=1, random_state=2),
    )
    text = report(shuffled, tmp_path, command="optbench run --suite quick")
    assert text == (written / "index.html").read_text("utf-8")


@pytest.mark.usefixtures("undrawn")
def test_a_date_comes_from_outside_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = synthetic_results(seeds=2)
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    assert not re.search(r"\b20[2-9]\d-\d\d-\d\d", report(results, tmp_path))
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1767225600")
    assert "2026-01-01" in report(results, tmp_path)


@pytest.mark.usefixtures("undrawn")
def test_a_miss_is_a_dash_and_sorts_last(tmp_path: Path) -> None:
    results = synthetic_results()
    runs = results.runs.copy()
    runs.loc[runs["optimizer"] == "lion", "steps_to_target"] = np.nan
    text = report(replace(results, runs=runs), tmp_path)
    rows = re.findall(r"<tr[^>]*><td[^>]*>lion</td>(.*?)</tr>", text)
    steps = next(row for row in rows if "seeds reach the target" in row)
    cells = re.findall(r"<td([^>]*)>([^<]*)</td>", steps)
    assert [shown for _, shown in cells] == ["—"] * 3
    assert not any("data-sort" in attributes for attributes, _ in cells)
    csv = pd.read_csv(tmp_path / "tables" / "steps-default.csv")
    assert csv.loc[csv["optimizer"] == "lion", "median_steps"].isna().all()


@pytest.mark.usefixtures("undrawn")
def test_what_was_left_out_is_said(tmp_path: Path) -> None:
    results = synthetic_results()
    more = results.runs.iloc[:3].assign(run=[90001, 90002, 90003], dtype="float64")
    runs = pd.concat([results.runs, more], ignore_index=True)
    text = report(replace(results, runs=runs), tmp_path)
    assert "other dtype or device than most runs" in text
    assert "Left out" in (tmp_path / "report.md").read_text("utf-8")


def nasty_results() -> Results:
    results = synthetic_results(NASTY, seeds=2)
    text = '<img src=x onerror="alert(1)"> | `pipe` $y$'
    runs = results.runs.copy()
    failing = runs["optimizer"] != "adam"
    runs.loc[failing & (runs["seed"] == 1), "status"] = "failed"
    runs.loc[failing & (runs["seed"] == 1), "error"] = text
    runs["problem"] = runs["problem"].replace({"mnist-mlp": "../<u>mlp</u>|$z$"})
    problems = results.problems.assign(cite=text, summary=text)
    problems["problem"] = problems["problem"].replace({"mnist-mlp": "../<u>mlp</u>|$z$"})
    environments = results.environments.assign(cpu=text)
    return replace(results, runs=runs, problems=problems, environments=environments)


@pytest.mark.proof
@pytest.mark.usefixtures("without_pictures")
def test_names_are_text_and_never_markup(tmp_path: Path) -> None:
    out = tmp_path / "inner" / "out"
    text = report(nasty_results(), out, command="<script>x</script> && echo $HOME")
    page = Html(text)
    assert len(page.of("script")) == 1
    assert not page.of("img")
    assert not page.of("u")
    assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)
    shown = page.text
    for name in NASTY[:-1]:
        assert name in shown
    assert '<img src=x onerror="alert(1)"> | `pipe` $y$' in shown
    assert "49" not in re.findall(r"url\(#clip\)[^<]*", shown)


@pytest.mark.usefixtures("undrawn")
def test_nothing_is_written_outside(tmp_path: Path) -> None:
    out = tmp_path / "inner" / "out"
    report(nasty_results(), out)
    beside = [p for p in tmp_path.rglob("*") if p.is_file() and not p.is_relative_to(out)]
    assert not beside
    files = list(everything(out))
    assert any(name.startswith("figures/curves-u-mlp-u") for name in files)
    assert all(re.fullmatch(r"[a-z0-9./-]+", name) for name in files)


@pytest.mark.usefixtures("undrawn")
def test_markdown_cannot_be_broken_out_of(tmp_path: Path) -> None:
    report(nasty_results(), tmp_path)
    text = (tmp_path / "report.md").read_text("utf-8")
    assert not re.search(r"(?<!\\)<(script|img|svg|u)\b", text)
    assert "](javascript" not in text
    tables = re.findall(r"(?:^\|.*\n?)+", text, flags=re.MULTILINE)
    assert len(tables) >= 6
    for table in tables:
        widths = {len(re.findall(r"(?<!\\)\|", line)) for line in table.strip().splitlines()}
        assert len(widths) == 1


@pytest.mark.proof
@pytest.mark.usefixtures("without_pictures")
def test_dollars_in_figures_are_dollars(tmp_path: Path) -> None:
    report(nasty_results(), tmp_path)
    figure = (tmp_path / "figures" / "convergence-default-network.svg").read_text("utf-8")
    texts = [
        "".join(one.itertext())
        for one in ElementTree.fromstring(figure).iter()
        if "text" in one.tag
    ]
    assert any("$x^2$ 50%" in one for one in texts)
    assert any("$z$" in one for one in texts)


def test_no_runs_is_a_message_that_teaches(tmp_path: Path) -> None:
    results = synthetic_results(seeds=1)
    with pytest.raises(NothingToReport, match="optbench run"):
        write_report(replace(results, runs=results.runs.iloc[:0]), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_unknown_baseline_names_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(UnknownBaseline, match=r"did you mean 'adam'.*adam, lion, momentum, sgd"):
        write_report(synthetic_results(), tmp_path, baseline="adm")


@pytest.mark.usefixtures("undrawn")
def test_only_failures_give_a_page_that_lists_them(tmp_path: Path) -> None:
    page = Html(report(failed_only(synthetic_results()), tmp_path))
    shown = page.text
    assert "RuntimeError: no <b>luck</b>" in shown
    assert "0 of 3" in shown
    assert "no optimizer reaches a target" in shown


@pytest.mark.proof
@pytest.mark.usefixtures("without_pictures")
def test_only_divergence_gives_figures_all_the_same(tmp_path: Path) -> None:
    results = synthetic_results()
    missing = {"steps_to_target": np.nan, "final_gap": np.inf}
    runs = results.runs.assign(status="diverged", **missing)
    begin = results.traces[results.traces["step"] == 0].assign(value=np.nan)
    text = report(replace(results, runs=runs, traces=begin), tmp_path)
    assert "convergence-default" in text
    assert "144 of 144" not in text


@pytest.mark.proof
@pytest.mark.usefixtures("without_pictures")
@pytest.mark.parametrize(
    "arguments",
    [
        {"seeds": 1},
        {"seeds": 2},
        {"optimizers": ["adam"]},
        {"problems": ["quadratic"]},
        {"rates": [1e-2]},
        {"rates": [1e-3]},  # not the default: no default league
        {"optimizers": ["adam"], "problems": ["rosenbrock-2d"], "rates": [1e-2], "seeds": 1},
        {"optimizers": ["adam"], "rates": [1e-3], "seeds": 1},  # neither league
        {"problems": [f"problem-{k}" for k in range(9)], "points": 3},
        {"optimizers": ["adam", *(f"adam[{k}]" for k in range(40))], "seeds": 2, "points": 3},
    ],
    ids=lambda case: "-".join(case),
)
def test_small_and_lopsided_stores_give_a_page(tmp_path: Path, arguments: dict[str, Any]) -> None:
    text = report(synthetic_results(**arguments), tmp_path)
    assert text.rstrip().endswith("</html>")
    assert not re.search(r">\s*(nan|inf|None)\s*<", text)


@pytest.mark.usefixtures("undrawn")
def test_what_a_league_leaves_out_is_said(tmp_path: Path) -> None:
    text = report(synthetic_results(seeds=1), tmp_path)
    assert "fewer than two seeds" in text
    assert "only one setting was run" in report(synthetic_results(rates=[1e-2]), tmp_path)


@pytest.mark.usefixtures("undrawn")
def test_progress_is_told_and_files_of_others_are_left(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    told: list[str] = []
    report(synthetic_results(seeds=2), tmp_path, progress=told.append)
    assert (tmp_path / "mine.txt").read_text() == "mine"
    assert any("figures/attained-default.svg" in one for one in told)
    assert not list(tmp_path.rglob("*.part"))
