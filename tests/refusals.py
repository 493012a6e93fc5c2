"""What a command says of wrong use: one or two lines on standard error, exit status 2."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from conftest import Optbench


def refusal(optbench: Optbench, *arguments: object) -> str:
    """The message of a command that is refused; that it is one is checked here."""
    code, out, err = optbench(*arguments)
    assert code == 2, err
    assert out == ""
    assert "Traceback" not in err
    assert "internal error" not in err
    message = err.removesuffix("\n")
    if message.startswith("Usage:"):
        # What Typer itself refuses has its own three lines of usage above.
        message = message.partition("\n\n")[2]
        assert message.startswith("Error: ")
    else:
        assert message.startswith("error: ")
    assert 1 <= len(message.splitlines()) <= 2
    return message
