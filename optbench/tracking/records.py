"""Which nightly runs there were: a line each, beside the store."""

from __future__ import annotations

import json
import os
from collections.abc import Container
from pathlib import Path
from typing import Annotated, Literal

import pandas as pd
from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from optbench.errors import OptbenchError
from optbench.whole_files import read_whole

FILE = "nights.jsonl"

Verdict = Literal["passed", "regressed", "not measured"]

OLD_WORDS = {"good": "passed"}
"""Verdicts as earlier versions recorded them."""


class UnreadableRecords(OptbenchError, RuntimeError):
    """A file of records that cannot be read; the text says why."""


class Record(BaseModel):
    """A nightly run that ended.

    Attributes
    ----------
    commit : str
        What was measured.
    started, finished : str
        When, in ISO format, in UTC: the records of two places are joined in this order.
    verdict : str
    where : str
        The machine and its software: a run elsewhere is another run.
    codes : dict
        Optimizer to the code that it had, as the store knows it.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    commit: str
    started: str
    finished: str
    verdict: Annotated[Verdict, BeforeValidator(lambda word: OLD_WORDS.get(str(word), word))]
    where: str = ""
    codes: dict[str, str] = {}


def read_records(folder: Path) -> list[Record]:
    """Return the records of a folder, the oldest first.

    A last line that a kill cut short is passed over, and any line that is no record.

    Raises
    ------
    UnreadableRecords
        Where the file cannot be read.
    """
    path = folder / FILE
    if not path.exists():
        return []
    found = []
    try:
        text = read_whole(path).decode("utf-8", errors="replace")
    except OSError as error:
        raise UnreadableRecords(f"{path} cannot be read: {error.strerror}") from error
    for line in text.splitlines():
        try:
            found.append(Record.model_validate_json(line))
        except ValidationError:
            continue
    return found


def add_record(folder: Path, record: Record) -> None:
    """Append a record, on the disk before this returns; a line that was cut short is closed."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / FILE
    whole = not path.exists() or path.read_bytes()[-1:] in (b"", b"\n")
    with path.open("a", encoding="utf-8") as file:
        file.write(("" if whole else "\n") + json.dumps(record.model_dump()) + "\n")
        file.flush()
        os.fsync(file.fileno())


def last_passed(folder: Path, line: Container[str]) -> str | None:
    """Return the commit of the last nightly run of a line that passed."""
    passed = [each.commit for each in read_records(folder) if each.verdict == "passed"]
    return next((commit for commit in reversed(passed) if commit in line), None)


def folder_of(store: str, otherwise: Path) -> Path:
    """Return where runs are recorded: beside a store in a file, else in the other folder."""
    return otherwise if "://" in store else Path(store).parent


def codes_of_nights(store: str | None) -> pd.DataFrame | None:
    """Return which code each run found, for a store in a file: ``commit, optimizer, code``."""
    if store is None or "://" in store:
        return None
    rows = [
        (record.commit, optimizer, code)
        for record in read_records(Path(store).parent)
        for optimizer, code in record.codes.items()
    ]
    return pd.DataFrame(rows, columns=["commit", "optimizer", "code"])
