"""What is kept on the data branch, and how it is brought here and there.

One commit without history: the store alone is some twenty megabytes every night, and a repository
must not grow by that. What was there before is not lost by it, since fetching only ever adds.
"""

from __future__ import annotations

import gzip
import json
import re
import shutil
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from optbench.nightly.data_branch import (
    Aside,
    DataBranch,
    DataBranchError,
    Entry,
    LostRace,
    moved,
)
from optbench.nightly.merge_stores import Merged, check_store, copy_store, merge
from optbench.sources.cache import run_folder
from optbench.store import StoreError
from optbench.whole_files import write_whole

MIB = 2**20

LARGEST = 100 * MIB
"""Of a file, in bytes: hosts of repositories refuse larger ones."""

LARGEST_STORE = 2048 * MIB
"""Of the store once unpacked: what a hundred megabytes of zeros would become is no store."""

STORE = "results.sqlite.gz"
NIGHTS = "nights.jsonl"
README = "README.md"

_NAME = r"[^./\\:\x00-\x1f\x7f][^/\\:\x00-\x1f\x7f]*"
LAYOUT = re.compile(
    rf"{re.escape(STORE)}|{re.escape(NIGHTS)}|{re.escape(README)}"
    rf"|nights/{_NAME}\.json|asv/(?:{_NAME}/)?{_NAME}\.json"
)
"""The names on the branch. No other is read, so that none leads out of its folder."""

ABOUT = """\
Results of optbench, kept by `optbench results push` and read by `optbench results fetch`.

This branch is one commit without history, replaced after every night. Nothing here is meant to be
changed by hand, or merged.
"""

Say = Callable[[str], None]


@dataclass(frozen=True)
class Places:
    """Where the results are in the working folder.

    Attributes
    ----------
    store : Path or None
        A SQLite file; None where the store is a database that is kept elsewhere.
    notes : Path
        The folder of ``nights.jsonl`` and ``nights/``.
    asv : Path
        The folder of asv's results.
    """

    store: Path | None
    notes: Path
    asv: Path

    def local(self, name: str) -> Path:
        """Where a JSON file of the branch belongs."""
        if name.startswith("asv/"):
            return self.asv / name.removeprefix("asv/")
        return self.notes / name

    @property
    def record(self) -> Path:
        """What was last fetched or pushed."""
        return self.notes / "data-branch.json"


@dataclass(frozen=True)
class Fetched:
    """What fetching did.

    Attributes
    ----------
    commit : str
        That the branch is at.
    store : Merged or None
        None where the branch holds no store, or it is kept elsewhere.
    nights : int
        Records that were not here.
    new, kept : tuple of str
        JSON files that were brought; those that differ here and stay as they are.
    """

    commit: str
    store: Merged | None
    nights: int
    new: tuple[str, ...]
    kept: tuple[str, ...]


@dataclass(frozen=True)
class Pushed:
    """What was pushed.

    Attributes
    ----------
    commit : str
    runs, files : int
    size : int
        Of the store as it is kept, in bytes.
    news : bool
        False where the branch held just that.
    """

    commit: str
    runs: int
    files: int
    size: int
    news: bool


def store_file(url: str) -> Path | None:
    """The file of a store; None for a database elsewhere, which no branch has to keep."""
    if "://" not in url:
        return Path(url)
    try:
        parsed = make_url(url)
    # ValueError: a port that is no number. What it says may repeat a password.
    except (ArgumentError, ValueError) as error:
        raise StoreError(f"{url.partition('://')[0]}://... is no URL of a store") from error
    name = parsed.database
    if parsed.get_backend_name() != "sqlite" or not name or name.startswith((":", "file:")):
        return None
    return Path(name)


def fetch(branch: DataBranch, places: Places, say: Say, *, force: bool = False) -> Fetched | None:
    """Add what the branch holds to what is here; None where there is no such branch yet.

    Everything is looked through before the first file is touched, and each appears whole.

    Parameters
    ----------
    force : bool
        Take the branch's where the same run or file is here otherwise.

    Raises
    ------
    DataBranchError
        Where something on the branch is damaged, or none of ours. Nothing was changed then.
    """
    with run_folder() as folder:
        aside = branch.aside(folder / "repository")
        tip = branch.download(aside)
        if not tip:
            _note(places, branch, _Seen("", "", ()))
            return None
        entries = [_checked(branch, entry) for entry in aside.entries(tip)]
        staged = _stage(branch, aside, entries, folder / "staged")
        merged = None
        if STORE in staged and places.store is not None:
            merged = merge(staged[STORE], places.store, prefer_source=force)
        nights = _add_nights(staged[NIGHTS], places.notes / NIGHTS, say) if NIGHTS in staged else 0
        new, kept = _place(staged, places, force)
        seen = _Seen(tip, aside.tree(tip), tuple(sorted(entry.path for entry in entries)))
        _note(places, branch, seen)
    return Fetched(tip, merged, nights, tuple(new), tuple(kept))


