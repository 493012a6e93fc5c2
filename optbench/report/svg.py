"""Figures as SVG: the same bytes for the same figure, and ids that do not clash in one page."""

from __future__ import annotations

import io
import re
import warnings

import matplotlib as mpl
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from optbench.report import style

_TAG = re.compile(r"<[a-zA-Z][^>]*>")
_NUMBERS = re.compile(r'(?<= d=")[^"]*')
_DIGITS = re.compile(r"(\.\d\d)\d+")
_ID = re.compile(r' id="([^"]*)"')
_REFERENCE = re.compile(r'url\(#([^)]*)\)|href="#([^"]*)"')
_COMMENT = re.compile(r"<!--.*?-->\s*", re.DOTALL)
_METADATA = re.compile(r"\s*<metadata>.*?</metadata>", re.DOTALL)


def svg(figure: Figure, name: str) -> str:
    """A figure as an SVG document.

    Parameters
    ----------
    figure : Figure
    name : str
        A slug, unique in the page: it begins every id in the document.
    """
    buffer = io.StringIO()
    with style.drawing(), warnings.catch_warnings():
        # Text stays text: what DejaVu has no glyph for, the reader's browser has.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        mpl.rcParams["svg.hashsalt"] = name
        FigureCanvasSVG(figure).print_svg(buffer, metadata={"Date": None})
    return _slim(buffer.getvalue(), name)


def inline(document: str) -> str:
    """What of an SVG document goes into a page: without the prolog, decorative to a reader.

    The page's own element around it carries role and name.
    """
    element = document[document.index("<svg") :]
    # Its size in points would keep it from shrinking with the page; the view box stays.
    head, rest = element.split(">", 1)
    head = re.sub(r' (?:width|height)="[^"]*"', "", head)
    return f'{head} aria-hidden="true" focusable="false">{rest}'


def _slim(document: str, name: str) -> str:
    """Two decimals of a point are plenty; ids nobody refers to are only in the way.

    Only tags are looked into: text may hold anything, an optimizer's name for one.
    """
    document = _METADATA.sub("", _COMMENT.sub("", document))
    used = {a or b for tag in _TAG.findall(document) for a, b in _REFERENCE.findall(tag)}

    def identify(match: re.Match[str]) -> str:
        return f' id="{name}-{match.group(1)}"' if match.group(1) in used else ""

    def refer(match: re.Match[str]) -> str:
        clip, link = match.groups()
        return f"url(#{name}-{clip})" if clip else f'href="#{name}-{link}"'

    def tag(match: re.Match[str]) -> str:
        text = _NUMBERS.sub(lambda numbers: _DIGITS.sub(r"\1", numbers.group()), match.group())
        return _REFERENCE.sub(refer, _ID.sub(identify, text))

    return _TAG.sub(tag, document)
