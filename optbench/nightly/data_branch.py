"""A branch that holds results and no history, read and written beside the user's repository.

Objects are made and received in a repository of our own that borrows the user's. Only the transfer
itself runs in the user's, with our folder for objects, because what lets it talk to the remote is
written there: actions/checkout puts a header into its local configuration, or into a file that is
included for its ``.git`` alone. It writes no object, ref, index or FETCH_HEAD there.
"""

from __future__ import annotations

import functools
import os
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from optbench.errors import OptbenchError
from optbench.sources.git import borrow, git
from optbench.sources.source import SourceError

IDENTITY = {
    f"GIT_{who}_{what}": value
    for who in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "optbench"), ("EMAIL", "optbench@localhost"))
}
"""Of the commits: a machine of a CI has no name, and these are nobody's work."""

PATIENCE = {"GIT_HTTP_LOW_SPEED_LIMIT": "1000", "GIT_HTTP_LOW_SPEED_TIME": "60"}
"""A server that sends less than 1000 bytes a second for a minute is given up."""


class DataBranchError(OptbenchError):
    """A data branch that cannot be read or written; the text says why, and what would help."""


class LostRace(DataBranchError):
    """The branch is no longer what was fetched: somebody else's results are there."""


class Entry(NamedTuple):
    """A file of a commit, as ``git ls-tree`` tells of it.

    Attributes
    ----------
    mode : str
        ``100644`` for a plain file.
    digest : str
        Of its content.
    size : int
        In bytes; -1 for what is no file.
    path : str
        Whatever somebody wrote there: not to be trusted.
    """

    mode: str
    digest: str
    size: int
    path: str


@dataclass(frozen=True)
class DataBranch:
    """A branch of a remote.

    Attributes
    ----------
    repository : Path
        The user's checkout, its top.
    remote : str
        Its name in that repository.
    name : str
    """

    repository: Path
    remote: str
    name: str

    def __post_init__(self) -> None:
        if _answer(self.repository, ("check-ref-format", self._ref)).returncode:
            raise DataBranchError(f"--branch {self.name!r}: git has no branches of such a name")

    def __str__(self) -> str:
        """As git writes it."""
        return f"{self.remote}/{self.name}"

    @property
    def _ref(self) -> str:
        return f"refs/heads/{self.name}"

    def tip(self) -> str:
        """The commit that it is at; the empty string where there is no such branch yet."""
        out = self._talk(("ls-remote", "--", self._url(), self._ref)).decode("utf-8", "replace")
        # A pattern also matches the tails of other names.
        tips = [line.split("\t")[0] for line in out.splitlines() if line.endswith(f"\t{self._ref}")]
        return tips[0] if tips else ""

    def aside(self, folder: Path) -> Aside:
        """The repository of our own, in a folder that is made for it."""
        return Aside(borrow(self.repository, folder))

    def download(self, aside: Aside) -> str:
        """Bring the branch's commit; gives it, or the empty string where there is none."""
        for attempt in range(3):
            tip = self.tip()
            if not tip:
                return ""
            # By its hash, which needs no ref to be remembered under. From the URL and not the
            # remote's name, which would move the user's refs/remotes as well.
            fetch = (
                "fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-auto-maintenance",
                "--no-prune", "--no-recurse-submodules", "--no-filter", "--no-write-commit-graph",
                "--refmap=", "--", self._url(), tip,
            )  # fmt: skip
            try:
                self._talk(fetch, aside)
            except DataBranchError:
                # Replaced since it was looked up, and gone, as nothing else holds it.
                if attempt == 2 or self.tip() == tip:
                    raise
                continue
            return tip
        raise AssertionError("not reached")

    def push(self, aside: Aside, commit: str, expected: str) -> None:
        """Put the branch on a commit, if it still is at ``expected`` (empty: not there yet).

        Raises
        ------
        LostRace
            Where it is somewhere else by now.
        """
        push = (
            "push", "--quiet", f"--force-with-lease={self._ref}:{expected}", "--no-signed",
            "--recurse-submodules=no", "--", self._url("--push"), f"{commit}:{self._ref}",
        )  # fmt: skip
        try:
            self._talk(push, aside)
        except DataBranchError as error:
            # Why it was refused is said in words that differ by server; where it is, is not.
            now = self.tip()
            if now == commit:
                return
            if now != expected:
                raise LostRace(moved(self, expected, now)) from error
            raise

    def _url(self, *options: str) -> str:
        try:
            return git(self.repository, "remote", "get-url", *options, "--", self.remote)
        except SourceError as error:
            names = git(self.repository, "remote", check=False).split()
            known = f"there is {', '.join(names)}" if names else "it has none"
            raise DataBranchError(
                f"--remote {self.remote}: {self.repository} has no such remote ({known})"
            ) from error

    def _talk(self, arguments: Sequence[str], aside: Aside | None = None) -> bytes:
        """What git answers in the user's repository, where objects are kept aside."""
        objects = {"GIT_OBJECT_DIRECTORY": str(aside.objects)} if aside else {}
        answer = _answer(self.repository, arguments, objects)
        if answer.returncode:
            said = answer.stderr.decode("utf-8", "replace").strip()
            raise DataBranchError(
                f"git {arguments[0]} {self.remote}: {said or f'exit status {answer.returncode}'}"
            )
        return answer.stdout


