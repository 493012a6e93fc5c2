"""The law that fuzzing holds the doors to: what comes in either works, or is refused in a line."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from optbench.cli.console import wrong_use

TIMES = int(os.environ.get("OPTBENCH_FUZZ", "1"))
"""How many times the examples of CI, and then other ones at each start."""

LONGEST = 5000
"""Characters of a refusal: what is wrong, not all that is wrong with it."""

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def fuzzed(examples: int = 60) -> Decorator:
    """So many examples, the same in every run of CI; folders of a test are used over and over."""
    ignored = (HealthCheck.function_scoped_fixture, HealthCheck.too_slow)
    made: Decorator = settings(
        max_examples=examples * TIMES,
        derandomize=TIMES == 1,
        deadline=None,
        database=None,
        suppress_health_check=ignored,
    )
    return made


def works_or_is_refused(call: Callable[[], object]) -> str:
    """The refusal, one line that a terminal can hold; the empty string where it works.

    Any exception that is nobody's mistake but ours goes on, and fails the test.
    """
    try:
        call()
    except Exception as error:
        said = wrong_use(error)
        if said is None:
            raise
        assert said.strip()
        assert len(said) <= LONGEST, f"{len(said)} characters: {said[:200]}"
        assert said.isprintable(), f"more than a line, or what a terminal obeys: {said!r}"
        return said
    return ""


HOSTILE = (
    "\x1b]0;title\x07\x1b[2J",
    "a\nb\r\nc\x85d\u2028e",
    "\u202egnp.exe",
    "\ud800",
    "\x00",
    "-oProxyCommand=sh",
    "--upload-pack=touch x",
    "ext::sh -c 'touch x'",
    "../../x",
    "/dev/null",
    "$(touch x)`touch x`;touch x",
    "=1+1",
    "<img src=x onerror=alert(1)>",
    "'; DROP TABLE runs; --",
    "%s%n{0}{x}",
    "9" * 5000,
    "0x" + "f" * 5000,
    "1e999",
    "[" * 3000,
    "",
)
"""What has broken programs before."""

texts = st.text(max_size=40) | st.sampled_from(HOSTILE)
"""Any text, half characters and control codes too."""

numbers = (
    st.integers()
    | st.floats()
    | st.sampled_from([2**31, 2**63, -(2**63), 10**400, 0, -1, float("nan"), float("inf")])
)

values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)
"""Any value that JSON can hold."""


@st.composite
def damaged(draw: st.DrawFn, whole: st.SearchStrategy[Any], most: int = 2) -> Any:
    """What is whole, with a few of its parts, however deep, gone or made another value."""
    made = copy.deepcopy(draw(whole))
    for _ in range(draw(st.integers(0, most))):
        inner, depth = made, draw(st.integers(0, 5))
        while True:
            places = list(inner) if isinstance(inner, dict) else list(range(len(inner)))
            if not places:
                break
            place = draw(st.sampled_from(places))
            if depth and isinstance(inner[place], dict | list) and inner[place]:
                inner, depth = inner[place], depth - 1
                continue
            if draw(st.booleans()):
                inner[place] = draw(values)
            else:
                del inner[place]
            break
    return made
