"""What can be known to be wrong before anything runs, and what every name means.

One pass over the tree resolves names to slots (for the compiler) and collects all errors: unknown names,
arity and keywords of builtins and of functions known by name, `return`, `break`, `continue` out of place,
parameters named twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from vardsl.errors import Error, Label, ManyErrors, ScriptNameError, ScriptSyntaxError, ScriptTypeError
from vardsl.lang import arity, builtins
from vardsl.lang.scope import (
    AnySlot,
    BlockScope,
    FileSlot,
    FunctionScope,
    Slot,
    assigned_in,
    blocks_of,
    declared_in,
    names_in_functions,
    sub_nodes,
    target_names,
)
from vardsl.lang.suggest import hint_for_name
from vardsl.source import Source, Span
from vardsl.syntax import ast

MAX_ERRORS = 20


class Checked:
    """A program whose names are resolved.

    names     what the name at an offset is; a name that is not there is the file's (or a builtin)
    blocks    the scope of the block that starts at an offset
    functions the scope of the parameters of the `fn` at an offset
    captured  names of the file that stand inside some function
    """

    def __init__(self, source: Source, program: ast.Program) -> None:
        self.source = source
        self.program = program
        self.names: dict[int, AnySlot] = {}
        self.blocks: dict[int, BlockScope] = {}
        self.functions: dict[int, BlockScope] = {}
        self.captured: frozenset[str] = frozenset()
        self.errors: list[Error] = []


class _Call:
    """A call of a script's function by name, held against its parameters when all bindings are known."""

    __slots__ = ("extra", "node", "slot")

    def __init__(self, node: ast.Call, slot: AnySlot, extra: int) -> None:
        self.node = node
        self.slot = slot
        self.extra = extra


def check(
    source: Source,
    program: ast.Program,
    *,
    known: Iterable[str] = (),
    captured: Iterable[str] = (),
    complete: bool = True,
    imported: Callable[[ast.Import], Iterable[str] | None] = lambda statement: None,
) -> Checked:
    """The program with its names resolved. `errors` holds what is wrong with it.

    known     names that the file has already
    complete  whether this is the whole program, so that a name in a function must be bound somewhere in it
    imported  the names that a plain `import` brings, or None where they cannot be known before it runs
    """
    c = _Checker(source, program, frozenset(known), complete, imported)
    c.run()
    # what an import binds, it binds in the file's namespace
    imports = set(c.file) if c.anything else c.brought
    c.result.captured = frozenset(names_in_functions(program.body, c.result.names)).union(captured, imports)
    return c.result


def raise_errors(errors: list[Error]) -> None:
    """Raises what was found: one error as itself, several together."""
    if len(errors) == 1:
        raise errors[0]
    if errors:
        raise ManyErrors(errors)


