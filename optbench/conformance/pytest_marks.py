"""What pytest loads of optbench wherever optbench is installed: two markers and a summary line.

Every run of pytest pays for this module, also of projects that have nothing to do with
optimizers: it imports neither torch nor anything else that takes time.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

CONTRACT = "optbench_contract"
SLOW = "optbench_slow"

# How reasons and messages begin: read by people with -rsx, and by the summary.
NOT_APPLICABLE = "not applicable"
NOT_CHECKED = "not checked"
KNOWN = "known"
ADVICE = "advice"


def pytest_configure(config: pytest.Config) -> None:
    """Declare the markers, so that ``--strict-markers`` knows them."""
    config.addinivalue_line(
        "markers", f"{CONTRACT}(optimizer): a check of optbench's contract, on one optimizer"
    )
    config.addinivalue_line(
        "markers", f'{SLOW}: a check of the contract that takes seconds; -m "not {SLOW}" leaves out'
    )


def pytest_itemcollected(item: pytest.Item) -> None:
    """Let the test's report say which optimizer it is about, in junit.xml and to the summary."""
    mark = item.get_closest_marker(CONTRACT)
    if mark is not None:
        item.user_properties.append((CONTRACT, mark.args[0]))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """One line on the contract, where a test of it ran."""
    advised = {
        each.nodeid
        for each in terminalreporter.stats.get("warnings", ())
        if "ContractAdvice: " in each.message
    }
    optimizers: set[object] = set()
    counts: Counter[str] = Counter()
    for outcome, reports in terminalreporter.stats.items():
        for report in reports:
            name = dict(getattr(report, "user_properties", ())).get(CONTRACT)
            # Setup and teardown report as well, under "" where they pass; deselected items do not.
            if name is None or not outcome or not hasattr(report, "when"):
                continue
            optimizers.add(name)
            given = outcome == "passed" and report.nodeid in advised
            counts[ADVICE if given else _ended(outcome, report)] += 1
    if optimizers:
        many = "s" * (len(optimizers) != 1)
        ends = ", ".join(f"{count} {end}" for end in ENDS if (count := counts[end]))
        terminalreporter.write_line(f"optbench contract: {len(optimizers)} optimizer{many}, {ends}")


ENDS = (
    "passed",
    ADVICE,
    "failed",
    "error",
    KNOWN,
    NOT_APPLICABLE,
    NOT_CHECKED,
    "skipped",
    "xfailed",
    "other",
)
"""In the order in which they are told; the last three are doings of the test file's author."""


def _ended(outcome: str, report: object) -> str:
    if outcome == "xfailed":
        # pytest.xfail() leaves "reason: ..." here, a mark its reason alone.
        reason = str(getattr(report, "wasxfail", "")).removeprefix("reason: ")
        return KNOWN if reason.startswith(f"{KNOWN}:") else "xfailed"
    if outcome == "skipped":
        why = getattr(report, "longrepr", None)
        reason = str(why[2]).removeprefix("Skipped: ") if isinstance(why, tuple) else ""
        return next((e for e in (NOT_APPLICABLE, NOT_CHECKED) if reason.startswith(e)), outcome)
    if outcome == "failed" and getattr(report, "longreprtext", "").startswith(NOT_CHECKED):
        return NOT_CHECKED
    return outcome if outcome in ("passed", "failed", "error") else "other"
