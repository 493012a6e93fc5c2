"""Whatever stands in the files of nightly runs: records are read, the rest is left or refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from fuzzing import HOSTILE, damaged, fuzzed, texts, works_or_is_refused
from hypothesis import example, given
from hypothesis import strategies as st

from optbench.nightly.issue import body, quoted, title
from optbench.nightly.outcome import read_nightly_run
from optbench.tracking.records import FILE, codes_of_nights, last_passed, read_records

COMMIT = "a" * 40


def record(text: str) -> dict[str, Any]:
    return {"commit": COMMIT, "started": text, "finished": text, "verdict": "passed",
            "where": text, "codes": {text: text}}  # fmt: skip


def night_of(text: str) -> dict[str, Any]:
    row = dict.fromkeys(("metric", "optimizer", "problem", "subject", "size", "text"), text)
    row |= {"key": text or "k", "reproduce": text, "commit": COMMIT, "first": COMMIT}
    stage = {"name": "runs", "state": "failed", "text": text, "seconds": 1.0}
    return {"schema": 2, "verdict": "regressed", "commit": COMMIT, "regressions": [row, row],
            "branch": text, "subject": text, "base": None, "seconds": 1.0, "stages": [stage],
            "started": "2026-01-01T00:00:00+00:00", "notes": [text]}  # fmt: skip


records = damaged(texts.map(record))
nights = damaged(texts.map(night_of))


@fuzzed(120)
@given(parts=st.lists(records.map(json.dumps).map(str.encode) | st.binary(), max_size=4))
@example([b"[" * 100_000])
@example([b"9" * 5000, b'{"commit": ' + b"9" * 5000 + b"}"])
def test_any_records(tmp_path_factory: pytest.TempPathFactory, parts: list[bytes]) -> None:
    folder = tmp_path_factory.getbasetemp() / "records"
    folder.mkdir(exist_ok=True)
    (folder / FILE).write_bytes(b"\n".join(parts))
    found = read_records(folder)
    assert len(found) <= len(b"\n".join(parts).splitlines()) + b"".join(parts).count(b"\xc2\x85")
    assert last_passed(folder, {COMMIT}) in (None, COMMIT)
    frame = codes_of_nights(str(folder / "store.sqlite"))
    assert frame is not None
    assert len(frame) == sum(len(each.codes) for each in found)


@fuzzed(120)
@given(content=nights.map(json.dumps).map(str.encode) | st.binary())
@example(b"[" * 100_000)
@example(b'{"schema": ' + b"9" * 5000 + b"}")
@example(b'{"schema": 2, "verdict": "\\u001b[2J\\n", "commit": "' + b"a" * 40 + b'"}')
def test_any_night(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    file = tmp_path_factory.getbasetemp() / "night.json"
    file.write_bytes(content)
    refusal = works_or_is_refused(lambda: read_nightly_run(file))
    if refusal:
        assert refusal.startswith(f"{file} is of no nightly run: ")
        return
    run = read_nightly_run(file)
    assert len(title(run).splitlines()) == 1
    assert len(body(run)) <= 65_536
    body(run).encode()


@pytest.mark.parametrize("text", [*HOSTILE, "@everyone", "#1", "https://example.org", "www.x.org"])
def test_what_is_quoted_calls_nobody(text: str) -> None:
    said = quoted(text).replace("\\<", "")
    assert len(said.splitlines()) <= 1
    assert not any(call in said for call in ("@e", "#1", "://", "www.", "\x1b", "\x00", "<img"))


def test_a_file_of_nights_that_never_ends_is_refused(tmp_path: Path) -> None:
    (tmp_path / FILE).symlink_to("/dev/zero")
    assert "it is not a plain file" in works_or_is_refused(lambda: read_records(tmp_path))
