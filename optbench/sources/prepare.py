"""From a source to a tree: the one door to git and pip."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from optbench.sources import git
from optbench.sources.environments import environment
from optbench.sources.overlays import OF_PYTORCH, laid_over, overlay_in
from optbench.sources.source import WITHOUT_GIT, Kind, Source, SourceError, existing
from optbench.sources.tree import Tree, importable, packages_in


def prepare(
    source: Source,
    folder: Path,
    *,
    repository: Path | None = None,
    path: str | None = None,
    install: bool = False,
    overlay: str = "",
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
    overlay : str
        A module whose folder is laid over the installed package; ``torch.optim`` without, where
        the source is a checkout of PyTorch.

    Raises
    ------
    SourceError
    """
    # Its libraries are in the judge's environment only, and a side imports this module, too.
    from optbench.sources import pip

    if source.kind is Kind.ENVIRONMENT:
        return environment(source)
    if source.kind is Kind.PIP:
        if overlay := overlay or (OF_PYTORCH if pip.names(source.what, "torch") else ""):
            part = Tree(str(source), pip.part_of(source.what, overlay), ())
            return laid_over(part, overlay, folder)
        site = pip.installed(source.what, folder)
        version, packages = pip.what_was_installed(site)
        return Tree(str(source), site, packages, version)
    checkout, version, note = _checkout(source, folder, repository)
    if install:
        if source.kind is not Kind.REVISION:
            try:
                checkout = _copied(checkout, folder.resolve())
            except OSError as error:
                raise SourceError(f"{source} cannot be copied to be built: {error}") from error
        site = pip.built(checkout, folder.with_name(f"{folder.name}-site"), called=str(source))
        _, packages = pip.what_was_installed(site)
        return Tree(str(source), site, packages, version, note)
    on_path = importable(checkout, path)
    if overlay := overlay or overlay_in(on_path):
        return laid_over(Tree(str(source), on_path, (), version, note), overlay, folder)
    packages = packages_in(on_path, checkout)
    if not packages:
        raise SourceError(
            f"{source}: no package in {on_path}; --path names the folder that they are in"
        )
    return Tree(str(source), on_path, packages, version, note)


def _checkout(source: Source, folder: Path, repository: Path | None) -> tuple[Path, str, str]:
    """Return the folder with the files, the commit, and what is to be said about it."""
    if source.kind is Kind.FOLDER:
        checkout = existing(source.what)
        if checkout is None or not checkout.is_dir():
            raise SourceError(f"{source}: no such folder")
        return checkout.resolve(), "", ""
    home = git.top_level(repository or Path.cwd(), otherwise=WITHOUT_GIT)
    if source.kind is Kind.WORKING_TREE:
        return home, git.git(home, "rev-parse", "HEAD", check=False), git.status_note(home)
    commit = git.resolve(home, source.what)
    git.check_out(git.borrow(home, folder), commit)
    note = "submodules are left out" if (folder / ".gitmodules").exists() else ""
    return folder, commit, note


def _copied(checkout: Path, folder: Path) -> Path:
    """Copy the user's folder into ``folder``: a build leaves files where it is run.

    Gives the copy of the checkout, below ``folder`` where the checkout is a part of a repository.
    """
    try:
        home = git.top_level(checkout).resolve()
        files = git.listed(home)
    except SourceError:
        home, files = checkout, []
    # A folder that the repository ignores is as good as one without a repository.
    own = checkout.relative_to(home) if checkout.is_relative_to(home) else None
    if own is None or not any(file.is_relative_to(own) for file in files):
        shutil.copytree(checkout, folder, symlinks=True, ignore=_left_out(checkout, folder))
        return folder
    _borrow_with_index(home, folder)
    for file in files:
        _copy(home / file, folder / file, folder)
    return folder / own


def _borrow_with_index(home: Path, folder: Path) -> None:
    """Make a repository of the files: builders ask git for versions and files."""
    git.borrow(home, folder)
    commit = git.git(home, "rev-parse", "--verify", "--quiet", "HEAD", check=False)
    if commit:
        git.git(folder, "update-ref", "--no-deref", "HEAD", commit)
        git.git(folder, "read-tree", commit)


def _copy(file: Path, target: Path, folder: Path) -> None:
    if not os.path.lexists(file) or file.is_relative_to(folder):
        return  # deleted and not yet committed; or the copy itself
    target.parent.mkdir(parents=True, exist_ok=True)
    if file.is_dir() and not file.is_symlink():  # a submodule, or a repository that is none yet
        shutil.copytree(file, target, symlinks=True, ignore=_left_out(file, folder))
    else:
        shutil.copy2(file, target, follow_symlinks=False)


def _left_out(top: Path, folder: Path) -> Callable[[str, list[str]], set[str]]:
    """Return what is not copied: the copy itself, repositories, environments, build products."""

    def left_out(directory: str, names: list[str]) -> set[str]:
        here = Path(directory)
        made = {"build", "dist"} if here == top else set()
        return {
            name
            for name in names
            if name in {".git", "__pycache__", ".tox", ".nox", *made}
            or (here / name / "pyvenv.cfg").exists()
            or here / name == folder
        }

    return left_out
