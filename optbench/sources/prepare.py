"""From a source to a tree: the one door to git and pip."""

from __future__ import annotations

from pathlib import Path

from optbench.sources import git, pip
from optbench.sources.source import Kind, Source, SourceError
from optbench.sources.tree import Tree, importable, packages_in


def prepare(
    source: Source,
    folder: Path,
    *,
    repository: Path | None = None,
    path: str | None = None,
    install: bool = False,
) -> Tree:
    """Make a source importable.

    Parameters
    ----------
    source : Source
    folder : Path
        Where to check out and install; one for each source, not yet there.
    repository : Path
        Any folder in the repository of revisions and the working tree.
    path : str
        The folder of a checkout that goes on the path; found by `importable` without.
    install : bool
        Build and install a checkout, for what cannot be imported as it lies.

    Raises
    ------
    SourceError
    """
    if source.kind is Kind.PIP:
        site = pip.installed(source.what, folder)
        version, packages = pip.what_was_installed(site)
        return Tree(str(source), site, packages, version)
    checkout, version, note = _checkout(source, folder, repository)
    if install:
        site = pip.built(checkout, folder.with_name(f"{folder.name}-site"))
        _, packages = pip.what_was_installed(site)
        return Tree(str(source), site, packages, version, note)
    on_path = importable(checkout, path)
    packages = packages_in(on_path, checkout)
    if not packages:
        raise SourceError(
            f"{source}: no package in {on_path}; --path names the folder that they are in"
        )
    return Tree(str(source), on_path, packages, version, note)


def _checkout(source: Source, folder: Path, repository: Path | None) -> tuple[Path, str, str]:
    """The folder with the files, the commit, and what is to be said about it."""
    if source.kind is Kind.FOLDER:
        checkout = Path(source.what).expanduser().resolve()
        if not checkout.is_dir():
            raise SourceError(f"{source}: no such folder")
        return checkout, "", ""
    home = git.top_level(repository or Path.cwd())
    if source.kind is Kind.WORKING_TREE:
        return home, git.git(home, "rev-parse", "HEAD", check=False), git.status_note(home)
    commit = git.resolve(home, source.what)
    git.check_out(git.borrow(home, folder), commit)
    note = "submodules are left out" if (folder / ".gitmodules").exists() else ""
    return folder, commit, note
