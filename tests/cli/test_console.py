"""What people are told is text: neither markup nor what a terminal obeys."""

from __future__ import annotations

import io

import pytest
from fuzzing import HOSTILE
from rich.console import Console

from optbench.api import console
from optbench.api.console import doing, say
from optbench.cli.console import tell

MARKUP = ("[bold]x[/bold]", "[/red]", "[link=file:///etc/passwd]x[/link]", ":smile:", "[")


@pytest.mark.parametrize("text", [*HOSTILE, *MARKUP])
def test_what_is_said_is_text(capsys: pytest.CaptureFixture[str], text: str) -> None:
    say(f"<{text}>")
    tell(f"<{text}>")
    out, err = capsys.readouterr()
    assert out == err
    assert all(part.isprintable() for part in out.split("\n"))
    out.encode("utf-8")
    if text in MARKUP:
        assert out == f"<{text}>\n"


@pytest.mark.parametrize("text", [*HOSTILE, *MARKUP])
def test_what_is_being_done_is_text(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """A commit's subject with a closing tag ended `optbench bisect` with an exception of rich's."""
    screen = io.StringIO()
    terminal = Console(file=screen, force_terminal=True, width=200, color_system=None)
    monkeypatch.setattr(console, "errors", lambda: terminal)
    with doing(text) as show:
        show(f"<{text[:50]}>")
    assert "\x1b]" not in screen.getvalue()
    assert "\x00" not in screen.getvalue()
