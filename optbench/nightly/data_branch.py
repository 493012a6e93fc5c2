"""Results on a branch of the repository: one commit without history, pulled and pushed.

Without history, because the store is some twenty megabytes after every nightly run and a repository
must not grow by that. All work is done in a clone of that branch in a temporary folder: of the
user's repository only the remote's address and the settings to reach it are read.
"""

from __future__ import annotations

import gzip
import json
import os
import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from optbench.errors import OptbenchError
from optbench.nightly.merge_stores import check_values, copy_store, merge, missing_runs
from optbench.sources.cache import run_folder
from optbench.sources.git import git, run_git
from optbench.sources.source import SourceError
from optbench.store import StoreError, address
from optbench.whole_files import write_whole

MIB = 2**20

LARGEST = 100 * MIB
"""Size limit of a file in bytes: hosts of repositories refuse larger ones."""

LARGEST_STORE = 2048 * MIB
"""Size limit in bytes of the unpacked store, and of all files of the branch together."""

STORE = "results.sqlite.gz"
NIGHTS = "nights.jsonl"
README = "README.md"

# Neither control characters nor what stands for bytes that are no UTF-8.
_NAME = r"[^./\\:\x00-\x1f\x7f\ud800-\udfff\ufffd][^/\\:\x00-\x1f\x7f\ud800-\udfff\ufffd]*"
LAYOUT = re.compile(
    rf"results\.sqlite\.gz|nights\.jsonl|README\.md|nights/{_NAME}\.json|asv/({_NAME}/)?{_NAME}\.json"
)
"""Names of files on the branch; a branch with any other is refused."""

ABOUT = """\
Results of optbench, kept by `optbench data-branch push` and read by `optbench data-branch pull`.

This branch is one commit without history, replaced after every nightly run. Nothing here is meant
to be changed by hand, or merged.
"""

VARIABLES = {
    # A machine of a CI has no name to commit under.
    **dict.fromkeys(("GIT_AUTHOR_NAME", "GIT_COMMITTER_NAME"), "optbench"),
    **dict.fromkeys(("GIT_AUTHOR_EMAIL", "GIT_COMMITTER_EMAIL"), "optbench@localhost"),
    # A server that sends less than 1000 bytes a second for a minute is given up.
    **{"GIT_HTTP_LOW_SPEED_LIMIT": "1000", "GIT_HTTP_LOW_SPEED_TIME": "60"},
}

AS_THEY_ARE = (("core.autocrlf", "false"), ("core.attributesFile", os.devnull))
"""Settings with which git changes no byte of a file."""

Say = Callable[[str], None]


class DataBranchError(OptbenchError):
    """A data branch that cannot be read or written; the text says why, and what would help."""


class LostRace(DataBranchError):
    """The branch is no longer what was pulled: somebody else pushed."""


