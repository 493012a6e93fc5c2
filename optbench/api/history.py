"""Which commit changed which metric."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from optbench.defaults import ASV_RESULTS, DEFAULT_STORE

if TYPE_CHECKING:
    import pandas as pd

    from optbench.tracking.repository_history import RepositoryHistory


def history(
    repository: str | Path = ".",
    *,
    store: str | Path | None = None,
    asv: str | Path | None = None,
    optimizers: str | Iterable[str] = (),
    problems: str | Iterable[str] = (),
    metrics: str | Iterable[str] = (),
) -> RepositoryHistory:
    """Return the metrics of a repository over its commits, and the commits that changed them.

    Deterministic metrics are compared exactly with the commit measured before; timings by change
    points, from eight commits on. Results of another machine, environment or definition are
    series of their own.

    Parameters
    ----------
    repository : str or Path
        Any folder of a git repository; its first-parent line of commits is looked at.
    store : str, Path or None
        Of `run` or the nightly; the default one of the repository, where it is.
    asv : str, Path or None
        asv's results; those of the repository, where they are.
    optimizers, problems, metrics : str or iterable of str
        Names or globs; all without.

    Returns
    -------
    RepositoryHistory

    Raises
    ------
    OptbenchError
        `NoHistory` (no result of any commit), `SourceError` (no repository), `StoreError`,
        `NoResults`, `WrongAcceptance`, as their texts say.
    """
    from optbench import load
    from optbench.registry import fits
    from optbench.sources import git
    from optbench.tracking.records import codes_of_nights
    from optbench.tracking.repository_history import load_history

    where = Path(repository)
    top = git.top_level(where)
    own_store, own_asv = top / DEFAULT_STORE, top / ASV_RESULTS
    used = str(store) if store else str(own_store) if own_store.exists() else None
    wanted = {
        column: [given] if isinstance(given, str) else [*given]
        for column, given in (
            ("optimizer", optimizers),
            ("problem", problems),
            ("metric", metrics),
        )
    }

    def chosen(values: pd.DataFrame) -> pd.Series[bool]:
        keep = values["metric"].notna()
        for column, patterns in wanted.items():
            if patterns:
                keep &= values[column].map(
                    lambda name, patterns=patterns: any(fits(name, each) for each in patterns)
                )
        return keep

    return load_history(
        where,
        store=load(used) if used is not None else None,
        asv=Path(asv) if asv else own_asv if own_asv.is_dir() else None,
        nights=codes_of_nights(used),
        baseline=_last_passed(where, top, used),
        chosen=chosen,
    )


def _last_passed(repository: Path, top: Path, store: str | None) -> str | None:
    """Return the commit of the last nightly run that passed, where there were some."""
    from optbench.tracking.commits import first_parents
    from optbench.tracking.records import folder_of, last_passed

    own = (top / DEFAULT_STORE).parent
    folder = folder_of(store, own) if store else own
    return last_passed(folder, frozenset(first_parents(repository)["commit"]))
