"""How long an import takes: the package alone promises to load neither torch nor pandas."""


def timeraw_import_optbench():
    """Import the package."""
    return "import optbench"


def timeraw_import_cli():
    """Import what every command waits for."""
    return "import optbench.cli"


timeraw_import_optbench.version = timeraw_import_cli.version = "1"
