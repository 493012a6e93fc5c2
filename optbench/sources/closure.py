"""Which files a module's behaviour can depend on, read from its imports without running them."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator
from pathlib import Path


def digest(path: Path, module: str) -> str:
    """Of the bytes of a module, of what it imports below ``path``, and of its parent packages.

    Equal digests on two sides mean equal code. A parent package has run before the module, so
    its bytes count; what it imports besides does not, unless the module asks the package for
    something: ``import a.b`` binds ``a``, and ``from a import b`` may give what ``a`` made of b.

    Files that are no modules do not count: data, a configuration, a kernel's text that is read
    when the module runs. Of those a change goes unseen.

    Returns the empty string where reading cannot tell: compiled code, imports by a computed
    name, code that is made of text, changes of where Python looks for modules.
    """
    files = _read(path, module)
    whole = hashlib.sha256()
    for name in sorted(files):
        content = files[name].read_bytes()
        whole.update(f"{name}\0{len(content)}\0".encode() + content)
    return whole.hexdigest() if files else ""


def looked_at(path: Path, module: str) -> frozenset[str]:
    """Return the files below ``path`` that `digest` looks at; none where reading cannot tell."""
    return frozenset(file.relative_to(path).as_posix() for file in _read(path, module).values())


def _read(path: Path, module: str) -> dict[str, Path]:
    try:
        return _closure(_Folder(path), module)
    except (SyntaxError, ValueError, _Unknown):
        return {}


class _Unknown(Exception):
    """What runs cannot be read."""


class _Folder:
    """The modules below a folder, each parsed once."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._bodies: dict[Path, ast.Module] = {}

    def file(self, name: str) -> Path | None:
        """Where a module is; None where it is not there. Raises `_Unknown` where it is compiled."""
        base = self.path.joinpath(*name.split("."))
        # In Python's order: a package before a module, and of each the compiled one first.
        for stem in (base / "__init__", base):
            if any(each.suffix in (".so", ".pyd") for each in stem.parent.glob(f"{stem.name}.*")):
                raise _Unknown
            if (source := stem.with_name(f"{stem.name}.py")).is_file():
                return source
            if stem.with_name(f"{stem.name}.pyc").is_file():
                raise _Unknown
        return None

    def body(self, file: Path) -> ast.Module:
        """Return the content of a file."""
        if file not in self._bodies:
            self._bodies[file] = ast.parse(file.read_bytes())
        return self._bodies[file]

    def imports(self, module: str, file: Path) -> Iterator[str]:
        """Full names of what a module may import, wherever in it; rather more than too few."""
        for node in ast.walk(self.body(file)):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    yield from self._imported(alias)
            elif isinstance(node, ast.ImportFrom):
                base = _base(node, module, is_package=file.name == "__init__.py")
                for alias in node.names:
                    yield from self._taken(base, alias.name)

    def _imported(self, alias: ast.alias) -> Iterator[str]:
        """Of ``import a.b``: with ``as``, only b is bound, else a, and whatever is asked of it."""
        yield alias.name
        for parent in _parents(alias.name):
            child = alias.name[len(parent) + 1 :].partition(".")[0]
            if alias.asname is None or self._rebinds(parent, child):
                yield parent

    def _taken(self, base: str, name: str) -> Iterator[str]:
        """Of ``from base import name``: a module of the base's, else the base itself, or both."""
        if name == "*":
            yield base
            yield from self._listed(base)
        elif self.file(f"{base}.{name}") is None:
            yield base
        else:
            yield f"{base}.{name}"
            if self._rebinds(base, name):
                yield base

    def _listed(self, package: str) -> Iterator[str]:
        """Return what a star import takes from a package: the modules in its ``__all__``."""
        init = self.file(package)
        if init is None or init.name != "__init__.py":
            return
        names = (node.id for node in ast.walk(self.body(init)) if isinstance(node, ast.Name))
        if "__all__" in names:
            yield from (f"{package}.{each.stem}" for each in sorted(init.parent.iterdir()))

    def _rebinds(self, package: str, name: str) -> bool:
        """Whether a package may mean by the name of a module of its own something else."""
        init = self.file(package)
        if init is None or init.name != "__init__.py":
            return False
        return any(_binds(node, package, name) for node in ast.walk(self.body(init)))


