"""What is heard of a worker: answers, signs, silence, its end; nothing of what is past."""

from __future__ import annotations

import math
import os
import time
from pathlib import Path
from typing import Any

import pytest

from optbench.process import pulse
from optbench.process.channel import Answer, Channel, Gone, Sign, serve_requests
from optbench.process.worker import WorkerProcess, in_a_worker


def serve(pipe: Any, trail: str) -> None:
    """Does what it is asked for, by name."""

    def answer(question: str, begun: Any) -> tuple[Any, bool]:
        if question == "begin":
            begun()
        if question == "step":
            pulse.beats += 1
            time.sleep(0.3)
        if question == "fork":
            # The copy comes back with the same question, and answers nobody.
            return os.fork() if hasattr(os, "fork") else 1, False
        if question == "exit":
            os._exit(3)
        if question == "write":
            os.write(pipe.fileno(), b"\0\0\0\4nons")
        return question, question == "taint"

    pulse.BEAT_S = 0.1
    with in_a_worker(trail):
        serve_requests(pipe, answer, "hello")


@pytest.fixture
def channel(tmp_path: Path) -> Any:
    worker = WorkerProcess.begin(serve, tmp_path / "trail")
    channel = Channel(worker)
    channel.allow(60.0)
    yield channel
    worker.end()


def test_it_greets_and_answers_what_it_is_asked(channel: Channel) -> None:
    assert channel.answer() == Answer(0, "hello")
    channel.ask("what", 60.0)
    assert channel.answer() == Answer(1, "what")
    channel.ask("taint", 60.0)
    assert channel.answer() == Answer(2, "taint", tainted=True)


def test_signs_come_before_the_answer(channel: Channel) -> None:
    channel.answer()
    heard: list[Sign] = []
    channel.ask("begin", 60.0)
    channel.answer(heard.append)
    channel.ask("step", 60.0)
    channel.answer(heard.append)
    assert heard[0] is Sign.BEGUN
    assert Sign.STEPS in heard[1:]


def test_a_copy_of_it_answers_nobody(channel: Channel) -> None:
    channel.answer()
    channel.ask("fork", 60.0)
    first = channel.answer()
    assert first is not None
    assert first.content > 0
    channel.ask("what", 60.0)
    assert channel.answer() == Answer(2, "what")


def test_no_answer_in_time_is_none(channel: Channel) -> None:
    channel.answer()
    channel.ask("what", 0.0)
    assert channel.answer() is None
    # What comes later is no answer to the next question.
    channel.ask("other", 60.0)
    assert channel.answer() == Answer(2, "other")
    assert channel.limit_s == 60.0


@pytest.mark.parametrize("question", ["exit", "write"])
def test_one_that_ends_or_says_what_is_none_of_ours_is_gone(
    channel: Channel, question: str
) -> None:
    channel.answer()
    channel.ask(question, 60.0)
    with pytest.raises(Gone):
        channel.answer()


def test_there_is_all_the_time_in_the_world_until_a_limit_is_set(channel: Channel) -> None:
    fresh = Channel(channel.process)
    assert fresh.limit_s == math.inf
    assert fresh.left == 3600.0
