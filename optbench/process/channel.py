"""Questions to a worker process, one at a time, and what it answers in the time that it has.

Whoever asks hears an `Answer`, a `Sign` on the way to it, that the time is up (`Channel.left`), or
that the process is `Gone`. What a copy that an optimizer forked of the process says, to a question
that is past, is passed over.
"""

from __future__ import annotations

import contextlib
import enum
import math
import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from optbench.process import pulse
from optbench.process.worker import WorkerProcess

SAYING_S = 60.0
"""Seconds for an answer to arrive whose first bytes are there."""

LONGEST_WAIT_S = 3600.0
"""Longest wait of one call in seconds; the system's own limit is a month."""


class Sign(enum.Enum):
    """What a worker says before it answers.

    BEGUN: it has begun with the question itself, and imported and constructed what that is about.
    STEPS: an optimizer took steps in the last `pulse.BEAT_S` seconds, whatever the question.
    """

    BEGUN = "begun"
    STEPS = "steps"


@dataclass(frozen=True)
class Answer:
    """What a worker says to the question of a number.

    Attributes
    ----------
    number : int
    content : object
    tainted : bool
        Something that all optimizers share was changed, such as a method of torch.Tensor: the
        process must be asked about no other one.
    """

    number: int
    content: Any
    tainted: bool = False


@dataclass(frozen=True)
class _Said:
    number: int
    sign: Sign


class Gone(Exception):
    """The process ended, or says what is none of ours."""


class Channel:
    """A worker process that answers one question at a time.

    Parameters
    ----------
    process : WorkerProcess

    Attributes
    ----------
    limit_s : float
        Seconds that the question may take.
    """

    def __init__(self, process: WorkerProcess) -> None:
        self.process = process
        self.limit_s = math.inf
        self._number = 0
        self._deadline = math.inf

    def ask(self, question: Any, limit_s: float) -> None:
        """Put a question; whether the process is still there shows when the answer is heard."""
        self._number += 1
        self.allow(limit_s)
        with contextlib.suppress(OSError):
            self.process.pipe.send((self._number, question))

    def allow(self, limit_s: float) -> None:
        """Give the question so many seconds from now on."""
        self.limit_s, self._deadline = limit_s, time.monotonic() + limit_s

    @property
    def left(self) -> float:
        """Seconds until the time is up, at most `LONGEST_WAIT_S`; not negative."""
        return min(max(0.0, self._deadline - time.monotonic()), LONGEST_WAIT_S)

    def hear(self) -> Answer | Sign | None:
        """Return the next message; None where it belongs to another question.

        Raises
        ------
        Gone
            `WorkerProcess.how_it_ended` tells how.
        """
        try:
            with _patience_for(self.process):
                said = self.process.pipe.recv()
        # The end of the process, a pipe that was closed here, or bytes that are none of ours.
        except Exception as error:
            raise Gone from error
        if not isinstance(said, Answer | _Said) or said.number not in (0, self._number):
            return None
        return said if isinstance(said, Answer) else said.sign

    def answer(self, on_sign: Callable[[Sign], None] = lambda sign: None) -> Answer | None:
        """Wait for the answer; None where there is none in time.

        Raises
        ------
        Gone
            As of `hear`.
        """
        while (left := self.left) > 0:
            if not self._poll(left):
                continue
            said = self.hear()
            if isinstance(said, Answer):
                return said
            if said is not None:
                on_sign(said)
        return None

    def _poll(self, seconds: float) -> bool:
        try:
            return self.process.pipe.poll(seconds)
        except OSError as error:
            raise Gone from error


@contextlib.contextmanager
def _patience_for(worker: WorkerProcess) -> Iterator[None]:
    """Who begins to say something and does not end is ended: a stranger may write to every file."""
    watchdog = threading.Timer(SAYING_S, worker.process.kill)
    watchdog.daemon = True
    watchdog.start()
    try:
        yield
    finally:
        watchdog.cancel()


def serve_requests(
    pipe: Connection,
    answer: Callable[[Any, Callable[[], None]], tuple[Any, bool]],
    greeting: Any = None,
) -> None:
    """Answer the requests of a pipe, in the worker, until the other side closes it.

    ``answer(question, begun)`` gives the content and whether it taints, and may call ``begun`` as
    in `Sign.BEGUN`. ``greeting`` is said before the first question, as the answer to number 0.
    """
    own = os.getpid()
    speech = pulse.tell(pipe, _Said(0, Sign.STEPS))

    def say(what: Answer | _Said) -> None:
        if os.getpid() != own:
            os._exit(0)  # a copy that an optimizer made of this process
        with speech:
            pipe.send(what)

    if greeting is not None:
        say(Answer(0, greeting))
    while True:
        try:
            number, question = pipe.recv()
        except EOFError:
            return

        def begun(number: int = number) -> None:
            say(_Said(number, Sign.BEGUN))

        say(Answer(number, *answer(question, begun)))
