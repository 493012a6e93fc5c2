"""The optimizers of a repository, found by importing it, in a process of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from optbench.comparison.requests import Failure, Find, Found, Meet
from optbench.comparison.sides import START_S, SideProcess
from optbench.scaffold.changes import ScaffoldError
from optbench.scaffold.repository import Repository
from optbench.scenarios.catalogue import Description
from optbench.sources import SourceError, prepare
from optbench.sources.cache import run_folder
from optbench.sources.source import WORKING_TREE

SHOWN = 8
"""Reasons that are told of a repository without an optimizer."""


@dataclass(frozen=True)
class Optimizers:
    """What a repository has.

    Attributes
    ----------
    patterns : tuple of str
        What stands for them in ``[tool.optbench]``.
    targets : tuple of str
        Those that can be constructed from parameters and a learning rate.
    trained : tuple of str
        Of these, those that can be trained.
    untrained : mapping
        Of these, those that cannot be, to the reason.
    left_out : mapping
        Target to the reason, of those that cannot be constructed.
    not_imported : mapping
        Module or pattern to the reason.
    """

    patterns: tuple[str, ...]
    targets: tuple[str, ...]
    trained: tuple[str, ...]
    untrained: dict[str, str]
    left_out: dict[str, str]
    not_imported: dict[str, str]


def find_optimizers(
    repository: Repository,
    targets: Sequence[str] = (),
    tell: Callable[[str], None] = lambda _: None,
) -> Optimizers:
    """Import the working tree and try every optimizer that is asked for, or that it exports.

    Raises
    ------
    ScaffoldError
        Where no package or no optimizer is, with what was looked at.
    """
    configuration = repository.configuration
    asked = tuple(targets or configuration.optimizers)
    with run_folder() as folder:
        try:
            tree = prepare(
                WORKING_TREE,
                folder / "tree",
                repository=repository.root,
                path=configuration.path,
                install=configuration.install,
            )
        except SourceError as error:
            raise ScaffoldError(
                f"{error}\n  --path and --install are path and install in [tool.optbench] here"
            ) from error
        # Another version that is on the path, by an editable install, is not what lies here.
        side = SideProcess(replace(tree, foreign=(repository.root,)), folder)
        try:
            tell("importing")
            found = side.ask(Find(asked), START_S)
            if isinstance(found, Failure):
                raise ScaffoldError(f"{', '.join(tree.packages)} cannot be imported: {found.text}")
            assert isinstance(found, Found)
            if not found.targets or (targets and found.refused):
                raise ScaffoldError(_nothing(found, tree.packages, str(tree.path)))
            met = {}
            # Sorted: a glob gives them as they are exported, and a list as it is written.
            for target in sorted(set(found.targets)):
                tell(f"trying {target}")
                side.refresh()
                met[target] = side.ask(Meet(target))
        finally:
            side.end()
    fit = {name: each for name, each in met.items() if isinstance(each, Description)}
    # What would help compare and check, an option of theirs, has no place in a file.
    reasons = {
        name: each.text.partition(": --set")[0]
        for name, each in met.items()
        if isinstance(each, Failure)
    }
    if not fit:
        lines = [f"  {name}: {reason}" for name, reason in list(reasons.items())[:SHOWN]]
        raise ScaffoldError(
            "\n".join(["no optimizer can be constructed from parameters and lr alone:", *lines])
        )
    untrained = {name: why for name, each in fit.items() if (why := _why_untrained(each))}
    return Optimizers(
        patterns=asked or _patterns(tuple(met)),
        targets=tuple(fit),
        trained=tuple(name for name in fit if name not in untrained),
        untrained=untrained,
        left_out=reasons,
        not_imported=dict(found.refused),
    )


def _why_untrained(met: Description) -> str:
    """Return what an optimizer requires that benchmarks cannot give, or an empty string."""
    if met.wants.graph:
        return "it differentiates the gradient, which the training loop does not keep"
    if not met.trainable:
        return "its constructor takes no lr"
    return "it takes matrices only" if met.wants.matrices else ""


def _patterns(targets: Sequence[str]) -> tuple[str, ...]:
    """Return targets for all of them: a glob where one module has them, so that new ones count."""
    modules = {target.partition(":")[0] for target in targets}
    return (f"{modules.pop()}:*",) if len(modules) == 1 else tuple(targets)


def _nothing(found: Found, packages: Sequence[str], path: str) -> str:
    lines = [f"no optimizer class was found in {path}"]
    if found.targets:
        lines = ["not every optimizer that was asked for is there"]
    lines += [f"  {name}: {reason}" for name, reason in found.refused[:SHOWN]]
    if len(found.refused) > SHOWN:
        lines.append(f"  and {len(found.refused) - SHOWN} more")
    if not found.refused:
        lines.append(f"  looked into {', '.join(packages)}, and what is in it")
    lines.append(
        "  -o package.module:Class names one; path in [tool.optbench] the folder packages are in"
    )
    return "\n".join(lines)
