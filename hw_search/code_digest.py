"""Digests of code, for keys of results: a result is computed again when code that can alter it changes.

The code of a module includes all that it imports, directly or indirectly, within its top-level package:

- imports inside functions and the `__init__` files of packages count;
- imports for type checkers, comments and docstrings do not count;
- names composed at run time, as for `importlib.import_module`, are not found.

The modules are read, not imported.
"""

import ast
import hashlib
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

_ROOT = Path(__file__).parents[2]
"""The folder that contains `zerocross`. The path keeps symbolic links, because `zerocross` links to the packages."""

_COMMENTED = {".sv", ".svh", ".v", ".vh", ".cpp", ".hpp", ".c", ".h"}
"""Suffixes of files with C-style comments."""

_COMMENT = re.compile(r'"(?:\\.|[^"\\\n])*"|//[^\n]*|/\*.*?\*/', re.DOTALL)
_DIRECTIVE = re.compile(r"/[/*]\s*(?:verilator|synthesis|synopsys|pragma)\b")


def code_digest(*modules: str, data: Iterable[Path] = (), root: Path = _ROOT) -> str:
    """Return a digest of the code of modules, and of data files.

    Args:
        modules: Dotted names, such as "zerocross.hw_search.execution.worker".
        data: Files, or folders of files. SystemVerilog and C++ count without comments, Python as code, others byte by byte.
        root: Folder that contains the modules' top-level package; this project's by default.

    Raises:
        FileNotFoundError: If a module, file or folder does not exist.
    """
    digest = hashlib.blake2b(digest_size=8)
    for name, path in closure(*modules, root=root).items():
        digest.update(f"{name} {_read(path)[0]}\n".encode())
    for place in data:
        files = sorted(path for path in place.rglob("*") if path.is_file()) if place.is_dir() else [place]
        for path in files:
            if "__pycache__" not in path.parts:
                name = path.relative_to(place.parent).as_posix()
                digest.update(f"{name} {_read(path)[0]}\n".encode())
    return digest.hexdigest()


def closure(*modules: str, root: Path = _ROOT) -> dict[str, Path]:
    """Return the files of modules and of all that they import within their top-level packages, by name, sorted.

    Args:
        modules: Dotted names.
        root: See `code_digest`.

    Raises:
        FileNotFoundError: If a module does not exist.
    """
    found: dict[str, Path] = {}
    waiting = list(modules)
    for name in modules:
        if _file(name, root) is None:
            raise FileNotFoundError(f"there is no module {name}")
    while waiting:
        name = waiting.pop()
        path = None if name in found else _file(name, root)
        if path is None:  # already found, or a name inside a module
            continue
        found[name] = path
        if "." in name:
            waiting.append(name.rpartition(".")[0])
        package = name if path.name == "__init__.py" else name.rpartition(".")[0]
        top = name.partition(".")[0]
        for level, imported in _read(path)[1]:
            full = _absolute(package, level, imported)
            if full.partition(".")[0] == top:
                waiting += [full, full.rpartition(".")[0] or full]
    return dict(sorted(found.items()))


def _file(module: str, root: Path) -> Path | None:
    """Return a module's file, or None if it does not exist."""
    path = root.joinpath(*module.split("."))
    for file in (path.with_name(path.name + ".py"), path / "__init__.py"):
        if file.is_file():
            return file
    return None


def _absolute(package: str, level: int, name: str) -> str:
    if not level:
        return name
    base = package.split(".")
    return ".".join([*base[: len(base) - level + 1], *([name] if name else [])])


def _read(path: Path) -> tuple[str, tuple[tuple[int, str], ...]]:
    """Return the digest of a file's code, and its imports as (level, name)."""
    status = path.stat()
    return _read_once(path, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=4096)
def _read_once(path: Path, modified: int, size: int) -> tuple[str, tuple[tuple[int, str], ...]]:
    content, imports = path.read_bytes(), tuple[tuple[int, str], ...]()
    if path.suffix == ".py":
        with suppress(SyntaxError):  # the import will report it
            tree = _Code().visit(ast.parse(content))
            content, imports = ast.dump(tree).encode(), tuple(_imports(tree))
    elif path.suffix in _COMMENTED:
        text = _COMMENT.sub(_without_comment, content.decode(errors="replace"))
        content = " ".join(text.split()).encode()
    return hashlib.blake2b(content, digest_size=16).hexdigest(), imports


def _without_comment(match: re.Match[str]) -> str:
    text = match[0]
    return text if text.startswith('"') or _DIRECTIVE.match(text) else " "


def _imports(tree: ast.AST) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((0, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            prefix = f"{node.module}." if node.module else ""
            yield from ((node.level, prefix + alias.name) for alias in node.names)


class _Code(ast.NodeTransformer):
    """Removes code without effect: docstrings, string statements, and branches for type checkers."""

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        """Remove a statement that is only a string."""
        alone = isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        return None if alone else self.generic_visit(node)

    def visit_If(self, node: ast.If) -> ast.AST | list[ast.stmt]:
        """Remove the branch of `if TYPE_CHECKING`."""
        test = node.test
        name = test.id if isinstance(test, ast.Name) else test.attr if isinstance(test, ast.Attribute) else ""
        if name != "TYPE_CHECKING":
            return self.generic_visit(node)
        return [kept for each in node.orelse if (kept := self.visit(each)) is not None]
