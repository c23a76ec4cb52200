"""A session: names and settings that live on between runs of source text.

s = Session(seed=0)
s["x"] = np.array([[1., 2.], [3., 4.]])
s.run("let v = var x float64 grad; out = mean(v*v); backward out")
s["v"].grad.numpy()
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import numpy as np

from vardsl.display.values import ValueTexts
from vardsl.encoding import MAX_SOURCE, decode
from vardsl.engine.budget import Budget
from vardsl.engine.collect import rare_collections
from vardsl.engine.context import Context, state, unfollowed
from vardsl.engine.stack import let_go, with_room
from vardsl.errors import (
    Error,
    InternalError,
    LimitError,
    ManyErrors,
    ScriptNameError,
    ScriptSyntaxError,
    ScriptValueError,
    Warning_,
)
from vardsl.lang import builtins, members
from vardsl.lang.asked import Ask, Place, Sites
from vardsl.lang.cache import ScriptCache
from vardsl.lang.code import global_name
from vardsl.lang.exchange import inward, outward
from vardsl.lang.modules import FileSpace, Module
from vardsl.lang.outcome import Emit, Outcome, Printed, Progress, Shown, Warned
from vardsl.lang.permissions import Permissions
from vardsl.lang.pieces import Piece, Translation, execute
from vardsl.lang.places import FileName, here
from vardsl.lang.runtime import Runtime
from vardsl.plan.region import Region
from vardsl.source import Source

# Trees of the syntax: a session that finds its script translated loads no syntax at all.
Program = Any
Statement = Any
Expression = Any
Undo = Any  # a `vardsl.lang.undo.Undo`, for prompts

LIMITS = ("max_memory", "max_time", "max_steps", "max_output")
MAX_IMPORTS = 100
RECENT = 16  # texts whose code is kept for when they are run again
LONG_TEXT = 20_000  # characters of a text that is not kept


class MissingName(ScriptNameError, KeyError):
    """`session["nope"]`: an Error that is also a KeyError."""


def _front() -> Any:
    """The way from text to code."""
    return import_module("vardsl.lang.front")


def draw(error: Error | Warning_) -> str:
    """The picture of an error; what makes it is loaded for the first one."""
    text: str = import_module("vardsl.display.diagnostics").draw(error)
    return text


def _source_in(path: str, shown: str) -> Source:
    """The source in a file that may be read."""
    return decode(shown, import_module("vardsl.lang.files").read_bytes(path, shown, MAX_SOURCE))


def _is_keyword(name: str) -> bool:
    return name in import_module("vardsl.syntax.words").HARD_KEYWORDS


class Session:
    """Runs source text. Calls from several threads wait for each other; sessions share nothing.

    limits      {"max_memory": bytes, "max_time": seconds, "max_steps": n, "max_output": bytes}
    plan        whether repeated statements may be planned: only ever faster, never different
    permissions which files may be read and written; by default those below the current folder
    emit        receives what happens; by default text goes to `sys.stdout` and warnings to `sys.stderr`
    cache       None, or where translated scripts are kept and looked for
    """

    @with_room
    def __init__(
        self,
        seed: int | None = None,
        plan: bool = True,
        limits: Mapping[str, Any] | None = None,
        *,
        permissions: Permissions | None = None,
        emit: Emit | None = None,
        cache: ScriptCache | None = None,
    ) -> None:
        self.plan = plan
        self.cache = cache
        self.last_is_expression = False  # whether the last text that was run ends with one
        self.ctx = Context(seed)
        self.limits = dict(limits or {})
        for name in self.limits:
            if name not in LIMITS:
                raise ScriptValueError(f"there is no limit {name}", hint=f"limits are {', '.join(LIMITS)}")
        self.ctx.budget = Budget(**self.limits)
        if permissions is None:
            permissions = Permissions(os.getcwd(), [os.getcwd()], [os.getcwd()])
        self.permissions = self.ctx.files = permissions
        self.emit: Emit = emit or self._to_streams
        self.runtime = Runtime(self.ctx, ValueTexts(), lambda outcome: self.emit(outcome))
        self.ctx.warn = self._warn
        self.builtins: dict[str, Any] = {
            ":str": self.runtime.to_str,
            ":set_printoptions": self.runtime.set_printoptions,
        }
        self.builtins[".site"] = Sites(self.builtins, _site)
        self.modules: dict[str, FileSpace] = {}
        self.importing: list[str] = []
        self.space = self._new_space(permissions.folder)
        self.last_error: Error | None = None
        self.regions: dict[str, Region] = {}
        self._recent: dict[Any, Translation] = {}
        self._lock = threading.RLock()
        self._warned: set[tuple[str, object]] = set()
        self._running = 0

    # ---- running ---------------------------------------------------------------------------------
    @with_room
    def run(
        self, source: str | Source, *, filename: str = "<string>", complete: bool = False, shown: bool = False
    ) -> Any:
        """Runs source text; the value of its last statement if that is an expression, else None.

        complete  whether this is a whole program: its functions may only use names that it binds somewhere
        shown     whether the values of expressions at the top level are shown, as in a REPL
        """
        text = source if isinstance(source, Source) else Source(filename, source)
        with self._active():
            return self._outward(self._run(text, self.space, complete=complete, shown=shown))

    @with_room
    def eval(self, source: str, *, filename: str = "<string>") -> Any:
        """The value of one expression."""
        text = Source(filename, source)
        with self._active():
            try:
                program = _front().expression_in(text)
            except Error as error:
                raise self._finished(error) from None
            return self._outward(self._run(text, self.space, program=program))

    @with_room
    def run_captured(self, source: str | Source, *, filename: str = "<string>") -> str:
        """Runs source text and gives what it printed; an Error has that as `.output`."""
        parts: list[str] = []
        before = self.emit

        def emit(outcome: Outcome) -> None:
            if isinstance(outcome, Printed):
                parts.append(outcome.text)
            else:
                before(outcome)

        with self._active():
            self.emit = emit
            try:
                self.run(source, filename=filename)
            except Error as error:
                error.output = "".join(parts)
                raise
            finally:
                self.emit = before
        return "".join(parts)

    @with_room
    def program(self, source: Source) -> Program:
        """The program in a text, right as far as that can be told before it runs; nothing is run."""
        with self._active():
            try:
                return _front().program_of(
                    source, known=self.space, complete=False,
                    imported=lambda s: self._names_of(self.space, s),
                )  # fmt: skip
            except Error as error:
                raise self._finished(error) from None

    @with_room
    def run_statement(self, source: Source, statement: Statement, *, undo: Undo | None = None) -> Any:
        """Runs one statement of a program, its value shown; what `undo` must know of it is told to that."""
        with self._active():
            self.ctx.savepoint = undo.memory if undo is not None else None
            try:
                program = _front().statement_alone(statement)
                return self._run(source, self.space, program=program, shown=True)
            finally:
                self.ctx.savepoint = None

    @with_room
    def run_expression(self, source: Source, expression: Expression, *, undo: Undo | None = None) -> Any:
        """The value of a parsed expression, as it is inside; what `undo` must know is told to that."""
        program = _front().expression_alone(expression)
        with self._active():
            self.ctx.savepoint = undo.memory if undo is not None else None
            try:
                return self._run(source, self.space, program=program)
            finally:
                self.ctx.savepoint = None

    @with_room
    def undo_point(self) -> Undo:
        """The present moment, to come back to."""
        with self._active():
            found: Undo = import_module("vardsl.lang.undo").Undo(self.space, self.ctx)
            return found

    def names(self) -> dict[str, Any]:
        """The session's names with their values as they are inside."""
        return {name: self.space.get(name) for name in self.space}

    @with_room
    def bind(self, name: str, value: Any) -> None:
        """Binds a name to a value that comes from this session."""
        self.space.names[global_name(name)] = value

    @with_room
    def call(self, function: Callable[..., Any], args: Iterable[Any], keywords: Mapping[str, Any]) -> Any:
        """Calls a script's function with values from Python."""
        with self._active():
            try:
                found = function(
                    *map(inward, args), **{k: inward(v) for k, v in keywords.items()}
                )
            except BaseException as error:
                raise self._failure(error) from None
            return self._outward(found)

    def interrupt(self) -> None:
        """Asks what runs to stop at its next safe point; from any thread, or a signal handler."""
        if self._running:
            self.runtime.interrupt()

    @with_room
    def seed(self, n: int) -> None:
        """Starts the random numbers that belong to `n`."""
        with self._active():
            builtins.manual_seed(n)

    # ---- names -----------------------------------------------------------------------------------
    @with_room
    def __getitem__(self, name: str) -> Any:
        if name not in self.space:
            hint = import_module("vardsl.lang.suggest").hint_for_name(name, list(self.space), ())
            error = MissingName(f"unknown name {name}", hint=hint)
            raise self._finished(error)
        return self._outward(self.space.get(name))

    @with_room
    def __setitem__(self, name: str, value: Any) -> None:
        if not isinstance(name, str) or not name.isidentifier() or _is_keyword(name):
            raise self._finished(ScriptNameError(f"{name!r} is no name of the language"))
        with self._active():
            try:
                self.space.names[global_name(name)] = inward(value)
            except Error as error:
                raise self._finished(error) from None

    @with_room
    def __delitem__(self, name: str) -> None:
        self[name]
        del self.space.names[global_name(name)]

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name in self.space

    def __iter__(self) -> Iterator[str]:
        """The names that are bound."""
        return iter(self.space)

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *exc: object) -> None:
        pass

    def __del__(self) -> None:
        let_go(self)

    # ---- inside ----------------------------------------------------------------------------------
    @contextmanager
    def _active(self) -> Iterator[None]:
        """Makes this session the thread's current one while a call of it is running."""
        with self._lock:
            if self._running:
                self._running += 1
                try:
                    yield
                finally:
                    self._running -= 1
                return
            before = state.ctx
            state.ctx = self.ctx
            self.ctx.cancel = False
            self.ctx.journal = None
            self.ctx.followed = 0
            self._running = 1
            self._start_budget()
            self.runtime.set_limits()
            self._warned.clear()
            watch = self._watch()
            try:
                with np.errstate(all="ignore"), rare_collections():
                    try:
                        yield
                    finally:
                        self.ctx.stop_tracing()
            finally:
                if watch is not None:
                    watch.cancel()
                self._running = 0
                self.runtime.end()
                self.ctx.cancel = False
                self.ctx.grad_enabled = True
                state.ctx = before
                self.ctx.budget.pool.end_run()
                if any(region.plans for region in self.regions.values()):
                    import_module("vardsl.plan.memory").look_after(self.regions.values())

    def _start_budget(self) -> None:
        budget = self.ctx.budget
        budget.steps = budget.out_bytes = 0
        budget.deadline = None if budget.max_time is None else time.monotonic() + budget.max_time

    def _watch(self) -> threading.Timer | None:
        """Lets a limit of time be seen also where no loop looks at the clock."""
        if self.ctx.budget.max_time is None:
            return None
        timer = threading.Timer(self.ctx.budget.max_time, self._out_of_time)
        timer.daemon = True
        timer.start()
        return timer

    def _out_of_time(self) -> None:
        self.runtime.level[1] = -1

    def _new_space(self, folder: str, path: str | None = None) -> FileSpace:
        helpers = self.runtime.helpers()
        space = FileSpace(helpers, self.builtins, folder, path)
        space.names[".import_names"] = lambda path, names: self._import_names(space, path, names)
        space.names[".import_module"] = lambda path, alias: Module(alias, self._imported(space, path))
        space.own = frozenset(space.names)
        return space

    def _run(
        self,
        source: Source,
        space: FileSpace,
        *,
        program: Program | None = None,
        complete: bool = False,
        shown: bool = False,
    ) -> Any:
        try:
            found = self._translated(source, space, program, complete=complete, shown=shown)
            space.captured = found.captured
            space.names[".last"] = None
            for piece in found.pieces:
                self._provide(piece)
                execute(piece.code, space.names)
            self.last_is_expression = found.expression
            return space.names[".last"]
        except BaseException as error:
            raise self._failure(error, space) from None
        finally:
            if self.ctx.followed:
                space.take_back_numbers()
            space.clear_temporaries()

    def _translated(
        self, source: Source, space: FileSpace, program: Program | None, *, complete: bool, shown: bool
    ) -> Translation:
        """The code of a text: that of the last time where the names are the same, or from the cache."""

        def translate() -> Translation:
            found: Translation = _front().translate(
                source, program, known=space, captured=space.captured, complete=complete, shown=shown,
                plan=self.plan, imported=lambda s: self._names_of(space, s),
            )  # fmt: skip
            return found

        if program is not None:
            return translate()
        facts = (tuple(sorted(space)), tuple(sorted(space.captured)), complete, shown, self.plan)
        key = (source.name, source.text, *facts)
        found = self._recent.pop(key, None)
        if found is None:
            found = translate() if self.cache is None else self.cache.translation(source, facts, translate)
            if not found.lasting or len(source.text) > LONG_TEXT:
                return found
            try:
                found.pieces = list(found.pieces)
            except Exception:
                # a later piece cannot be made: that is said when the earlier ones have run
                return translate()
        self._recent[key] = found
        if len(self._recent) > RECENT:
            del self._recent[next(iter(self._recent))]
        return found

    def _provide(self, piece: Piece) -> None:
        """Puts the builtins, methods and regions where the code about to run finds them."""
        table = self.builtins
        for name in piece.builtins:
            key = global_name(name)
            if key not in table:
                try:
                    table[key] = builtins.lookup(name)
                except KeyError:
                    continue
        for name in piece.methods:
            key = ".m:" + name
            if key not in table:
                table[key] = members.method(name)
        for name, place, reads, binds in piece.regions:
            if name not in table:
                table[name] = self.regions[name] = Region(place, reads, binds)

    # ---- errors and warnings ---------------------------------------------------------------------
    def _failure(self, error: BaseException, space: FileSpace | None = None) -> BaseException:
        """What leaves the session for an exception: an Error that is drawn."""
        if isinstance(error, (SystemExit, GeneratorExit)):
            return error
        known = list(space or self.space)
        found: Error = import_module("vardsl.lang.locate").located(error, known, builtins.all_names())
        if isinstance(error, KeyboardInterrupt):
            found.__cause__ = None
        if isinstance(found, InternalError):
            # a bug of ours: what is needed to find it stays with the error
            found.__cause__ = error
            return self._finished(found, keep=True)
        return self._finished(found)

    def _finished(self, error: Error, *, keep: bool = False) -> Error:
        if error.drawn is None:
            error.drawn = draw(error)
        self.last_error = error
        return error if keep else error.with_traceback(None)

    def _warn(self, kind: str, message: str, hint: str | None) -> None:
        unfollowed("a warning is given")
        place = here()
        mark = (message, place.span if place is not None else None)
        if mark in self._warned:
            return
        self._warned.add(mark)
        labels = () if place is None else (place.label(),)
        self.emit(Warned(Warning_(kind, message, hint, labels=labels)))

    def _to_streams(self, outcome: Outcome) -> None:
        if isinstance(outcome, Printed):
            sys.stdout.write(outcome.text)
        elif isinstance(outcome, Shown):
            sys.stdout.write(self.runtime.text(outcome.value) + "\n")
        elif isinstance(outcome, Warned):
            sys.stderr.write(draw(outcome.warning) + "\n")

    @with_room
    def text(self, value: Any) -> str:
        """How a value prints in this session."""
        with self._active():
            return self.runtime.text(value)

    # ---- imports ---------------------------------------------------------------------------------
    def _names_of(self, space: FileSpace, statement: Statement) -> Iterable[str] | None:
        """The names that a plain import brings, without running it; None where that cannot be told."""
        try:
            path = self.permissions.readable(statement.path, space.folder)
            source = _source_in(path, statement.path)
        except Error:
            return None
        names: Iterable[str] | None = _front().names_brought(source)
        return names

    def _imported(self, space: FileSpace, path: str) -> FileSpace:
        real = self.permissions.readable(path, space.folder)
        if real in self.importing or real == space.path:
            chain = " imports ".join(
                os.path.basename(p)
                for p in [
                    *self.importing[self.importing.index(real) if real in self.importing else 0 :],
                    real,
                ]
            )
            raise ScriptValueError(f"this import is circular: {chain}")
        found = self.modules.get(real)
        if found is not None:
            return found
        if len(self.importing) >= MAX_IMPORTS:
            raise LimitError(f"imports are nested more than {MAX_IMPORTS} deep, the limit")
        source = _source_in(real, path)
        module = self._new_space(os.path.dirname(real), real)
        self.importing.append(real)
        try:
            self._run(source, module, complete=True)
        finally:
            self.importing.pop()
        self.modules[real] = module
        return module

    def _import_names(self, space: FileSpace, path: str, names: dict[str, Any]) -> None:
        module = self._imported(space, path)
        for name in module:
            names[global_name(name)] = module.get(name)

    def _outward(self, x: Any) -> Any:
        try:
            return outward(x, self.call, self.runtime.text)
        except RecursionError:
            pass  # its traceback holds on to all of `x`
        raise self._finished(LimitError("tuples are nested too deep in this value to be given to Python"))


def check(source: Source) -> Program:
    """The program in a text. Raises what its names, calls and syntax tell to be wrong before it runs."""
    try:
        return _front().program_of(source, known=("args",), complete=True, imported=lambda statement: None)
    except Error as error:
        error.drawn = draw(error)
        raise


def _site(plain: Ask, numbers: tuple[int, ...], place: Place) -> Ask:
    ask: Ask = import_module("vardsl.plan.expression").Site(plain, numbers, place).ask
    return ask


def run(source: str, *, filename: str = "<string>") -> Any:
    """Runs source text in a session of its own."""
    return Session().run(source, filename=filename)


__all__ = ["FileName", "ManyErrors", "Progress", "ScriptSyntaxError", "Session", "check", "run"]