def _closure(folder: _Folder, module: str) -> dict[str, Path]:
    """Return the relevant files, by their relation to the module."""
    files: dict[str, Path] = {}
    waiting = [module]
    while waiting:
        name = waiting.pop()
        file = folder.file(name)
        if name in files or file is None:
            continue
        files[name] = file
        if _computes(folder.body(file)) or _steers(folder.body(file)):
            raise _Unknown
        for parent in _parents(name):
            init = folder.file(parent)
            if init is not None:
                files[f"{parent} (parent)"] = init
                if _steers(folder.body(init)):  # the imports of all that is below
                    raise _Unknown
        waiting += folder.imports(name, file)
    return files


def _parents(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[:n]) for n in range(1, len(parts))]


def _base(node: ast.ImportFrom, module: str, *, is_package: bool) -> str:
    """Return the absolute module of a ``from`` import."""
    if not node.level:
        return node.module or ""
    here = module.split(".") if is_package else module.split(".")[:-1]
    return ".".join([*here[: len(here) - node.level + 1], *([node.module] if node.module else [])])


ANY_NAME = frozenset(("globals", "locals", "vars", "setattr", "exec", "eval"))
"""With these a package can bind whatever it likes."""


def _binds(node: ast.AST, package: str, name: str) -> bool:
    """Whether a line of a package's may bind a name, but to the module of that name."""
    match node:
        case ast.ImportFrom():
            own = _base(node, package, is_package=True) == package
            return any(
                (alias.asname or alias.name) in (name, "*") and not (own and alias.name == name)
                for alias in node.names
            )
        case ast.Import():
            # Of ``import a.b`` it is a.
            return any(
                (alias.asname or alias.name.partition(".")[0]) == name for alias in node.names
            )
        case ast.Name():
            return node.id in ANY_NAME or (node.id == name and not isinstance(node.ctx, ast.Load))
        case ast.Attribute():
            return node.attr == name and not isinstance(node.ctx, ast.Load)
        case ast.alias():
            return False
        case ast.MatchMapping():
            return node.rest == name
        case _:
            # Functions, classes, caught exceptions, patterns.
            return getattr(node, "name", None) in (name, "__getattr__")


WHERE_TO_LOOK = frozenset(("path", "modules", "meta_path", "path_hooks", "path_importer_cache"))
"""Of ``sys``: with them a name may lead anywhere."""


def _steers(body: ast.Module) -> bool:
    """Whether a module has to do with where Python finds others."""
    for node in ast.walk(body):
        match node:
            case ast.Attribute(value=ast.Name(id="sys"), attr=attr) if attr in WHERE_TO_LOOK:
                return True
            case ast.Name(id="__path__") | ast.Attribute(attr="__path__"):
                return True
            case ast.ImportFrom(module="sys", level=0, names=names) if any(
                alias.name in WHERE_TO_LOOK or alias.name == "*" for alias in names
            ):
                return True
    return False


LOADERS = frozenset(
    ("__import__", "import_module", "__builtins__", "exec_module", "load_module",
     "module_from_spec", "spec_from_file_location", "cpp_extension", "load_library")
)  # fmt: skip
"""By whatever way one comes to a thing of such a name: it loads what a text names."""

LOADING = frozenset(
    ("builtins", "cffi", "ctypes", "imp", "pkgutil", "pyximport", "runpy", "zipimport")
)
"""Modules that are there to load code."""


def _computes(body: ast.Module) -> bool:
    """Whether a module runs what no import statement of its own names."""
    nodes = list(ast.walk(body))
    # As a value, not for an attribute: ``getattr(importlib, name)`` may be anything.
    for_attributes = {
        id(node.value)
        for node in nodes
        if isinstance(node, ast.Attribute) and not node.attr.startswith("__")
    }
    importlib = {
        alias.asname or "importlib"
        for node in nodes
        if isinstance(node, ast.Import)
        for alias in node.names
        if alias.name.partition(".")[0] == "importlib"
    }
    return any(
        _loads(node)
        or (isinstance(node, ast.Name) and node.id in importlib and id(node) not in for_attributes)
        for node in nodes
    )


def _loads(node: ast.AST) -> bool:
    match node:
        case ast.Name():  # not as an attribute: ``model.eval()`` is harmless
            return node.id in LOADERS or node.id in ("exec", "eval")
        case ast.Attribute():
            return node.attr in LOADERS
        case ast.Constant():
            return isinstance(node.value, str) and node.value in LOADERS
        case ast.alias():
            parts = node.name.split(".")
            return parts[0] in LOADING or not LOADERS.isdisjoint(parts)
        case ast.ImportFrom() if not node.level and node.module:
            parts = node.module.split(".")
            starred = parts[0] == "importlib" and any(each.name == "*" for each in node.names)
            return starred or parts[0] in LOADING or not LOADERS.isdisjoint(parts)
    return False
