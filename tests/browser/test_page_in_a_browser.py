"""The page in a reader's browser: it works alone, by keyboard, on a phone, in the dark, on paper.

Nothing may be asked of the network; what the page writes to the console fails a test.
"""

from __future__ import annotations

import io
import re
import shutil
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Locator, Page, sync_playwright
from pypdf import PdfReader
from synthetic import grid, synthetic_results

from optbench.reporting.files import slug
from optbench.reporting.material import ReportInputs
from optbench.reporting.page import write_report

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")

pytestmark = [
    pytest.mark.proof,
    pytest.mark.skipif(not CHROMIUM, reason="there is no chromium on this machine"),
]

OPTIMIZERS = ("adam", "sgd", "momentum", "lion", "rmsprop", "muon", "my:Own<i>Optimizer")
PROBLEMS = ("quadratic", "saddle", "rosenbrock-2d", "mnist-mlp")
WIDE = {"width": 1440, "height": 900}
PHONE = {"width": 390, "height": 844}

Open = Callable[..., Page]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM)
        yield found
        found.close()


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    results = synthetic_results(OPTIMIZERS, PROBLEMS)
    inputs = ReportInputs(
        landscapes={"rosenbrock-2d": grid(30)}, command="optbench run --suite quick"
    )
    return write_report(results, tmp_path_factory.mktemp("report"), inputs=inputs)


@pytest.fixture
def opened(browser: Browser, written: Path) -> Iterator[Open]:
    """Opens a page as a reader would, and watches what it asks for and complains about."""
    contexts, asked, said = [], [], []

    def call(fragment: str = "", path: Path = written, **options: Any) -> Page:
        context = browser.new_context(**{"viewport": WIDE, **options})
        contexts.append(context)
        context.set_offline(True)
        page = context.new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("dialog", lambda dialog: (said.append(dialog.message), dialog.dismiss()))
        page.goto(path.as_uri() + fragment)
        return page

    yield call
    for context in contexts:
        context.close()
    assert not said
    assert {re.sub("#.*", "", url) for url in asked} <= {written.as_uri()}


def show_everything(page: Page) -> None:
    page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")


def chips(page: Page) -> None:
    page.locator(".pick > summary").click()


def tick(page: Page, optimizer: str, shown: bool) -> None:
    page.locator(f".controls input[value='{slug(optimizer)}']").set_checked(shown)


def pin(page: Page, optimizer: str) -> Locator:
    return page.locator(f".pin[value='{slug(optimizer)}']")


def of(page: Page, optimizer: str, within: str = "") -> Locator:
    return page.locator(f"{within} [data-o='{slug(optimizer)}']")


def seen(found: Locator) -> list[bool]:
    """Which of them take up room."""
    boxes: list[bool] = found.evaluate_all("all => all.map(one => one.getClientRects().length > 0)")
    return boxes


def test_every_figure_can_be_seen(opened: Open) -> None:
    page = opened()
    show_everything(page)
    figures = page.locator("figure")
    assert figures.count() >= 12
    for index in range(figures.count()):
        drawing = figures.nth(index).locator(".card svg")
        box = drawing.bounding_box()
        assert box
        assert box["width"] > 600
        assert box["height"] > 80
        assert drawing.locator("path").count() > 5


def test_every_entry_of_the_menu_leads_to_its_section(opened: Open) -> None:
    page = opened()
    entries = page.locator("nav a")
    assert entries.count() >= 10
    for index in range(0, entries.count(), 3):
        anchor = entries.nth(index).get_attribute("href")
        assert anchor
        entries.nth(index).click()
        page.wait_for_function(
            """anchor => { const top = document.querySelector(anchor).getBoundingClientRect().top;
            return top >= 0 && top < innerHeight - 40 }""",
            arg=anchor,
        )


def column(table: Locator, index: int) -> list[str | None]:
    found: list[str | None] = table.evaluate(
        "(table, k) => [...table.tBodies[0].rows].map(row => row.cells[k].dataset.sort ?? null)",
        index,
    )
    return found


def missing_something(values: list[str | None]) -> bool:
    return None in values and len(set(values)) > 3


def unlike_text(values: list[str | None]) -> bool:
    """Numbers whose order is another one than that of their digits."""
    known = [value for value in values if value is not None]
    return sorted(known) != sorted(known, key=float)