class _Checker:
    def __init__(
        self,
        source: Source,
        program: ast.Program,
        known: frozenset[str],
        complete: bool,
        imported: Callable[[ast.Import], Iterable[str] | None],
    ) -> None:
        self.source = source
        self.program = program
        self.result = Checked(source, program)
        self.complete = complete
        self.file: dict[str, FileSlot] = {name: FileSlot(name) for name in known}
        self.old = known
        self.anything = False  # an import may have brought any name
        self.brought: set[str] = set()
        self.function = FunctionScope(None, None)
        self.block: BlockScope | None = None
        self.loops = 0
        self.calls: list[_Call] = []
        self.bound: dict[AnySlot, int] = {}
        self.serial = 0
        self.builtins = builtins.all_names()
        self._declare_file(imported)

    # ---- scopes ----------------------------------------------------------------------------------
    def _declare_file(self, imported: Callable[[ast.Import], Iterable[str] | None]) -> None:
        body = self.program.body
        names = list(declared_in(body)) + list(assigned_in(body, frozenset(), self.builtins))
        for s in _imports(body):
            brought = imported(s)
            if brought is None:
                self.anything = True
            else:
                names += brought
                self.brought.update(brought)
        for name in names:
            self.file.setdefault(name, FileSlot(name))

    def _new_slot(self, name: str, py: str | None = None, function: ast.FnDef | None = None) -> Slot:
        assert self.block is not None
        self.serial += 1
        slot = Slot(name, self.block, function, py or f"{name}.{self.serial}")
        self.block.slots[name] = slot
        return slot

    def _declare(self, node: ast.Node, name: str, function: ast.FnDef | None = None) -> None:
        """`let`, `fn` and their kin: bind in the innermost block."""
        slot: AnySlot
        if self.block is None:
            slot = self.file.setdefault(name, FileSlot(name))
        else:
            found = self.block.slots.get(name)
            slot = found if found is not None else self._new_slot(name)
        if function is not None:
            slot.function = function
        self._count(slot)
        self.result.names[node.span.start] = slot

    def _count(self, slot: AnySlot) -> None:
        self.bound[slot] = self.bound.get(slot, 0) + 1

    def _lookup(self, name: str) -> AnySlot | None:
        block: BlockScope | None = self.block
        later: BlockScope | None = None
        while block is not None:
            slot = block.slots.get(name)
            if slot is not None:
                return slot
            if later is None and block.function is not self.function and name in block.later:
                later = block
            block = block.outer
        if name in self.file:
            return self.file[name]
        if later is not None:
            # a function may use what its surroundings bind after it, once it is called
            here, self.block = self.block, later
            slot = self._new_slot(name)
            self.block = here
            return slot
        return None

    def _assign_name(self, node: ast.Name) -> None:
        slot = self._lookup(node.id)
        if slot is None:
            # the only way here is a name of the file in a text that is checked on its own
            slot = self.file.setdefault(node.id, FileSlot(node.id))
        self._count(slot)
        self.result.names[node.span.start] = slot

    def _open(self, key: int, body: Iterable[ast.Stmt]) -> None:
        self.block = BlockScope(self.block, self.function, declared_in(body))
        self.result.blocks[key] = self.block

    def _close(self) -> None:
        assert self.block is not None
        self.block = self.block.outer

    # ---- errors ----------------------------------------------------------------------------------
    def _error(self, error: Error, span: Span) -> None:
        if len(self.result.errors) < MAX_ERRORS:
            error.labels.append(Label(self.source, span))
            self.result.errors.append(error)

    def _visible(self) -> list[str]:
        names: list[str] = []
        block = self.block
        while block is not None:
            names += block.slots
            block = block.outer
        return names + list(self.file)

    def _unknown(self, node: ast.Name) -> None:
        hint = hint_for_name(node.id, self._visible(), self.builtins)
        self._error(ScriptNameError(f"unknown name {node.id}", hint=hint), node.span)

    # ---- statements ------------------------------------------------------------------------------
    def run(self) -> None:
        self._body(self.program.body)
        for call in self.calls:
            fn = call.slot.function
            if fn is not None and self.bound.get(call.slot) == 1 and call.slot.name not in self.old:
                error = arity.of_script(call.node, fn, call.extra, self.source)
                if error is not None:
                    self._error(error, call.node.span)
        self.result.errors.sort(key=lambda e: e.labels[0].span.start if e.labels else 0)

    def _body(self, body: Iterable[ast.Stmt]) -> None:
        for s in body:
            method = _STATEMENTS.get(type(s))
            if method is not None:
                method(self, s)
            else:
                self._inside(s)

    def _inside(self, node: ast.Node) -> None:
        """Checks the expressions directly below a node."""
        for n in sub_nodes(node):
            self._expr(n)

    def _block(self, b: ast.Block, names: Iterable[ast.Name] = ()) -> None:
        self._open(b.span.start, b.body)
        for n in names:
            self._declare(n, n.id)
        self._body(b.body)
        self._close()

    def _let(self, s: ast.Let) -> None:
        self._expr(s.value)
        for n in target_names(s.target):
            self._declare(n, n.id)

    def _assign(self, s: ast.Assign) -> None:
        self._expr(s.value)
        self._target(s.target)

    def _target(self, target: ast.Expr) -> None:
        if isinstance(target, ast.Name):
            self._assign_name(target)
        elif isinstance(target, ast.TupleExpr):
            for t in target.items:
                self._target(t)
        elif isinstance(target, ast.Paren):
            self._target(target.inner)
        else:
            self._expr(target)

    def _augmented(self, s: ast.AugAssign | ast.Update) -> None:
        self._expr(s.value)
        self._expr(s.target)
        if isinstance(s.target, ast.Name):
            slot = self.result.names.get(s.target.span.start)
            if slot is not None:
                self._count(slot)

    def _if(self, s: ast.If) -> None:
        branch: ast.If | ast.Block | None = s
        while isinstance(branch, ast.If):
            self._expr(branch.condition)
            self._block(branch.body)
            branch = branch.otherwise
        if branch is not None:
            self._block(branch)

    def _while(self, s: ast.While) -> None:
        self._expr(s.condition)
        self.loops += 1
        self._block(s.body)
        self.loops -= 1

    def _for(self, s: ast.For) -> None:
        self._expr(s.iterable)
        names = list(target_names(s.target))
        self._named_twice([(n.id, n.span) for n in names], "the loop binds")
        self.loops += 1
        self._block(s.body, names)
        self.loops -= 1

    def _no_grad(self, s: ast.NoGrad) -> None:
        self._block(s.body)

    def _leave_loop(self, s: ast.Break | ast.Continue) -> None:
        if not self.loops:
            word = "break" if isinstance(s, ast.Break) else "continue"
            self._error(ScriptSyntaxError(f"{word} stands outside a loop"), s.span)

    def _return(self, s: ast.Return) -> None:
        if self.function.outer is None:
            self._error(ScriptSyntaxError("return stands outside a function"), s.span)
        if s.value is not None:
            self._expr(s.value)

    def _fn_def(self, s: ast.FnDef) -> None:
        self._defaults(s.params)
        # a function sees itself, so its name is bound before its body is looked at
        self._declare(ast.Name(s.name_span, s.name), s.name, s)
        self._function(s.span.start, s.params, s.body)

    def _import(self, s: ast.Import) -> None:
        if s.alias is not None:
            self._declare(ast.Name(s.path_span, s.alias), s.alias)

    def _del(self, s: ast.Del) -> None:
        self._named_twice([(n.id, n.span) for n in s.names], "del has")
        for n in s.names:
            slot = self._lookup(n.id)
            if slot is None and not self.anything:
                self._unknown(n)
            elif slot is not None:
                self._count(slot)
                self.result.names[n.span.start] = slot

    def _why(self, s: ast.Why) -> None:
        if isinstance(s.value, ast.Name) and s.value.id in ("nan", "error"):
            return
        self._expr(s.value)

    # ---- functions -------------------------------------------------------------------------------
    def _defaults(self, params: tuple[ast.Param, ...]) -> None:
        for p in params:
            if p.default is not None:
                self._expr(p.default)

    def _function(self, key: int, params: tuple[ast.Param, ...], body: ast.Expr | ast.Block) -> None:
        self._named_twice([(p.name, p.span) for p in params], "the function has")
        seen_default = False
        for p in params:
            if p.default is None and seen_default:
                self._error(
                    ScriptSyntaxError(f"parameter {p.name} without a default follows one with a default"),
                    p.span,
                )
            seen_default = seen_default or p.default is not None
        outer, outer_loops = self.function, self.loops
        self.function = FunctionScope(outer, self.block)
        self.loops = 0
        statements = body.body if isinstance(body, ast.Block) else ()
        self.block = BlockScope(self.block, self.function, ())
        scope = self.block
        self.result.functions[key] = scope
        for p in params:
            slot = self._new_slot(p.name, p.name)
            self._count(slot)
            self.result.names[p.span.start] = slot
        for name in dict.fromkeys(assigned_in(statements, frozenset(scope.slots), self.builtins)):
            if self._lookup(name) is None:
                self._new_slot(name)
        if isinstance(body, ast.Block):
            self._open(body.span.start, body.body)
            self._body(body.body)
            self._close()
        else:
            self._expr(body)
        self._close()
        self.function, self.loops = outer, outer_loops

    def _named_twice(self, names: list[tuple[str, Span]], what: str) -> None:
        seen = set()
        for name, span in names:
            if name in seen:
                self._error(ScriptSyntaxError(f"{what} {name} twice"), span)
            seen.add(name)

    # ---- expressions -----------------------------------------------------------------------------
    def _expr(self, e: ast.Node) -> None:
        """Walks an expression without recursion over its chains; nesting is bounded by the parser."""
        t = type(e)
        if t is ast.Name:
            self._name(e)  # type: ignore[arg-type]
        elif t is ast.Number or t is ast.String or t is ast.NumberRow:
            pass
        elif t is ast.Call:
            self._call(e)  # type: ignore[arg-type]
        elif t is ast.Pipe:
            assert isinstance(e, ast.Pipe)
            self._expr(e.value)
            if isinstance(e.call, ast.Call):
                self._call(e.call, extra=1)
            else:
                self._expr(e.call)
        elif t is ast.Lambda:
            assert isinstance(e, ast.Lambda)
            self._defaults(e.params)
            self._function(e.span.start, e.params, e.body)
        elif t is ast.Minimize:
            self._inside(e)
        else:
            self._inside(e)

    def _name(self, e: ast.Name) -> None:
        slot = self._lookup(e.id)
        if slot is not None:
            self.result.names[e.span.start] = slot
        elif e.id not in self.builtins and not self.anything and not self._waits():
            self._unknown(e)

    def _waits(self) -> bool:
        """Whether names and calls here are looked at when the function is called, not before."""
        return not self.complete and self.function.outer is not None

    def _call(self, e: ast.Call, extra: int = 0) -> None:
        f = e.function
        self._expr(f)
        seen: set[str] = set()
        for name in [a.name for a in e.args if a.name is not None]:
            if name in seen:
                self._error(ScriptTypeError(f"keyword argument {name} is given twice"), e.span)
            seen.add(name)
        late = False
        for a in e.args:
            if a.name is not None:
                late = True
            elif late:
                self._error(ScriptSyntaxError("an argument without a name follows one with a name"), a.span)
            self._expr(a.value)
        if self._waits():
            return
        if isinstance(f, ast.Name):
            slot = self.result.names.get(f.span.start)
            if slot is not None:
                self.calls.append(_Call(e, slot, extra))
            elif f.id in self.builtins:
                self._builtin_call(e, f.id, extra)
        elif isinstance(f, ast.Member) and isinstance(f.value, ast.Name):
            space = f"{f.value.id}.{f.name}"
            if f.value.span.start not in self.result.names and builtins.has(space):
                self._builtin_call(e, space, extra)

    def _builtin_call(self, e: ast.Call, name: str, extra: int) -> None:
        signature = builtins.signature(name)
        error: Error | None = None
        if signature is not None:
            error = arity.of_builtin(e, name, signature, extra)
        elif (of_tensors := builtins.call_parameters(name)) is not None:
            error = arity.keywords(e, name, of_tensors)
        elif builtins.is_constant(name):
            error = ScriptTypeError(f"{name} is a number, not a function")
        if error is not None:
            self._error(error, e.span)


def _imports(body: Iterable[ast.Stmt]) -> Iterable[ast.Import]:
    """Plain imports anywhere in these statements: what they bring belongs to the file."""
    for s in body:
        if isinstance(s, ast.Import):
            if s.alias is None:
                yield s
        elif isinstance(s, ast.FnDef):
            if isinstance(s.body, ast.Block):
                yield from _imports(s.body.body)
        else:
            for block, _ in blocks_of(s):
                yield from _imports(block.body)


_STATEMENTS: Mapping[type, Callable[[_Checker, Any], None]] = {
    ast.Let: _Checker._let,
    ast.Assign: _Checker._assign,
    ast.AugAssign: _Checker._augmented,
    ast.Update: _Checker._augmented,
    ast.If: _Checker._if,
    ast.While: _Checker._while,
    ast.For: _Checker._for,
    ast.NoGrad: _Checker._no_grad,
    ast.Break: _Checker._leave_loop,
    ast.Continue: _Checker._leave_loop,
    ast.Return: _Checker._return,
    ast.FnDef: _Checker._fn_def,
    ast.Import: _Checker._import,
    ast.Del: _Checker._del,
    ast.Why: _Checker._why,
}
