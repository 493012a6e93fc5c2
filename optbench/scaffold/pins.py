"""The requirements that asv installs into its environments, each with its version."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, distribution, requires, version

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from optbench.scaffold.changes import ScaffoldError
from optbench.scaffold.repository import ASV, Repository

FIRST = ("torch", "numpy")
"""Installed before what needs them: asv installs one after the other, and the first that wants
torch would bring the newest one."""

JUDGE = "optbench"

ASV_URL = re.compile(r"git\+https://[\w./-]+(@[\w./-]+)?", flags=re.ASCII)
"""What asv 0.6.6 takes for one; of others it makes something else, and says nothing."""


def optbench_requirement(text: str | None) -> Requirement:
    """``--optbench``, by default this version.

    Raises
    ------
    ScaffoldError
        Where asv could not install it.
    """
    try:
        read = Requirement(text or f"{JUDGE}=={version(JUDGE)}")
    except InvalidRequirement as error:
        raise ScaffoldError(_wrong(str(text))) from error
    known = read.url is None or ASV_URL.fullmatch(read.url)
    if canonicalize_name(read.name) != JUDGE or read.marker or not known or len(read.specifier) > 1:
        raise ScaffoldError(_wrong(str(text)))
    return read


def matrix(repository: Repository, judge: Requirement) -> tuple[dict[str, list[str]], list[str]]:
    """Package to the one version that asv tries; and what the user has to know about it.

    Of optbench and of the repository's own package the run-time dependencies are in it, as both
    are installed without.
    """
    notes: list[str] = []
    own = repository.dependencies
    if own is None:
        try:
            own = requires(repository.name) or []
        except PackageNotFoundError:
            own = []
            notes.append(
                f"{ASV}: the dependencies of {repository.name} are not in pyproject.toml, and "
                "it is not installed: add to matrix.req what it imports"
            )
    names = dict.fromkeys(
        name
        for name in (*FIRST, *_needed(requires(JUDGE) or ()), *_needed(own))
        if name not in (JUDGE, canonicalize_name(repository.name))
    )
    pins: dict[str, list[str]] = {}
    for name in names:
        try:
            # Of 2.13.0+cpu every index has the 2.13.0.
            pins |= _pinned(f"{name}=={Version(version(name)).public}")
        except PackageNotFoundError:
            pins[name] = []
            notes.append(f"{ASV}: {name} is not installed here, and so has no version there")
    if canonicalize_name(repository.name) != JUDGE:
        pins |= {JUDGE: [judge.url]} if judge.url else _pinned(f"{JUDGE}{judge.specifier}")
    notes += [
        f"{ASV}: asv 0.6.6 misreads {each!r} in [build-system] requires, it knows neither "
        "extras nor markers: its environments will fail until it is written without"
        for each in repository.build_requires
        if "[" in each or ";" in each
    ]
    return pins, notes


def _needed(requirements: Iterable[str]) -> list[str]:
    """Names of what is needed here and without an extra."""
    try:
        read = [Requirement(each) for each in requirements]
    except InvalidRequirement as error:
        raise ScaffoldError(f"pyproject.toml: a dependency that is none: {error}") from error
    # Without an extra, a marker that asks for one is false.
    fitting = [each for each in read if each.marker is None or each.marker.evaluate({"extra": ""})]
    return [canonicalize_name(each.name) for each in fitting]


def _pinned(requirement: str) -> dict[str, list[str]]:
    """As asv 0.6.6 reads it: a bare version behind the name, whatever else in the name itself.

    Behind the name it takes ``>=1.2`` for ``==1.2``, and ``1.2.post1`` for ``1.2``.
    """
    name, _, pin = requirement.partition("==")
    if re.fullmatch(r"\d+(\.\d+)*[a-zA-Z0-9]*", pin):
        return {name: [pin]}
    return {requirement: []}


def _wrong(text: str) -> str:
    return (
        f"--optbench {text!r} is nothing that asv could install: it takes optbench==VERSION, "
        "optbench>=VERSION, or optbench @ git+https://HOST/PATH@TAG"
    )


def not_from_an_index(name: str) -> str:
    """Where else a distribution was installed from (PEP 610); empty for one of an index."""
    try:
        text = distribution(name).read_text("direct_url.json")
    except PackageNotFoundError:
        return ""
    return "" if text is None else str(json.loads(text).get("url", "somewhere"))
