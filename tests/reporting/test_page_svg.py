"""Figures as documents: whose lines are whose, colours that follow the page, nothing lost."""

import io
import re
import warnings
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from optbench.reporting import style
from optbench.reporting.dark import DARK, PAPER, VARIABLES
from optbench.reporting.files import slug
from optbench.reporting.svg import inline, png, svg

HOSTILE = [
    '"><script>alert(1)</script>',
    "a' onload='x",
    "null\x00 and\nline",
    "\udc80 surrogate",
    "\u202eesrever",
    "o:p:adam",
    'a" id="b" d="M 0.123 1',
    "both ' and \" id='x\"",
    "",
]


def figure(optimizer: str = "adam", problem: str = "quadratic", text: str = "") -> Figure:
    with style.drawing():
        made = Figure(figsize=(4, 3))
        for axes in made.subplots(1, 2):
            (line,) = axes.plot([0.123, 1, 2.5], [3.21, 1, 2], color=style.BLUE)
            style.mark(line, optimizer)
            style.tag_problem(axes, problem)
            axes.set_xlabel("gradient evaluations")
            axes.set_title(text, parse_math=False)
    return made


def groups(document: str) -> list[dict[str, str]]:
    return [one.attrib for one in ElementTree.fromstring(document).iter() if one.tag[-2:] == "}g"]


def found(document: str, attribute: str) -> list[str]:
    return [group[attribute] for group in groups(document) if attribute in group]


def test_marks_become_slugs_and_no_ids() -> None:
    document = svg(figure("adam[fused]", "rosenbrock-2d"), "one")
    assert found(document, "data-o") == [slug("adam[fused]")] * 2
    assert found(document, "data-p") == ["rosenbrock-2d"] * 2
    assert not any(group.get("id", "").startswith(("o:", "one-o:", "one-p:"))
                   for group in groups(document))  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE[:-1])
def test_a_hostile_name_is_a_slug_in_a_sound_document(name: str) -> None:
    document = svg(figure(name, name, style.plain(name)), "one")
    assert found(document, "data-o") == [slug(name)] * 2
    assert found(document, "data-p") == [slug(name)] * 2
    assert "<script" not in document
    assert not any("onload" in group for group in groups(document))


def test_a_text_is_kept_whatever_it_looks_like() -> None:
    text = 'stroke: #1f2328  url(#m) id="x" d="M 0.12345 1" >  <'
    document = svg(figure(text=text), "one")
    for shown in (document, inline(document)):
        root = ElementTree.fromstring(shown)
        texts = [one for one in root.iter() if one.tag.endswith("}text")]
        assert text in ["".join(one.itertext()) for one in texts]


def test_an_inlined_figure_follows_the_page_and_a_lone_one_does_not() -> None:
    document = svg(figure(), "one")
    assert style.BLUE in document
    assert "var(" not in document
    inlined = inline(document)
    left = set(re.findall(r"#[0-9a-f]{6}", inlined)) & set(VARIABLES)
    assert not left
    assert inlined.count("var(--f-blue)") == document.count(style.BLUE) == 2
    # With the colours of the light it is the very document that lies beside the page.
    light = re.sub(r"var\(--f-(\w+)\)", lambda name: DARK[name.group(1)][0], inlined)
    assert light.partition(">")[2] == document[document.index("<svg") :].partition(">")[2]


def test_every_colour_of_the_style_has_one_for_the_dark() -> None:
    looks = [one.color for one in style.LOOKS.values()]
    neutral = [style.INK, style.FAINT, style.REST, style.GRID, "#ffffff", *style.UNKNOWN_COLORS]
    axes = [value for value in style.RC.values() if str(value).startswith("#")]
    assert {*looks, *neutral, *axes} <= set(VARIABLES)
    assert len(VARIABLES) == len(DARK)


def luminance(color: str) -> float:
    channels = np.array([int(color[k : k + 2], 16) for k in (1, 3, 5)]) / 255
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def contrast(one: str, two: str) -> float:
    """Of WCAG 2.2: the ratio of relative luminances."""
    high, low = sorted([luminance(one), luminance(two)], reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_what_can_be_read_in_the_light_can_be_read_in_the_dark() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    for name, (light, dark) in DARK.items():
        if name in ("ink", "faint", "some"):
            assert contrast(dark, PAPER) >= 4.5, name
        elif name not in ("paper", "grid", "rest", "edge"):
            assert contrast(dark, PAPER) >= 4.5 or contrast(light, "#ffffff") < 4.5, name
            assert contrast(dark, PAPER) >= 3, name
    # Context stays behind what it is the context of.
    assert contrast(DARK["grid"][1], PAPER) < contrast(DARK["rest"][1], PAPER) < 3


def test_slimming_moves_nothing_that_can_be_seen() -> None:
    drawn = figure()
    buffer = io.StringIO()
    with style.drawing():
        FigureCanvasSVG(drawn).print_svg(buffer, metadata={"Date": None})

    def points(document: str) -> list[np.ndarray]:
        paths = re.findall(r'<path[^>]* d="([^"]*)"', document)
        return [np.array(re.findall(r"-?[\d.]+", path), dtype=float) for path in paths]

    full, slim = points(buffer.getvalue()), points(svg(drawn, "one"))
    assert len(full) == len(slim) > 10
    for before, after in zip(full, slim, strict=True):
        np.testing.assert_allclose(after, before, atol=0.1)
    assert len(svg(drawn, "one")) < 0.8 * len(buffer.getvalue())


def test_a_curve_keeps_its_letters() -> None:
    with style.drawing():
        drawn = Figure(figsize=(2, 2))
        drawn.add_axes((0, 0, 1, 1)).plot([1, 2], [1, 2], marker="o", linestyle="none")
    (circle,) = re.findall(r'<path[^>]* d="([^"]*C[^"]*)"', svg(drawn, "one"))
    assert circle.count("C") == 8


def test_a_label_that_all_axes_share_is_told() -> None:
    root = ElementTree.fromstring(svg(figure(), "one"))
    assert root.get("data-x") == "gradient evaluations"
    assert root.get("data-y") is None
    other = figure()
    other.axes[1].set_xlabel('"<other>"')
    assert ElementTree.fromstring(svg(other, "one")).get("data-x") is None


def test_a_picture_is_the_same_each_time_and_leaves_the_figure_as_it_was() -> None:
    drawn = figure()
    document, picture = svg(drawn, "one"), png(drawn)
    assert picture.startswith(b"\x89PNG")
    assert png(figure()) == png(drawn) == picture
    assert svg(drawn, "one") == document
    assert b"Matplotlib" not in picture
    width, height = (int.from_bytes(picture[k : k + 4], "big") for k in (16, 20))
    assert (width, height) == (440, 330)


def test_a_glyph_that_is_missing_is_no_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        svg(figure(text="\u6700"), "one")
        png(figure(text="\u6700"))
