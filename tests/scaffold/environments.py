"""Environments that have what this one has, without an install: a test asks no network.

What is left out of a real run is the download of torch, optbench and the rest. The library is
installed by pip, its wheels are built by pip, asv makes its virtualenvs itself; only what they
would fetch is found in the environment of the tests instead.
"""

from __future__ import annotations

import json
import os
import sys
import sysconfig
import venv
from pathlib import Path

import optbench

PLACES = (sysconfig.get_path("purelib"), str(Path(optbench.__file__).parents[1]))
"""Of everything that is installed here, and of optbench, which may be here as it lies."""

OFFLINE = {
    "PIP_NO_INDEX": "1",
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    # make's, of a file that pip would look for wherever it stands.
    "PIP_CONSTRAINT": "",
    # pip's way to say that there is none: the builder is the one that is here.
    "PIP_NO_BUILD_ISOLATION": "0",
}


def runner(folder: Path) -> dict[str, str]:
    """A Python as a runner has it, with ``optbench`` and ``asv`` as if they were installed.

    Gives the variables of its steps. Its home is empty, git knows nobody.
    """
    place = folder / "python"
    venv.create(place, with_pip=False, symlinks=True)
    commands = place / "bin"
    (site,) = (place / "lib").glob("python*/site-packages")
    (site / "here.pth").write_text("\n".join(PLACES) + "\n", "utf-8")
    for name in ("optbench", "asv"):
        (commands / name).write_text(f'#!/bin/sh\nexec "{commands}/python" -m {name} "$@"\n')
        (commands / name).chmod(0o755)
    home = folder / "home"
    home.mkdir()
    return {
        **OFFLINE,
        "PATH": os.pathsep.join([str(commands), os.environ["PATH"]]),
        "HOME": str(home),
        "OPTBENCH_CACHE": str(folder / "cache"),
        "GIT_CONFIG_GLOBAL": str(home / "gitconfig"),
        "GIT_CONFIG_SYSTEM": os.devnull,
    }


def let_asv_see(configuration: Path, folder: Path) -> dict[str, str]:
    """Edit an ``asv.conf.json`` so that its environments find what is installed here.

    The matrix becomes empty, and after the library a file is installed that leads here. asv has a
    variable for that, ASV_PYTHONPATH, which 0.6.6 heeds when it runs pip and forgets when it runs
    benchmarks; so both are needed, by different names, or asv would take out the other as well.

    Gives the variables that asv is to be run with.
    """
    lead = folder / "lead_here.py"
    lead.write_text(
        "import pathlib, sysconfig\n"
        "pathlib.Path(sysconfig.get_path('purelib'), 'here.pth').write_text("
        f"{os.linesep.join(PLACES)!r})\n",
        "utf-8",
    )
    content = json.loads(configuration.read_text("utf-8"))
    content["matrix"] = {"env_nobuild": content["matrix"]["env_nobuild"]}
    content["install_command"].append(f"python '{lead}'")
    configuration.write_text(json.dumps(content, indent=2) + "\n", "utf-8")
    alias = folder / "alias"
    alias.symlink_to(PLACES[0])
    # asv installs this one everywhere, and nothing here needs it.
    wheel = folder / "pretended" / "wheel-1.0.dist-info"
    wheel.mkdir(parents=True)
    (wheel / "METADATA").write_text("Metadata-Version: 2.1\nName: wheel\nVersion: 1.0\n")
    # asv looks for the Python of its environments on the path: not in this one, which has a .pth.
    real = Path(sys.base_prefix) / "bin"
    return {
        **OFFLINE,
        "ASV_PYTHONPATH": os.pathsep.join([str(alias), str(wheel.parent)]),
        "PATH": os.pathsep.join([str(real), os.environ["PATH"]]),
    }