@pytest.mark.parametrize("kind", [missing_something, unlike_text])
def test_a_table_sorts_by_click_and_by_key_with_what_is_missing_last(
    opened: Open, kind: Callable[[list[str | None]], bool]
) -> None:
    page = opened()
    show_everything(page)
    table, index = next(
        (table, index)
        for table in page.locator("table.sortable").all()
        for index in table.locator("th.n").evaluate_all("all => all.map(one => one.cellIndex)")
        if kind(column(table, index))
    )
    heading = table.locator("thead th").nth(index)
    for press, order, sign in (
        (lambda: heading.locator("button").click(), "ascending", 1),
        (lambda: heading.locator("button").press("Enter"), "descending", -1),
    ):
        press()
        values = column(table, index)
        known = [float(value) for value in values if value is not None]
        assert known == sorted(known, key=lambda value: sign * value)
        assert values[len(known) :] == [None] * (len(values) - len(known))
        assert heading.get_attribute("aria-sort") == order
    table.locator("thead th button").first.click()
    names = column(table, 0)
    assert names == sorted(names, key=lambda name: str(name).lower())
    assert heading.get_attribute("aria-sort") is None


@pytest.mark.parametrize("name", ["sgd", "my:Own<i>Optimizer"])
def test_an_optimizer_can_be_hidden_everywhere_and_comes_back(opened: Open, name: str) -> None:
    page = opened()
    show_everything(page)
    before, others = seen(of(page, name)), seen(of(page, "adam"))
    assert any(seen(of(page, name, ".card")))
    assert any(seen(of(page, name, "tbody")))
    tick(page, name, False)
    assert not any(seen(of(page, name)))
    assert seen(of(page, "adam")) == others
    assert "6 of 7 shown" in page.locator(".pick summary").inner_text()
    tick(page, name, True)
    assert seen(of(page, name)) == before


def test_all_can_be_hidden_and_shown_at_once(opened: Open) -> None:
    page = opened()
    chips(page)
    page.get_by_role("button", name="Hide all").click()
    assert not any(seen(page.locator("[data-o]")))
    page.get_by_role("button", name="Show all").click()
    assert any(seen(page.locator("[data-o]")))


def opacity(found: Locator) -> float:
    return float(found.first.evaluate("one => getComputedStyle(one).opacity"))


def test_an_optimizer_stands_out_while_its_name_has_the_focus_and_once_it_is_pinned(
    opened: Open,
) -> None:
    page = opened(reduced_motion="reduce")
    chips(page)
    mine, other = of(page, "lion", ".card"), of(page, "adam", ".card")
    row = of(page, "lion", "tbody").first.locator("td").first
    plain = row.evaluate("cell => getComputedStyle(cell).backgroundColor")
    pin(page, "lion").focus()
    assert (opacity(mine), opacity(other)) == (1, 0.12)
    pin(page, "lion").blur()
    assert (opacity(mine), opacity(other)) == (1, 1)
    pin(page, "lion").press("Enter")
    assert pin(page, "lion").get_attribute("aria-pressed") == "true"
    pin(page, "lion").blur()
    assert (opacity(mine), opacity(other)) == (1, 0.12)
    assert row.evaluate("cell => getComputedStyle(cell).backgroundColor") != plain
    page.get_by_role("button", name="Reset").click()
    assert (opacity(mine), opacity(other)) == (1, 1)


def test_a_line_says_whose_it_is(opened: Open) -> None:
    page = opened(reduced_motion="reduce")
    line = of(page, "my:Own<i>Optimizer", "figure .card").first
    line.evaluate("one => one.scrollIntoView({ block: 'center', behavior: 'instant' })")
    line.dispatch_event("pointerover", {"bubbles": True})
    assert page.locator(".tip").is_visible()
    assert page.locator(".tip").inner_text() == "my:Own<i>Optimizer"
    assert (opacity(line), opacity(of(page, "adam", ".card"))) == (1, 0.12)
    page.locator("h1").dispatch_event("pointerover", {"bubbles": True})
    assert page.locator(".tip").is_hidden()
    assert opacity(of(page, "adam", ".card")) == 1


def several(page: Page) -> list[str]:
    """Figures that show more than one problem."""
    found: list[str] = page.locator("figure").evaluate_all(
        """all => all.filter(one => new Set([...one.querySelectorAll("g[data-p]")]
             .map(panel => panel.dataset.p)).size > 1).map(one => one.id)"""
    )
    return found


