"""A revision of a repository, checked out beside it.

The checkout is a repository of its own that borrows the objects of the user's: nothing is written
into that one, no worktree, no ref, no index, so that there is nothing to clean up in it.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from optbench.plain_text import shown
from optbench.sources.source import SourceError


def git(
    folder: Path,
    *arguments: str,
    check: bool = True,
    environment: Mapping[str, str] | None = None,
) -> str:
    """Return git's answer in a folder, without the final line end; with these variables set.

    Raises
    ------
    SourceError
        Where git is missing, or fails and ``check`` is set.
    """
    code, out, error = run_git(folder, arguments, environment)
    if check and code:
        raise SourceError(f"git {arguments[0]}: {error or out or f'exit status {code}'}")
    return out if not code else ""


def run_git(
    folder: Path, arguments: Sequence[str], environment: Mapping[str, str] | None = None
) -> tuple[int, str, str]:
    """Exit status, output and errors of git in a folder."""
    answer = _answer(folder, arguments, environment)
    out, error = (part.decode("utf-8", errors="replace") for part in (answer.stdout, answer.stderr))
    # Of what it answers only the line's end: a path may begin and end with a space.
    return answer.returncode, out.rstrip("\n"), error.strip()


def _answer(
    folder: Path, arguments: Sequence[str], variables: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[bytes]:
    # Without prompts and large files; and whoever calls from a hook has set variables that
    # would send us to the user's index.
    environment = {k: v for k, v in os.environ.items() if k not in _POINTERS}
    environment |= {"GIT_LFS_SKIP_SMUDGE": "1", "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C",
                    "GIT_OPTIONAL_LOCKS": "0", **(variables or {})}  # fmt: skip
    try:
        return subprocess.run(
            ["git", "-c", "advice.detachedHead=false", "-c", "core.hooksPath=/dev/null",
             # A program that git runs where it is only asked: of a stranger's .git/config.
             "-c", "core.fsmonitor=false", "-C", str(folder), *arguments],
            capture_output=True, check=False, env=environment,
        )  # fmt: skip
    except ValueError as error:  # a zero byte, half a character
        asked = shown(" ".join(arguments))
        raise SourceError(f"git {asked} is nothing that a program can be told") from error
    except FileNotFoundError as error:
        raise SourceError("git is not installed, or not on the PATH") from error


_POINTERS = frozenset(
    ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_PREFIX",
     "GIT_COMMON_DIR", "GIT_NAMESPACE", "GIT_ALTERNATE_OBJECT_DIRECTORIES")
)  # fmt: skip


def top_level(folder: Path, *, otherwise: str = "") -> Path:
    """Return the checkout that a folder is in; ``otherwise`` is what can be done without one.

    Raises
    ------
    SourceError
        Where it is in none.
    """
    if not folder.is_dir():
        raise SourceError(f"--repo {folder}: no such folder")
    code, out, error = run_git(folder, ("rev-parse", "--show-toplevel"))
    if code or not out:
        # Git's own words where they are about something else: a repository of another owner.
        detail = f" ({error})" if error and "not a git repository" not in error else ""
        raise SourceError(f"{folder} is in no git repository{detail}: give --repo{otherwise}")
    return Path(out)


def resolve(repository: Path, revision: str) -> str:
    """Return the full hash of the commit that a revision names.

    Raises
    ------
    SourceError
        With the nearest names, or the way to deepen a shallow clone.
    """
    # What follows ``:/`` is sought in the subjects to its end, and finds only commits.
    asked = revision if revision.startswith(":/") else f"{revision}^{{commit}}"
    code, out, _ = run_git(
        repository, ("rev-parse", "--verify", "--quiet", "--end-of-options", asked)
    )
    # Of what is excluded git gives the hash too, with the ^ before it.
    if not code and out and not out.startswith("^"):
        return out.splitlines()[0]
    text = f"{shown(revision)} is not a commit of {repository}"
    if _is_range(revision):
        raise SourceError(f"{text}: a range is not a revision, give BASE and HEAD apart")
    if is_shallow(repository):
        raise SourceError(
            f"{text}, which is a shallow clone and may lack it: git fetch --unshallow gets the "
            "whole history (in CI: fetch-depth: 0)"
        )
    code, out, _ = run_git(repository, ("rev-parse", "--verify", "--quiet", "HEAD"))
    if code:
        raise SourceError(f"{text}: it has no commit yet")
    names = git(
        repository, "for-each-ref", "--format=%(refname:short)", "refs/heads", "refs/tags",
        "refs/remotes", check=False,
    ).splitlines()  # fmt: skip
    import difflib

    near = difflib.get_close_matches(revision, names, n=3, cutoff=0.5)
    hint = f"; did you mean {' or '.join(near)}?" if near else " (git log --oneline shows them)"
    if any(name.endswith(f"/{revision}") for name in names):
        full = next(name for name in names if name.endswith(f"/{revision}"))
        hint = f"; did you mean {full}? (there is no local branch of that name)"
    raise SourceError(text + hint)


def _is_range(revision: str) -> bool:
    """Whether it is what git takes for several commits: ``a..b``, ``^a``; no path, no search."""
    if revision.startswith(":/") or "^{/" in revision:
        return False
    return revision.startswith("^") or bool(re.search(r"(?<![/.])\.{2,3}(?![/.])", revision))


def is_shallow(repository: Path) -> bool:
    """Whether some of the history was left out when it was cloned."""
    return git(repository, "rev-parse", "--is-shallow-repository", check=False) == "true"


def borrow(repository: Path, folder: Path) -> Path:
    """Make a repository in ``folder`` that reads the objects of another; return ``folder``."""
    folder.mkdir(parents=True)
    # Of the same kind of hashes; of templates, which may bring hooks, none.
    kind = git(repository, "rev-parse", "--show-object-format", check=False) or "sha1"
    git(folder, "init", "--quiet", "--template=", f"--object-format={kind}", ".")
    objects = Path(git(repository, "rev-parse", "--git-path", "objects"))
    objects = objects if objects.is_absolute() else (repository / objects)
    info = folder / ".git" / "objects" / "info"
    info.mkdir(parents=True, exist_ok=True)
    (info / "alternates").write_text(f"{_quoted(objects.resolve())}\n", encoding="utf-8")
    shallow = Path(git(repository, "rev-parse", "--git-path", "shallow"))
    shallow = shallow if shallow.is_absolute() else (repository / shallow)
    if shallow.exists():
        (folder / ".git" / "shallow").write_bytes(shallow.read_bytes())
    return folder


def _quoted(path: Path) -> str:
    """Return a path on one line, quoted as in C where it would not be one."""
    text = str(path)
    if "\n" not in text and not text.startswith(('"', "#")):
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def check_out(checkout: Path, commit: str) -> None:
    """Make a borrowing repository's files those of a commit.

    Raises
    ------
    SourceError
        Where objects are missing (a partial clone), or the disk is full.
    """
    code, _, error = run_git(checkout, ("checkout", "--quiet", "--force", "--detach", commit))
    if code:
        hint = (
            ": the repository is a partial clone, fetch what it lacks with git fetch --refetch"
            if "missing" in error or "unable to read" in error
            else ""
        )
        raise SourceError(f"cannot check out {commit[:12]}{hint}\n{error}")


def listed(checkout: Path) -> list[Path]:
    """Return the relative paths of a checkout's files that are tracked or not ignored."""
    answer = _answer(checkout, ("ls-files", "-z", "--cached", "--others", "--exclude-standard"))
    if answer.returncode:
        said = answer.stderr.decode("utf-8", errors="replace").strip()
        raise SourceError(f"git ls-files: {said or f'exit status {answer.returncode}'}")
    # While a merge has conflicts, a file is named once for each version of it.
    names = dict.fromkeys(answer.stdout.split(b"\0"))
    return [Path(os.fsdecode(name)) for name in names if name]


def status_note(repository: Path) -> str:
    """Describe uncommitted changes; an empty string where there are none."""
    changed = git(repository, "status", "--porcelain", check=False).splitlines()
    return f"{len(changed)} uncommitted change{'s' * (len(changed) != 1)}" if changed else ""
