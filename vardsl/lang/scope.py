"""What a name means where it stands: files, functions and blocks, and the slots that hold values.

    file        names of the session or module; `=` outside functions binds here, whatever the block
    function    parameters, and the names that `=` binds in its body and that are bound nowhere around it
    block       `let`, `fn`, `import … as` and loop variables, each from the end of its own statement on
    builtins    outermost, never rebound

Name resolution is lexical. A `Slot` becomes a Python local or cell; a name of the file stays a key of its
namespace.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from vardsl.syntax import ast


class Slot:
    """A variable inside a function or block; `py` is its name in the generated code."""

    __slots__ = ("block", "function", "name", "py")

    def __init__(
        self, name: str, block: BlockScope, function: ast.FnDef | None = None, py: str | None = None
    ) -> None:
        self.name = name
        self.block = block
        self.function = function
        self.py = py or ""


class FileSlot:
    """A name of the file."""

    __slots__ = ("function", "name")

    def __init__(self, name: str) -> None:
        self.name = name
        self.function: ast.FnDef | None = None


AnySlot = Slot | FileSlot


class BlockScope:
    """A block of a function, or one nested in the file."""

    __slots__ = ("function", "later", "outer", "slots")

    def __init__(self, outer: BlockScope | None, function: FunctionScope, later: Iterable[str]) -> None:
        self.outer = outer
        self.function = function
        self.later = frozenset(later)
        self.slots: dict[str, Slot] = {}


class FunctionScope:
    """A function's body, or the file's own code (`outer` is None)."""

    __slots__ = ("captures_file", "outer", "outer_block")

    def __init__(self, outer: FunctionScope | None, outer_block: BlockScope | None) -> None:
        self.outer = outer
        self.outer_block = outer_block


def target_names(target: ast.Expr) -> Iterator[ast.Name]:
    """The names that a target binds, in order."""
    stack = [target]
    while stack:
        t = stack.pop()
        if isinstance(t, ast.Name):
            yield t
        elif isinstance(t, ast.TupleExpr):
            stack.extend(reversed(t.items))
        elif isinstance(t, ast.Paren):
            stack.append(t.inner)


def declared_in(body: Iterable[ast.Stmt]) -> Iterator[str]:
    """Names that the statements of one block bind in that block itself."""
    for s in body:
        if isinstance(s, ast.Let):
            yield from (n.id for n in target_names(s.target))
        elif isinstance(s, ast.FnDef):
            yield s.name
        elif isinstance(s, ast.Import) and s.alias is not None:
            yield s.alias


def blocks_of(s: ast.Stmt) -> Iterator[tuple[ast.Block, tuple[str, ...]]]:
    """The blocks of a statement that belong to the same function, with the names that their loop binds."""
    if isinstance(s, ast.For):
        yield s.body, tuple(n.id for n in target_names(s.target))
    elif isinstance(s, (ast.While, ast.NoGrad)):
        yield s.body, ()
    elif isinstance(s, ast.If):
        branch: ast.If | ast.Block | None = s
        while isinstance(branch, ast.If):
            yield branch.body, ()
            branch = branch.otherwise
        if branch is not None:
            yield branch, ()


def assigned_in(
    body: Iterable[ast.Stmt], hidden: frozenset[str], builtin: Iterable[str] = ()
) -> Iterator[str]:
    """Names that `=` binds in these statements, where no `let` of a block around them is in force."""
    seen = set(hidden)
    for s in body:
        if isinstance(s, ast.Assign):
            yield from (n.id for n in target_names(s.target) if n.id not in seen)
        elif isinstance(s, (ast.AugAssign, ast.Update)):
            # a builtin is never changed: `e += 1` binds a name of one's own
            if isinstance(s.target, ast.Name) and s.target.id in builtin and s.target.id not in seen:
                yield s.target.id
        elif isinstance(s, (ast.Let, ast.FnDef, ast.Import)):
            seen.update(declared_in((s,)))
        else:
            for block, names in blocks_of(s):
                yield from assigned_in(block.body, frozenset(seen.union(names)), builtin)


_PLAIN = frozenset({"Span", "str", "bool", "int | float", "str | None", "tuple[str, ...]"})


_CHILDREN: dict[type, tuple[str, ...]] = {}


def _children(kind: type) -> tuple[str, ...]:
    """The fields of a class of nodes that may hold nodes."""
    known = _CHILDREN.get(kind)
    if known is not None:
        return known
    annotated = {k: v for c in reversed(kind.__mro__) for k, v in getattr(c, "__annotations__", {}).items()}
    found = tuple(k for k, v in annotated.items() if v not in _PLAIN and not v.startswith("tuple[int"))
    _CHILDREN[kind] = found
    return found


def sub_nodes(node: ast.Node) -> list[ast.Node]:
    """The nodes directly below a node."""
    found: list[ast.Node] = []
    for name in _children(type(node)):
        value = getattr(node, name)
        if type(value) is tuple or type(value) is list:
            found += [v for v in value if type(v) is not str]
        elif value is not None:
            found.append(value)
    return found


def names_in_functions(body: Iterable[ast.Node], resolved: Mapping[int, AnySlot]) -> set[str]:
    """Names of the file that stand inside functions, so that they cannot be Python locals of anything."""
    found: set[str] = set()
    stack: list[tuple[ast.Node, bool]] = [(s, False) for s in body]
    while stack:
        node, inside = stack.pop()
        if inside and type(node) is ast.Name and not isinstance(resolved.get(node.span.start), Slot):
            found.add(node.id)
        inside = inside or type(node) in (ast.FnDef, ast.Lambda)
        if type(node) not in (ast.NumberRow, ast.Number, ast.String):
            stack.extend((n, inside) for n in sub_nodes(node))
    return found


__all__ = [
    "AnySlot", "BlockScope", "FileSlot", "FunctionScope", "Slot", "assigned_in", "blocks_of", "declared_in",
    "names_in_functions", "sub_nodes", "target_names",
]  # fmt: skip