@dataclass(frozen=True)
class DataBranch:
    """A branch of a remote, and where what it holds is in the working folder.

    Attributes
    ----------
    repository : Path
        The top of the user's checkout.
    remote, name : str
    store : Path or None
        A SQLite file; None where the store is a database that is kept elsewhere.
    notes : Path
        The folder of ``nights.jsonl`` and ``nights/``.
    asv : Path
        The folder of asv's results.
    """

    repository: Path
    remote: str
    name: str
    store: Path | None
    notes: Path
    asv: Path

    def __post_init__(self) -> None:
        if run_git(self.repository, ("check-ref-format", self._ref))[0]:
            raise DataBranchError(f"--branch {self.name!r} is no valid name of a branch")

    def __str__(self) -> str:
        """As git writes it."""
        return f"{self.remote}/{self.name}"

    def pull(self, say: Say, *, force: bool = False) -> str:
        """Add what the branch holds to what is here; return its commit, "" where there is none.

        Everything is checked before the first file here is written.

        Parameters
        ----------
        force : bool
            Take the branch's where the same run or file is here and differs.
        """
        with run_folder() as folder:
            tip, names = self._clone(folder)
            if not tip:
                say(f"there is no branch {self} yet: the first push makes it")
            told = []
            if STORE in names and self.store is not None:
                merged = merge(folder / "theirs.sqlite", self.store, prefer_source=force)
                told.append(f"{merged}")
            if NIGHTS in names:
                here = _records(self.notes / NIGHTS, say)
                new = [each for each in _lines(folder / "clone" / NIGHTS) if each not in set(here)]
                # In the order in which the nightly runs began.
                both = sorted([*new, *here], key=lambda line: str(json.loads(line).get("started")))
                if new:
                    write_whole(self.notes / NIGHTS, b"\n".join([*both, b""]))
                told.append(f"records of nightly runs: {len(new)} added")
            added = 0
            for name in sorted(names - {STORE, NIGHTS, README}):
                path, content = self._local(name), (folder / "clone" / name).read_bytes()
                before = path.read_bytes() if path.exists() else b""
                if force or not _is_object(before):
                    write_whole(path, content)
                    added += before != content
                elif before != content:
                    say(f"kept, and differs on the branch (--force takes that one): {path}")
            if tip:
                say(f"{self}: {'; '.join([*told, f'files: {added} added'])}")
            self._note(tip)
            return tip

    def push(self, say: Say, *, drop: bool = False) -> str:
        """Make the branch hold what is here, and nothing else; return its commit.

        Parameters
        ----------
        drop : bool
            Also where it would lose runs or files that are missing here.

        Raises
        ------
        LostRace
            Where the branch is no longer what was pulled.
        """
        with run_folder() as folder:
            clone, (tip, there) = folder / "clone", self._clone(folder)
            if tip != self._noted():
                raise self._lost(self._noted(), tip)
            before = self._git(clone, "write-tree")
            runs, files = self._gather(folder, say)
            lost = sorted(there - files - {README})
            if STORE in there & files:
                missing = missing_runs(folder / "theirs.sqlite", folder / "ours.sqlite")
                lost += [f"{missing:,} runs"] * bool(missing)
            if lost and not drop:
                more = f" and {len(lost) - 3} more" if len(lost) > 3 else ""
                raise DataBranchError(
                    f"{self} holds what is missing or damaged here and would be lost: "
                    f"{', '.join(lost[:3])}{more}. fetch it with optbench data-branch pull, or "
                    "discard it with --drop"
                )
            for name in there - files:
                (clone / name).unlink()
            (clone / README).write_text(ABOUT, encoding="utf-8")
            self._git(clone, "add", "--all", "--force")
            tree = self._git(clone, "write-tree")
            if tip and tree == before:
                say(f"{self}: already up to date, nothing to push")
                return tip
            commit = self._git(clone, "commit-tree", tree, "-m", f"Results: {runs:,} runs")
            try:
                self._git(
                    clone, "push", "--quiet", f"--force-with-lease={self._ref}:{tip}",
                    "--no-signed", "--", self._url("--push"), f"{commit}:{self._ref}",
                )  # fmt: skip
            except SourceError as error:
                # Why it was refused is said in words that differ by server; where it is, is not.
                if (now := self._tip(folder)) == tip:
                    raise
                if now != commit:
                    raise self._lost(tip, now) from error
            self._note(commit)
            say(f"{self}: {runs:,} runs, {len(files)} files in all")
            return commit

    def _clone(self, folder: Path) -> tuple[str, set[str]]:
        """Clone the branch's one commit and check it; return the commit and the names of its files.

        Raises
        ------
        DataBranchError
            For a link, a name that leads elsewhere, a branch of somebody's code, damaged files.
        """
        clone = folder / "clone"
        if not self._tip(folder):
            kind = git(self.repository, "rev-parse", "--show-object-format", check=False)
            self._git(folder, "init", "--quiet", "--template=",
                      f"--object-format={kind or 'sha1'}", "clone")  # fmt: skip
            return "", set()
        self._git(folder, "clone", "--quiet", "--no-local", "--depth=1", "--single-branch",
                  f"--branch={self.name}", "--no-tags", "--no-checkout", "--template=", "--",
                  self._url(), "clone")  # fmt: skip
        try:
            names = _plain_names(self._git(clone, "ls-tree", "-rzl", "--full-tree", "HEAD"))
            # Only now that no name and no kind of file can lead out of the folder.
            self._git(clone, "reset", "--quiet", "--hard")
            for name in sorted(names - {STORE, README}):
                lines = _lines(clone / name) if name == NIGHTS else [(clone / name).read_bytes()]
                if not all(map(_is_object, lines)):
                    raise ValueError(f"{name} is damaged: it is no JSON object")
            if STORE in names:
                _unpack(clone / STORE, folder / "theirs.sqlite")
        except (StoreError, ValueError, EOFError, zlib.error, gzip.BadGzipFile) as error:
            said = str(error).replace(str(folder / "theirs.sqlite"), STORE)
            raise DataBranchError(
                f"{self}: {said}. Nothing was changed (docs/tracking.md says how to begin anew)"
            ) from error
        return self._git(clone, "rev-parse", "HEAD"), names

    def _gather(self, folder: Path, say: Say) -> tuple[int, set[str]]:
        """Copy what is here into the clone; return the number of runs and the names of the files.

        Raises
        ------
        DataBranchError
            Where there is nothing, or a file is too large.
        """
        runs, clone = 0, folder / "clone"
        found = {f"nights/{path.name}": path for path in (self.notes / "nights").glob("*.json")}
        for path in (*self.asv.glob("*.json"), *self.asv.glob("*/*.json")):
            found[f"asv/{path.relative_to(self.asv).as_posix()}"] = path
        files = {name: path.read_bytes() for name, path in sorted(found.items())}
        for name in [n for n in files if not (LAYOUT.fullmatch(n) and _is_object(files[n]))]:
            say(f"left out: {found[name]} is no JSON object, or has a name that is not kept")
            del files[name]
        if records := _records(self.notes / NIGHTS, say):
            files[NIGHTS] = b"\n".join([*records, b""])
        if self.store is None:
            say("the store is a database of its own: it is not kept on the branch")
        elif self.store.exists():
            runs = copy_store(self.store, folder / "ours.sqlite")
            # Git compresses as well; but it is the file as it is that hosts limit.
            files[STORE] = gzip.compress((folder / "ours.sqlite").read_bytes(), 6, mtime=0)
        if not files:
            raise DataBranchError(
                f"there is nothing to push: no store at {self.store}, no nightly runs in "
                f"{self.notes}, no results in {self.asv}"
            )
        for name, content in files.items():
            if len(content) > LARGEST:
                raise DataBranchError(
                    f"{name} has {len(content) / MIB:,.0f} MB, and hosts refuse files of more than "
                    f"{LARGEST / MIB:,.0f} MB; nothing was pushed. A large store is kept in a "
                    "database (--store URL)"
                )
            write_whole(clone / name, content)
        return runs, set(files)

    def _local(self, name: str) -> Path:
        """Return where a JSON file of the branch belongs."""
        below_asv = name.removeprefix("asv/")
        return self.notes / name if below_asv == name else self.asv / below_asv

    @property
    def _ref(self) -> str:
        return f"refs/heads/{self.name}"

    def _tip(self, folder: Path) -> str:
        """Return the commit that the branch is at; "" where there is no such branch."""
        out = self._git(folder, "ls-remote", "--", self._url(), self._ref)
        # A pattern also matches the tails of other names.
        tips = [line.split("\t")[0] for line in out.splitlines() if line.endswith(f"\t{self._ref}")]
        return tips[0] if tips else ""

    def _url(self, *options: str) -> str:
        try:
            url = git(self.repository, "remote", "get-url", *options, "--", self.remote)
        except SourceError as error:
            known = ", ".join(git(self.repository, "remote", check=False).split()) or "none"
            raise DataBranchError(
                f"--remote {self.remote}: {self.repository} has no such remote (it has {known})"
            ) from error
        local = self.repository / url
        return str(local) if local.exists() else url

    def _git(self, folder: Path, *arguments: str) -> str:
        return git(folder, *arguments, environment=self._environment)

    @cached_property
    def _environment(self) -> dict[str, str]:
        """Variables with which git reaches the remote from the clone as from the checkout.

        actions/checkout writes a header with a token into the checkout's own configuration, or
        into a file that is included for its ``.git`` alone. In variables no other user sees it.
        """
        found = git(
            self.repository, "config", "--local", "--includes", "-z", "--get-regexp",
            r"^(http|credential)\.|^core\.sshcommand$", check=False,
        )  # fmt: skip
        own = [each.partition("\n") for each in found.split("\0") if each]
        # A key without a value is true.
        settings = [*AS_THEY_ARE, *((key, value if end else "true") for key, end, value in own)]
        first = int(os.environ.get("GIT_CONFIG_COUNT") or 0)
        variables = {name: os.environ.get(name, value) for name, value in VARIABLES.items()}
        for number, (key, value) in enumerate(settings, first):
            variables |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
        return {**variables, "GIT_CONFIG_COUNT": str(first + len(settings))}

    def _lost(self, expected: str, now: str) -> LostRace:
        here = f"is at {now[:12]}" if now else "is gone"
        there = f"was at {expected[:12]} when it was pulled" if expected else "was not pulled here"
        return LostRace(
            f"somebody else pushed: {self} {here} and {there}. Nothing was pushed: "
            "optbench data-branch pull adds what is there to what is here; then push again"
        )

    def _noted(self) -> str:
        """Return the commit that was last pulled or pushed; "" where there is no record of one."""
        path = self.notes / "data-branch.json"
        content = path.read_bytes() if path.exists() else b""
        return str(json.loads(content).get(str(self), "")) if _is_object(content) else ""

    def _note(self, commit: str) -> None:
        path = self.notes / "data-branch.json"
        content = path.read_bytes() if path.exists() else b""
        noted = {**(json.loads(content) if _is_object(content) else {}), str(self): commit}
        write_whole(path, json.dumps(noted, indent=1).encode())