def moved(branch: DataBranch, expected: str, now: str) -> str:
    """What is told to whom somebody else was faster."""
    here = f"at {now[:12]}" if now else "gone"
    there = f"was at {expected[:12]} when it was fetched" if expected else "was not fetched here"
    return (
        f"{branch} is {here} and {there}: nothing was pushed. "
        "optbench results fetch adds what is there to what is here; then push again"
    )


@dataclass(frozen=True)
class Aside:
    """A repository of our own that borrows the objects of the user's.

    Attributes
    ----------
    folder : Path
    """

    folder: Path

    @property
    def objects(self) -> Path:
        """Where its objects are."""
        return self.folder / ".git" / "objects"

    def entries(self, commit: str) -> list[Entry]:
        """Every file of a commit."""
        out = self._ask("ls-tree", "-r", "-z", "-l", "--full-tree", commit)
        entries = []
        for line in filter(None, out.split(b"\0")):
            about, _, path = line.partition(b"\t")
            mode, _, digest, size = about.decode("ascii").split()
            length = int(size) if size.isdigit() else -1
            entries.append(Entry(mode, digest, length, os.fsdecode(path)))
        return entries

    def tree(self, commit: str) -> str:
        """What names a commit's content."""
        return self._ask("rev-parse", f"{commit}^{{tree}}").decode("ascii").strip()

    def contents(self, entries: Sequence[Entry]) -> Iterator[tuple[Entry, bytes]]:
        """Each file with its content, one at a time in memory."""
        asked = "".join(f"{entry.digest}\n" for entry in entries).encode("ascii")
        with tempfile.TemporaryFile(dir=self.folder) as file:
            answer = _answer(
                self.folder, ("cat-file", "--batch"), stdin=asked, stdout=file.fileno()
            )
            _succeed(answer, "cat-file")
            file.seek(0)
            for entry in entries:
                head = file.readline().split()
                if head[1:] != [b"blob", str(entry.size).encode("ascii")]:
                    raise DataBranchError(f"git cat-file {entry.digest}: it is not there")
                yield entry, file.read(entry.size)
                file.read(1)

    def commit(self, files: Mapping[str, Path], message: str) -> str:
        """A commit without parent of these files: name in it to where the content lies."""
        names = sorted(files)
        paths = "".join(f"{files[name]}\n" for name in names).encode("utf-8")
        out = self._ask("hash-object", "-w", "--no-filters", "--stdin-paths", stdin=paths)
        lines = [
            f"100644 {digest}\t{name}\0"
            for name, digest in zip(names, out.decode("ascii").split(), strict=True)
        ]
        self._ask("read-tree", "--empty")
        self._ask("update-index", "-z", "--index-info", stdin=os.fsencode("".join(lines)))
        tree = self._ask("write-tree").decode("ascii").strip()
        out = self._ask("commit-tree", tree, stdin=message.encode("utf-8"), extra=IDENTITY)
        return out.decode("ascii").strip()

    def _ask(
        self, *arguments: str, stdin: bytes = b"", extra: Mapping[str, str] | None = None
    ) -> bytes:
        answer = _answer(self.folder, arguments, extra or {}, stdin)
        _succeed(answer, arguments[0])
        return answer.stdout


def _succeed(answer: subprocess.CompletedProcess[bytes], command: str) -> None:
    if answer.returncode:
        said = answer.stderr.decode("utf-8", "replace").strip()
        raise DataBranchError(f"git {command}: {said or f'exit status {answer.returncode}'}")


def _answer(
    folder: Path,
    arguments: Sequence[str],
    extra: Mapping[str, str] | None = None,
    stdin: bytes = b"",
    stdout: int = subprocess.PIPE,
) -> subprocess.CompletedProcess[bytes]:
    # What a hook has set would send us to its repository; its configuration is the user's wish.
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in _of_one_repository() or name.startswith("GIT_CONFIG")
    }
    environment = {**PATIENCE, **environment, "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C",
                   "GIT_OPTIONAL_LOCKS": "0", **(extra or {})}  # fmt: skip
    return subprocess.run(
        ["git", "-c", "core.hooksPath=/dev/null", "-c", "gc.auto=0", "-c", "maintenance.auto=false",
         "-c", "core.splitIndex=false", "-C", str(folder), *arguments],
        input=stdin, stdout=stdout, stderr=subprocess.PIPE, check=False, env=environment,
    )  # fmt: skip


@functools.cache
def _of_one_repository() -> frozenset[str]:
    """The variables that say which repository git works on, as git lists them."""
    return frozenset(git(Path.cwd(), "rev-parse", "--local-env-vars").split())
