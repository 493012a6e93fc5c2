"""Which files a module's behaviour can depend on, read from its imports without running them."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator
from pathlib import Path


def digest(path: Path, module: str) -> str:
    """Of the bytes of a module, of what it imports below ``path``, and of its parent packages.

    Equal digests on two sides mean equal code. A parent package has run before the module, so
    its bytes count; what it imports besides does not, unless the module asks for it.

    Returns the empty string where reading cannot tell: compiled code, imports by a computed name.
    """
    files: dict[str, bytes] = {}
    waiting = [module]
    while waiting:
        name = waiting.pop()
        file = _file(path, name)
        if name in files or file is None:
            continue
        if file.suffix != ".py":
            return ""
        content = file.read_bytes()
        files[name] = content
        parents = [".".join(name.split(".")[:n]) for n in range(1, name.count(".") + 1)]
        for parent in parents:
            init = _file(path, parent)
            if init is not None:
                files.setdefault(f"{parent} (parent)", init.read_bytes())
        try:
            imports = list(
                _imports(path, ast.parse(content), name, is_package=file.name == "__init__.py")
            )
        except (SyntaxError, ValueError, _Computed):
            return ""
        waiting += imports
    whole = hashlib.sha256()
    for name in sorted(files):
        whole.update(f"{name}\0{len(files[name])}\0".encode() + files[name])
    return whole.hexdigest() if files else ""


class _Computed(Exception):
    """A module is imported whose name is computed."""


def _imports(path: Path, body: ast.Module, module: str, *, is_package: bool) -> Iterator[str]:
    """Full names of what a module may import, wherever in it; more than there are, if anything."""
    for node in ast.walk(body):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                here = module.split(".") if is_package else module.split(".")[:-1]
                parts = here[: len(here) - node.level + 1]
                base = ".".join([*parts, *([node.module] if node.module else [])])
            for alias in node.names:
                # A name that is no module is an attribute: then the package itself is asked for.
                submodule = f"{base}.{alias.name}"
                yield submodule if _file(path, submodule) else base
        elif (isinstance(node, ast.Name) and node.id == "__import__") or (
            isinstance(node, ast.Attribute) and node.attr == "import_module"
        ):
            raise _Computed


def _file(path: Path, name: str) -> Path | None:
    """Where a module is below a folder; None where it is not there."""
    base = path.joinpath(*name.split("."))
    for candidate in (base / "__init__.py", base.with_suffix(".py")):
        if candidate.is_file():
            return candidate
    compiled = sorted(base.parent.glob(f"{base.name}.*.so")) if base.parent.is_dir() else []
    compiled += sorted(base.parent.glob(f"{base.name}.*.pyd")) if base.parent.is_dir() else []
    return compiled[0] if compiled else None