def store_file(url: str) -> Path | None:
    """Return the file of a store; None for a database elsewhere, which no branch has to keep."""
    parsed = address.parsed(url)
    name = parsed.database
    if parsed.get_backend_name() != "sqlite" or not name or name.startswith((":", "file:")):
        return None
    return Path(name)


def _plain_names(listed: str) -> set[str]:
    """Return the names that ``git ls-tree -rzl`` lists, all of them plain files of `LAYOUT`."""
    names, total = set(), 0
    for about, _, name in (line.partition("\t") for line in listed.split("\0") if line):
        mode, _, _, size = about.split()
        if not LAYOUT.fullmatch(name):
            raise ValueError(f"{name!r} is no file of optbench's, so this is no data branch")
        if mode != "100644":
            raise ValueError(f"{name!r} is no plain file (mode {mode})")
        total += int(size)
        if int(size) > LARGEST or total > LARGEST_STORE:
            raise ValueError(f"{name} has {int(size) / MIB:,.0f} MB, and all {total / MIB:,.0f} MB")
        names.add(name)
    return names


def _unpack(packed: Path, path: Path) -> None:
    with gzip.open(packed, "rb") as source, path.open("wb") as file:
        while part := source.read(MIB):
            file.write(part)
            if file.tell() > LARGEST_STORE:
                raise ValueError(f"{STORE} unpacks to more than {LARGEST_STORE / MIB:,.0f} MB")
    check_values(path)


def _is_object(content: bytes) -> bool:
    """Whether it is a whole JSON object."""
    try:
        return isinstance(json.loads(content), dict)
    except (ValueError, RecursionError):
        return False


def _lines(path: Path) -> list[bytes]:
    content = path.read_bytes() if path.exists() else b""
    return [line for line in content.splitlines() if line.strip()]


def _records(path: Path, say: Say) -> list[bytes]:
    """Return the whole lines of a file; a line that a killed run left half is said."""
    whole = [line for line in _lines(path) if _is_object(line)]
    if left := len(_lines(path)) - len(whole):
        say(f"left out of {path}: damaged lines: {left}")
    return whole