def test_one_problem_can_be_looked_at_alone(opened: Open) -> None:
    page = opened()
    show_everything(page)
    figures = several(page)
    assert figures
    views = {one: page.locator(f"#{one} svg").get_attribute("viewBox") for one in figures}
    page.locator(".controls select").select_option("saddle")
    for one in figures:
        panels = page.locator(f"#{one} g[data-p]")
        named = panels.evaluate_all("all => all.map(panel => panel.dataset.p)")
        if "saddle" not in named:
            assert page.locator(f"#{one} svg").is_hidden()
            continue
        assert seen(panels) == [name == "saddle" for name in named]
        # All of its text lies within what is shown, and it fills a good part of it.
        inside = page.locator(f"#{one} svg").evaluate(
            """svg => { const view = svg.getBoundingClientRect();
            const boxes = [...svg.querySelectorAll("[data-p=saddle] text")]
              .map(text => text.getBoundingClientRect()).filter(box => box.width);
            return [boxes.length, boxes.every(box => box.left >= view.left && box.top >= view.top
              && box.right <= view.right && box.bottom <= view.bottom), view.width] }"""
        )
        assert inside[0] > 3
        assert inside[1]
        assert 200 < inside[2] < 1100
        assert page.locator(f"#{one} .axes").inner_text()
    for kind in ("th", "td", "tr"):
        cells = page.locator(f"{kind}[data-p]")
        named = cells.evaluate_all("all => all.map(cell => cell.dataset.p)")
        assert all(name == "saddle" for name, yes in zip(named, seen(cells), strict=True) if yes)
    page.locator(".controls select").select_option("")
    assert views == {one: page.locator(f"#{one} svg").get_attribute("viewBox") for one in figures}
    assert all(seen(page.locator("th[data-p]")))


def test_a_figure_in_a_fold_is_cut_when_the_fold_opens(opened: Open) -> None:
    page = opened("#?p=saddle")
    # No section's figure needs to lie in a fold today; so one is put there.
    page.evaluate(
        """() => { const figure = [...document.querySelectorAll("figure")]
          .find(one => one.classList.contains("alone"));
        const fold = document.createElement("details");
        fold.className = "fold"; fold.id = "made";
        fold.innerHTML = "<summary>Made</summary>";
        figure.before(fold); fold.append(figure); }"""
    )
    page.locator(".controls select").select_option("quadratic")
    page.locator("#made > summary").click()
    page.wait_for_function(
        """() => { const view = document.querySelector("#made svg").getBoundingClientRect();
        const box = document.querySelector("#made [data-p=quadratic] text").getBoundingClientRect();
        return view.width > 200 && box.width && box.left >= view.left && box.right <= view.right
          && document.querySelector("#made svg").dataset.whole !==
             document.querySelector("#made svg").getAttribute("viewBox") }"""
    )


def test_what_is_seen_is_part_of_the_address(opened: Open) -> None:
    page = opened()
    chips(page)
    tick(page, "sgd", False)
    pin(page, "lion").click()
    page.locator(".controls select").select_option("saddle")
    fragment = page.evaluate("location.hash")
    again = opened(fragment)
    assert again.locator(".controls select").input_value() == "saddle"
    assert not again.locator("input[value=sgd]").is_checked()
    assert pin(again, "lion").get_attribute("aria-pressed") == "true"
    assert not any(seen(of(again, "sgd")))
    # An address from anywhere does nothing else.
    strange = opened("#?p=%22%5D,*&off=x%7D,adam&pin=%3Cb%3E")
    assert strange.locator(".controls select").input_value() == ""
    assert not strange.locator("input[value=adam]").is_checked()


