"""A page as a reader's browser gets it, or a comment as GitHub shows it."""

from __future__ import annotations

from html.parser import HTMLParser

from markdown_it import MarkdownIt

LEADS = ("href", "src", "action", "srcset", "xlink:href", "data", "formaction")


class Html(HTMLParser):
    """Tags with their attributes, text, code of scripts and styles, cells of each table's rows."""

    VOID = ("meta", "br", "link", "img", "hr", "input")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.code: list[str] = []
        self.tables: list[list[list[str]]] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] in (["script"], ["style"]):
            self.code.append(data)
            return
        self.text += data
        if "td" in self.open or "th" in self.open:
            self.tables[-1][-1][-1] += data

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]

    @property
    def elements(self) -> list[tuple[str, tuple[str, ...]]]:
        """Each tag with the names of its attributes."""
        return [(tag, tuple(sorted(attributes))) for tag, attributes in self.tags]

    @property
    def links(self) -> set[str]:
        """Where anything leads."""
        return {
            value or "" for _, each in self.tags for name, value in each.items() if name in LEADS
        }


def rendered(markdown: str) -> Html:
    """As GitHub shows it: tables, and the HTML that a comment may hold."""
    return Html(MarkdownIt("commonmark").enable("table").render(markdown))