def push(branch: DataBranch, places: Places, say: Say, *, drop: bool = False) -> Pushed:
    """Make the branch hold what is here, and nothing else.

    Parameters
    ----------
    drop : bool
        Also where it would lose files that are missing here.

    Raises
    ------
    LostRace
        Where the branch is no longer what was fetched.
    DataBranchError
        Where there is nothing to push, or what is here is damaged, too large or incomplete.
    """
    seen = _noted(places, branch)
    now = branch.tip()
    if now != seen.commit:
        raise LostRace(moved(branch, seen.commit, now))
    with run_folder() as folder:
        staging = folder / "staged"
        staging.mkdir()
        files, runs = _gather(places, staging, say)
        if not files:
            raise DataBranchError(
                f"there is nothing to push: no store at {places.store}, no nights in "
                f"{places.notes}, no results in {places.asv}"
            )
        lost = sorted(set(seen.files) - files.keys() - {README})
        if lost and not drop:
            raise DataBranchError(
                f"{branch} holds what is missing or damaged here and would be lost: "
                f"{_named(lost)}. optbench results fetch brings it; --drop leaves it out"
            )
        (staging / "about").write_text(ABOUT, encoding="utf-8")
        size = files[STORE].stat().st_size if STORE in files else 0
        _refuse_large(files)
        aside = branch.aside(folder / "repository")
        commit = aside.commit({**files, README: staging / "about"}, f"Results: {runs:,} runs\n")
        tree = aside.tree(commit)
        news = not seen.commit or tree != seen.tree
        if news:
            branch.push(aside, commit, seen.commit)
            _note(places, branch, _Seen(commit, tree, tuple(sorted(files))))
        return Pushed(commit if news else seen.commit, runs, len(files), size, news)


def _checked(branch: DataBranch, entry: Entry) -> Entry:
    """A file of the branch that may be read.

    Raises
    ------
    DataBranchError
        For any other: a link, a name that leads elsewhere, a branch of somebody's code.
    """
    if not LAYOUT.fullmatch(entry.path):
        raise DataBranchError(
            f"{branch} holds {entry.path!r}, which is none of ours: is it a data branch? "
            "Nothing was fetched"
        )
    if entry.mode != "100644":
        raise DataBranchError(
            f"{branch}: {entry.path!r} is no plain file (mode {entry.mode}): nothing was fetched"
        )
    if entry.size > LARGEST:
        raise DataBranchError(
            f"{branch}: {entry.path} has {entry.size / MIB:,.0f} MB: nothing was fetched"
        )
    return entry


def _stage(
    branch: DataBranch, aside: Aside, entries: Sequence[Entry], folder: Path
) -> dict[str, Path]:
    """Name to a file that is known to be whole."""
    folder.mkdir()
    staged = {}
    for number, (entry, content) in enumerate(aside.contents(entries)):
        path = folder / str(number)
        try:
            if entry.path == STORE:
                _unpack(content, path)
            else:
                if entry.path == NIGHTS:
                    _lines(content)
                elif entry.path != README:
                    _parsed(content)
                path.write_bytes(content)
        except (StoreError, ValueError, EOFError, zlib.error, gzip.BadGzipFile) as error:
            said = str(error).replace(str(path), entry.path)
            raise DataBranchError(
                f"{branch}: {entry.path} is damaged ({said}): nothing was fetched. "
                f"To begin anew: git push {branch.remote} --delete {branch.name}"
            ) from error
        staged[entry.path] = path
    return staged


def _unpack(content: bytes, path: Path) -> None:
    packed = path.with_suffix(".gz")
    packed.write_bytes(content)
    with gzip.open(packed, "rb") as source, path.open("wb") as file:
        while part := source.read(MIB):
            file.write(part)
            if file.tell() > LARGEST_STORE:
                raise ValueError(f"it unpacks to more than {LARGEST_STORE / MIB:,.0f} MB")
    check_store(path)


def _parsed(content: bytes) -> dict[str, Any]:
    """A JSON object.

    Raises
    ------
    ValueError
        For everything else.
    """
    try:
        read = json.loads(content)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    if not isinstance(read, dict):
        raise ValueError("it is no JSON object")
    return read


def _lines(content: bytes) -> list[dict[str, Any]]:
    return [_parsed(line) for line in content.splitlines() if line.strip()]


def _whole_lines(path: Path, say: Say) -> list[bytes]:
    """The records of a file; a line that a killed night left half is said and left out."""
    lines = []
    for number, line in enumerate(path.read_bytes().splitlines() if path.exists() else (), 1):
        try:
            _parsed(line)
        except ValueError as error:
            say(f"left out: {path}, line {number}: {error}")
        else:
            lines.append(line)
    return lines