def test_a_phone_scrolls_down_only(opened: Open) -> None:
    page = opened(viewport=PHONE)
    show_everything(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    beyond = page.evaluate(
        """() => [...document.querySelectorAll("body *")].filter(one =>
          !one.closest(".scroll, .card, pre, select, ul, .tip") && one.getClientRects().length
          && one.getBoundingClientRect().right > innerWidth + 1)
          .map(one => one.outerHTML.slice(0, 90))"""
    )
    assert not beyond
    bar = page.locator(".controls")
    page.evaluate("document.querySelector('.pick').open = false")
    box = bar.bounding_box()
    assert box
    assert box["height"] < 130


def rgb(page: Page, selector: str, what: str = "color") -> tuple[float, ...]:
    text = page.locator(selector).first.evaluate("(one, what) => getComputedStyle(one)[what]", what)
    return tuple(float(part) for part in re.findall(r"[\d.]+", text)[:3])


def contrast(one: tuple[float, ...], two: tuple[float, ...]) -> float:
    """Of WCAG 2.2."""

    def luminance(color: tuple[float, ...]) -> float:
        parts = [part / 255 for part in color]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted([luminance(one), luminance(two)])
    return (high + 0.05) / (low + 0.05)


PAPER = "figure .card svg > g > g > path"
LINE = ".card [data-o=adam] path[style*='stroke: var(--f-blue)']"


def test_figures_follow_the_dark_and_the_button_overrules_the_system(opened: Open) -> None:
    page = opened(color_scheme="dark")
    light = opened(color_scheme="light")
    for shown, expected in ((page, "dark"), (light, "light")):
        paper = rgb(shown, PAPER, "fill")
        assert (sum(paper) < 120) == (expected == "dark")
        assert contrast(rgb(shown, "body"), rgb(shown, "body", "backgroundColor")) > 7
        assert contrast(rgb(shown, ".card text", "fill"), paper) > 4.5
    assert rgb(page, LINE, "stroke") != rgb(light, LINE, "stroke")
    button = page.get_by_role("button", name=re.compile("^Colours"))
    button.click()
    assert rgb(page, PAPER, "fill") == (255, 255, 255)
    assert rgb(page, "body", "backgroundColor") == (255, 255, 255)
    button.click()
    assert sum(rgb(page, PAPER, "fill")) < 120
    button.click()
    assert button.get_attribute("aria-label") == "Colours: auto"
    page.emulate_media(color_scheme="light")
    assert rgb(page, PAPER, "fill") == (255, 255, 255)


def printed(page: Page) -> tuple[int, str]:
    """Sheets, and the text on them."""
    sheets = PdfReader(io.BytesIO(page.pdf(format="A4"))).pages
    text = unicodedata.normalize("NFKC", " ".join(sheet.extract_text() for sheet in sheets))
    return len(sheets), " ".join(text.split())


def test_paper_shows_everything_in_light_and_cuts_no_table(opened: Open) -> None:
    page = opened("#?p=saddle&off=sgd", color_scheme="dark")
    titles = page.locator("main h2").all_inner_texts()
    folds = page.locator("main details").evaluate_all("all => all.map(one => one.open)")
    pages, text = printed(page)
    assert pages > 3
    assert len(titles) > 10
    assert not [title for title in titles if title not in text]
    assert "Hide all" not in text
    assert text == printed(opened())[1]
    assert page.locator("main details").evaluate_all("all => all.map(one => one.open)") == folds
    # What was chosen on the screen is still chosen there.
    assert page.locator("figure.alone").count()

    # A4 less its margins, in pixels; a wide table has a sheet of its own, lying.
    page.set_viewport_size({"width": round((210 - 24) / 25.4 * 96), "height": 1000})
    page.emulate_media(media="print")
    show_everything(page)
    assert rgb(page, "body", "backgroundColor") == (255, 255, 255)
    widths = page.locator("table").evaluate_all(
        "all => all.map(one => [one.classList.contains('wide'), one.getBoundingClientRect().width])"
    )
    assert len(widths) > 5
    for wide, width in widths:
        assert width <= (277 / 25.4 * 96 if wide else 703)


def test_without_a_script_everything_is_there_to_read(opened: Open) -> None:
    page = opened(java_script_enabled=False)
    assert page.locator(".controls").is_hidden()
    drawings = page.locator("main > section > figure svg")
    assert drawings.count() > 10
    assert all(drawings.nth(k).is_visible() for k in range(drawings.count()))
    page.locator(".fold > summary").first.click()
    assert page.locator(".fold[open] > :not(summary)").first.is_visible()


def test_whoever_wants_no_motion_gets_none(opened: Open) -> None:
    still, moving = opened(reduced_motion="reduce"), opened(reduced_motion="no-preference")
    for page, expected in ((still, "auto"), (moving, "smooth")):
        assert (
            page.evaluate("getComputedStyle(document.documentElement).scrollBehavior") == expected
        )


def test_everything_can_be_reached_by_keyboard_and_shows_its_focus(opened: Open) -> None:
    page = opened()
    chips(page)
    reached: list[str] = []
    for _ in range(60):
        page.keyboard.press("Tab")
        where = page.evaluate(
            """() => { const one = document.activeElement; const style = getComputedStyle(one);
            return [one.tagName, one.className, one.value ?? "",
              style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0] }"""
        )
        assert where[3], where
        reached.append(f"{where[0]} {where[1]} {where[2]}".lower().strip())
    assert any(one.startswith("a ") or one == "a" for one in reached)
    for expected in ("input  sgd", "button pin sgd", "select", "button plain theme"):
        assert expected in reached


@pytest.mark.parametrize(
    ("options", "fragment"),
    [
        ({"color_scheme": "light"}, ""),
        ({"color_scheme": "dark"}, ""),
        ({"color_scheme": "light", "viewport": PHONE}, ""),
        ({"color_scheme": "dark", "viewport": PHONE}, "#?p=saddle&off=sgd&pin=adam,lion"),
    ],
    ids=["light", "dark", "phone", "phone-chosen"],
)
def test_nothing_stands_in_the_way_of_a_screen_reader(
    opened: Open, options: dict[str, Any], fragment: str
) -> None:
    page = opened(fragment, reduced_motion="reduce", **options)
    show_everything(page)
    found = Axe().run(page).response["violations"]
    grave = [
        (one["id"], one["nodes"][0]["html"][:200], one["nodes"][0]["failureSummary"][:300])
        for one in found
        if one["impact"] in ("serious", "critical")
    ]
    assert not grave
