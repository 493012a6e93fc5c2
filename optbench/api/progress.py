"""The progress of a run: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time
from types import TracebackType

from rich.progress import (
    BarColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import (
    Progress as Bar,
)

from optbench.api.console import errors, say
from optbench.runner import Progress

QUIET_SECONDS = 15.0
"""Seconds between two lines of progress where there is no terminal."""


class Watch:
    """Shows a `Progress`; the last one it saw is kept in ``progress``.

    Parameters
    ----------
    quick : bool
        Print nothing of what ends within `QUIET_SECONDS`, where no terminal shows a bar.
    """

    def __init__(self, *, quick: bool = False) -> None:
        self._quick = quick
        self.progress: Progress | None = None
        self._bar: Bar | None = None
        self._begun = self._said = time.monotonic()
        self._begun_told = False

    def __enter__(self) -> Watch:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def __call__(self, progress: Progress) -> None:
        """Show how far it is."""
        self.progress = progress
        if not progress.to_do:
            return
        if errors().is_terminal:
            self._draw(progress)
        elif not self._quick or time.monotonic() - self._begun >= QUIET_SECONDS:
            self._tell(progress)

    def _draw(self, progress: Progress) -> None:
        if self._bar is None:
            self._bar = Bar(
                TextColumn("{task.fields[done]:,} of {task.fields[to_do]:,} runs"),
                BarColumn(),
                TextColumn("{task.fields[failed]} failed"),
                TextColumn("{task.fields[awaited]}"),
                TimeElapsedColumn(),
                TextColumn("left"),
                # The last minute's speed would swing with the size of the units.
                TimeRemainingColumn(elapsed_when_finished=True),
                console=errors(),
            )
            self._bar.add_task(
                "", total=progress.work, done=0, to_do=progress.to_do, failed=0, awaited=""
            )
            self._bar.start()
        self._bar.update(
            self._bar.task_ids[0],
            completed=progress.work_done,
            done=progress.done,
            failed=len(progress.failures),
            awaited=f"{progress.awaited:,} by others" if progress.awaited else "",
        )

    def _tell(self, progress: Progress) -> None:
        now = time.monotonic()
        if not self._begun_told:
            self._begun_told = True
            say(f"{progress.to_do:,} runs to do, {progress.present:,} in the store")
        elif progress.awaited and now - self._said >= QUIET_SECONDS:
            say(f"waiting for {progress.awaited:,} runs that others are at")
            self._said = now
        elif now - self._said >= QUIET_SECONDS and progress.done < progress.to_do:
            share = progress.work_done / progress.work
            left = (now - self._begun) * (1 - share) / share
            say(
                f"{progress.done:,} of {progress.to_do:,} runs, "
                f"{len(progress.failures)} failed, about {left:.0f} s left"
            )
            self._said = now
