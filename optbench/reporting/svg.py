"""Figures as SVG and PNG: the same bytes for the same figure, and no ids that clash in a page."""

from __future__ import annotations

import html
import io
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from PIL import Image

from optbench.reporting import style
from optbench.reporting.dark import VARIABLES
from optbench.reporting.files import slug

_TAG = re.compile(r"<[a-zA-Z][^>]*>")
_NUMBERS = re.compile(r'(?<= d=")[^"]*')
_HUNDREDTHS = re.compile(r"(\.\d\d)\d+")
_TENTHS = re.compile(r"(\.\d)\d+")
_COMMAND = re.compile(r"\s*([A-Za-z])\s*")
_CURVED = re.compile("[QC]|z.")
_PLACE = re.compile(r'(?<= [xy]=")(-?\d+\.\d\d)\d+')
_UNTURNED = re.compile(r' transform="rotate\(-0 [^)]*\)"')
_MARKED = re.compile(r"""<g id=(["'])([op]):(.*)\1>""", re.DOTALL)
_BLANK = re.compile(r">\s+<")
_ID = re.compile(r' id="([^"]*)"')
_REFERENCE = re.compile(r'url\(#([^)]*)\)|href="#([^"]*)"')
_COMMENT = re.compile(r"<!--.*?-->\s*", re.DOTALL)
_METADATA = re.compile(r"\s*<metadata>.*?</metadata>", re.DOTALL)
_STYLE = re.compile(r'(?<= style=")[^"]*')
_COLOR = re.compile(r"#[0-9a-f]{6}\b")


def svg(figure: Figure, name: str) -> str:
    """Return a figure as an SVG document.

    Groups that `style.mark` and `style.tag_problem` named carry ``data-o`` and ``data-p``, the
    slug of the optimizer or the problem. Where all axes agree on a label, the document carries
    it as ``data-x`` or ``data-y``: whoever looks at one of them alone can still be told.

    Parameters
    ----------
    figure : Figure
    name : str
        A slug, unique in the page: it begins every id in the document.
    """
    buffer = io.StringIO()
    with style.drawing(), _any_glyph():
        mpl.rcParams["svg.hashsalt"] = name
        FigureCanvasSVG(figure).print_svg(buffer, metadata={"Date": None})
    return _slim(buffer.getvalue(), name).replace("<svg ", f"<svg {_labels(figure)}", 1)


def png(figure: Figure, dpi: int = 110) -> bytes:
    """Return a figure as a PNG of 256 colours, for where SVG is not shown.

    Lines and text lose nothing by that, and take a third of the bytes. Nothing is written that
    says when, or by which version.
    """
    with style.drawing(), _any_glyph():
        canvas = FigureCanvasAgg(figure)
        figure.set_dpi(dpi)
        canvas.draw()
    pixels = np.asarray(canvas.buffer_rgba())[..., :3]
    picture = Image.fromarray(np.ascontiguousarray(pixels))
    buffer = io.BytesIO()
    few = picture.quantize(colors=256, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    # The octree gives an entry the mean of its colours: the paper stays as white as it was.
    palette = np.array(few.getpalette()).reshape(-1, 3)
    palette[np.asarray(few)[0, 0]] = pixels[0, 0]
    few.putpalette(palette.ravel().tolist())
    few.save(buffer, format="PNG", dpi=(dpi, dpi))
    return buffer.getvalue()


def inline(document: str) -> str:
    """Return an SVG document for a page: without the prolog, hidden from screen readers.

    The page's own element around it carries role and name. Colours that the page sets anew in
    the dark become variables.
    """
    element = document[document.index("<svg") :]
    # Its size in points would keep it from shrinking with the page; the view box stays.
    head, rest = element.split(">", 1)
    head = re.sub(r' (?:width|height)="[^"]*"', "", head)

    def variable(match: re.Match[str]) -> str:
        return VARIABLES.get(match.group(), match.group())

    def colors(match: re.Match[str]) -> str:
        return _STYLE.sub(lambda style: _COLOR.sub(variable, style.group()), match.group())

    return f'{head} aria-hidden="true" focusable="false">{_TAG.sub(colors, rest)}'


@contextmanager
def _any_glyph() -> Iterator[None]:
    """In SVG text stays text: what DejaVu has no glyph for, the reader's browser has."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        yield


def _labels(figure: Figure) -> str:
    """Return the labels on which all axes agree, as attributes."""

    def common(which: str, label: Callable[[Axes], str]) -> str:
        found = {label(axes) for axes in figure.axes} - {""}
        if len(found) != 1 or len(figure.axes) < 2:
            return ""
        return f'data-{which}="{html.escape(style.plain(found.pop()))}" '

    return common("x", Axes.get_xlabel) + common("y", Axes.get_ylabel)


def _slim(document: str, name: str) -> str:
    """Drop what is invisible: unused ids, blanks, digits below a hundredth of a point.

    Only tags are looked into: text may hold anything, an optimizer's name for one.
    """
    document = _BLANK.sub("><", _METADATA.sub("", _COMMENT.sub("", document)))
    used = {a or b for tag in _TAG.findall(document) for a, b in _REFERENCE.findall(tag)}

    def identify(match: re.Match[str]) -> str:
        return f' id="{name}-{match.group(1)}"' if match.group(1) in used else ""

    def refer(match: re.Match[str]) -> str:
        clip, link = match.groups()
        return f"url(#{name}-{clip})" if clip else f'href="#{name}-{link}"'

    def tag(match: re.Match[str]) -> str:
        # A name may hold anything, and comes within the one quotes or the other.
        marked = _MARKED.fullmatch(match.group())
        if marked:
            return f'<g data-{marked[2]}="{slug(html.unescape(marked[3]))}">'
        # A marker is small, and drawn large where a figure is: it keeps a digit more.
        digits = _HUNDREDTHS if " id=" in match.group() else _TENTHS
        text = _NUMBERS.sub(lambda numbers: _path(digits, numbers.group()), match.group())
        text = _PLACE.sub(r"\1", _UNTURNED.sub("", text))
        return _REFERENCE.sub(refer, _ID.sub(identify, text))

    return _TAG.sub(tag, document)


def _path(digits: re.Pattern[str], steps: str) -> str:
    """Write a path in few characters."""
    short = _COMMAND.sub(r"\1", digits.sub(r"\1", steps)).strip()
    # What follows a point without a letter is a line to the next one.
    return short if _CURVED.search(short) else short.replace("L", " ")