def _add_nights(source: Path, path: Path, say: Say) -> int:
    """Add the records that are not here, in the order in which nights began; gives how many."""
    here = _whole_lines(path, say)
    known = set(here)
    new = [line for line in source.read_bytes().splitlines() if line.strip() and line not in known]
    if new:
        both = sorted([*new, *here], key=lambda line: str(json.loads(line).get("started", "")))
        write_whole(path, b"".join(line + b"\n" for line in both))
    return len(new)


def _place(staged: Mapping[str, Path], places: Places, force: bool) -> tuple[list[str], list[str]]:
    """Put the JSON files into their places; gives those that were brought, and those kept."""
    new, kept = [], []
    for name in sorted(staged.keys() - {STORE, NIGHTS, README}):
        path, content = places.local(name), staged[name].read_bytes()
        if path.exists() and path.read_bytes() == content:
            continue
        if path.exists() and not force and _is_whole(path):
            kept.append(name)
        else:
            write_whole(path, content)
            new.append(name)
    return new, kept


def _is_whole(path: Path) -> bool:
    try:
        _parsed(path.read_bytes())
    except ValueError:
        return False
    return True


def _gather(places: Places, staging: Path, say: Say) -> tuple[dict[str, Path], int]:
    """Name on the branch to a copy that nobody writes to, and how many runs the store holds."""
    files: dict[str, Path] = {}
    runs = 0
    if places.store is None:
        say("the store is a database of its own: it is not kept on the branch")
    elif places.store.exists():
        runs = copy_store(places.store, staging / "store")
        files[STORE] = staging / STORE
        _pack(staging / "store", files[STORE])
    nights = places.notes / NIGHTS
    if lines := _whole_lines(nights, say):
        files[NIGHTS] = staging / NIGHTS
        files[NIGHTS].write_bytes(b"".join(line + b"\n" for line in lines))
    found = {f"nights/{path.name}": path for path in (places.notes / "nights").glob("*.json")}
    for pattern in ("*.json", "*/*.json"):
        for path in places.asv.glob(pattern):
            found[f"asv/{path.relative_to(places.asv).as_posix()}"] = path
    for name, path in sorted(found.items()):
        content = path.read_bytes()
        try:
            if not LAYOUT.fullmatch(name):
                raise ValueError("of such a name, no file is kept")
            _parsed(content)
        except ValueError as error:
            say(f"left out: {path}: {error}")
            continue
        files[name] = staging / f"{len(files)}.json"
        files[name].write_bytes(content)
    return files, runs


def _pack(path: Path, packed: Path) -> None:
    # Git compresses as well, and what is sent is no less for it; but it is the file as it is that
    # must stay under the limit. xz makes a fifth less of it in eight times the time.
    with (
        path.open("rb") as source,
        packed.open("wb") as file,
        gzip.GzipFile("", "wb", 6, file, mtime=0) as target,
    ):
        shutil.copyfileobj(source, target, MIB)


def _refuse_large(files: Mapping[str, Path]) -> None:
    for name, path in files.items():
        size = path.stat().st_size
        if size > LARGEST:
            hint = (
                ": begin another store, or keep it in a database (--store URL)"
                if name == STORE
                else ""
            )
            raise DataBranchError(
                f"{name} has {size / MIB:,.0f} MB, and hosts refuse files of more than "
                f"{LARGEST / MIB:,.0f} MB; nothing was pushed{hint}"
            )


def _named(names: Sequence[str]) -> str:
    shown = ", ".join(names[:3])
    return shown if len(names) <= 3 else f"{shown} and {len(names) - 3} more"


@dataclass(frozen=True)
class _Seen:
    """A branch as it was when it was last fetched or pushed from here.

    Attributes
    ----------
    commit, tree : str
        Empty where it was not there.
    files : tuple of str
        Their names.
    """

    commit: str
    tree: str
    files: tuple[str, ...]


def _records(places: Places) -> dict[str, Any]:
    # Without a record, or with a damaged one, nothing was fetched: then nothing is overwritten.
    try:
        return _parsed(places.record.read_bytes())
    except (FileNotFoundError, ValueError):
        return {}


def _noted(places: Places, branch: DataBranch) -> _Seen:
    try:
        record = _records(places)[str(branch)]
        return _Seen(str(record["commit"]), str(record["tree"]), tuple(map(str, record["files"])))
    except (TypeError, KeyError):
        return _Seen("", "", ())


def _note(places: Places, branch: DataBranch, seen: _Seen) -> None:
    noted = {"commit": seen.commit, "tree": seen.tree, "files": list(seen.files)}
    content = json.dumps({**_records(places), str(branch): noted}, indent=1) + "\n"
    write_whole(places.record, content.encode("utf-8"))
