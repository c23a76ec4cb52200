"""What generated code asks of its session: safe points, loops in pieces, journals, printing, statements.

One `Runtime` belongs to a session. `helpers()` are the names, beginning with a point, under which generated
code finds all this in the namespace of its file.
"""

from __future__ import annotations

import builtins as python
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from itertools import islice
from types import FrameType
from typing import Any, Protocol

import numpy as np

from vardsl.engine import infix, op, value
from vardsl.engine.backward import backward as run_backward
from vardsl.engine.backward import scalar_pass
from vardsl.engine.bundle import EXPRESSION
from vardsl.engine.context import Context, unfollowed
from vardsl.engine.value import Value
from vardsl.errors import Interrupted, LimitError, ScriptAssertError, ScriptTypeError, ScriptValueError
from vardsl.lang import literals, members, operators
from vardsl.lang.journal import Journal, keep_setting
from vardsl.lang.members import kind_of
from vardsl.lang.outcome import Emit, Printed, Progress, Shown

MAX_DEPTH = 1000
SMALL_LOOP = 16
MAX_RECURRENCES = 256
# A piece of a loop takes between these many seconds: interrupts and limits are seen that often.
BRIEF, LONG = 0.001, 0.004

Service = Callable[..., Any]
# Runs at most so many turns over what is read, until it is told to stop; how many it has run.
Ahead = Callable[[Sequence[Any], int, Callable[[], bool]], int]

# Where a call from a script is the beginning of an operation: nothing of it has happened yet.
_OPERATIONS = frozenset([op.__file__, infix.__file__, value.__file__, EXPRESSION])


class Texts(Protocol):
    """How a session makes text of values."""

    def text(self, value: Any, ctx: Context) -> str: ...

    def set_printoptions(self, ctx: Context, **options: Any) -> None: ...


class Runtime:
    """The state of a running session that generated code works on."""

    def __init__(self, ctx: Context, texts: Texts, emit: Emit) -> None:
        self.ctx = ctx
        self.texts = texts
        self.emit = emit
        # how deep the calls are, and from where on a call must ask: generated code reads and writes it
        self.level = [0, MAX_DEPTH]
        self.limited = False
        self.services: dict[str, Service] = {}
        self.loops: list[_Loop] = []  # those that are running, the outermost first
        self.thread = 0
        self.recurrences: dict[Any, Any] = {}  # loops over single numbers that have been met

    # ---- safe points -----------------------------------------------------------------------------
    def set_limits(self) -> None:
        """Takes over the budget's limits for the run that begins."""
        budget = self.ctx.budget
        self.limited = budget.max_steps is not None
        self.level[:] = [0, -1 if self.limited or self.ctx.cancel else MAX_DEPTH]
        self.loops.clear()
        self.thread = threading.get_ident()

    def interrupt(self) -> None:
        """Asks the script to stop at its next safe point; from any thread, or a signal handler."""
        self.ctx.cancel = True
        self.level[1] = -1
        if threading.get_ident() == self.thread:
            # in the script's own thread also before the next operation, which costs nothing until now
            sys.setprofile(self._before_call)

    def _before_call(self, frame: FrameType, event: str, argument: object) -> None:
        outer = frame.f_back
        if event != "call" or outer is None or "__vardsl__" not in outer.f_globals:
            return
        if frame.f_code.co_filename in _OPERATIONS:
            sys.setprofile(None)
            raise Interrupted("interrupted", notes=self._turns_of_loops())

    def end(self) -> None:
        """What has run has ended."""
        self.thread = 0
        if sys.getprofile() == self._before_call:
            sys.setprofile(None)

    def tick(self, steps: int = 1) -> None:
        """A safe point: stops the script where that was asked, or where a limit is reached."""
        ctx = self.ctx
        budget = ctx.budget
        if ctx.cancel:
            raise Interrupted("interrupted", notes=self._turns_of_loops())
        if budget.max_steps is not None:
            budget.steps += steps
            if budget.steps > budget.max_steps:
                raise LimitError(
                    f"the script took more than {budget.max_steps:,} steps, the limit (--max-steps)"
                )
        if budget.deadline is not None and time.monotonic() > budget.deadline:
            raise LimitError(f"the script ran for more than {budget.max_time:g} s, the limit (--max-time)")

    def _turns_of_loops(self) -> list[str]:
        """How far the running loops have come."""
        parts = []
        for loop in self.loops:
            first, last, n = loop.before + loop.start + 1, loop.before + loop.start + loop.size, loop.n
            turns = f"turn {first:,}" if loop.size <= 1 else f"turns {first:,} to {last:,}"
            parts.append(turns if n >= 1 << 61 else f"{turns} of {n + loop.before:,}")
        return ["in " + ", and there in ".join(parts)] if parts else []

    def too_deep(self, depth: int) -> None:
        """What a call does that is too deep, or that must be counted."""
        if depth > MAX_DEPTH:
            raise LimitError(
                f"calls are nested more than {MAX_DEPTH} deep, the limit",
                hint="does the function reach an end that does not call it again?",
            )
        self.tick()
        if not self.limited and not self.ctx.cancel:
            self.level[1] = MAX_DEPTH

    # ---- loops -----------------------------------------------------------------------------------
    def turns(self, iterable: Any) -> Any:
        """What a `for` goes through, in pieces."""
        sequence: Any
        if isinstance(iterable, (range, tuple, str)):
            sequence = iterable
        elif type(iterable) is Value:
            sequence = tuple(iterable)
        elif isinstance(iterable, np.ndarray):
            sequence = tuple(k.item() if isinstance(k, np.generic) else k for k in iterable)
        else:
            members.check_iterable(iterable)
            return self._pieces_of(iter(iterable))
        if len(sequence) <= SMALL_LOOP and not self.limited:
            self.tick()
            return self._few(sequence) if len(sequence) > 1 else (sequence,)
        return self._pieces(sequence)

    def _few(self, sequence: Any) -> Iterator[Any]:
        """A short loop goes on at once where its first turn was quick."""
        before = time.perf_counter()
        yield sequence[:1]
        rest = sequence[1:]
        if time.perf_counter() - before < BRIEF:
            yield rest
        else:
            yield from self._pieces(rest, 1)

    def forever(self) -> Iterator[range]:
        """Pieces of a `while` loop."""
        return self._pieces(range(1 << 62))

    def _sizes(self) -> Iterator[int]:
        """How many turns the next piece has, from how long the last ones took; each is a safe point."""
        size = 1
        before = time.perf_counter()
        while True:
            if self.limited:
                size = 1
            self.tick(size)
            yield size
            now = time.perf_counter()
            if now - before < BRIEF:
                size *= 2
            elif now - before > LONG:
                size = max(1, size // 2)
            before = now

    def _pieces(self, sequence: Any, before: int = 0) -> Iterator[Any]:
        loop = _Loop(sequence, before)
        sizes = self._sizes()
        self.loops.append(loop)
        try:
            while loop.start < loop.n:
                loop.size = next(sizes)
                loop.piece = sequence[loop.start : loop.start + loop.size]
                yield loop.piece
                loop.start += loop.size
                loop.size = 0
        finally:
            self.loops[:] = [other for other in self.loops if other is not loop]

    def ahead(self, run: Ahead, piece: Any, reads: Sequence[Any]) -> Any:
        """What is left of a loop's piece when the region that is the loop's body has run ahead.

        It may go on beyond the piece, but leaves one turn: what a whole turn binds is there afterwards.
        """
        loop = self.loops[-1] if self.loops else None
        if self.limited:
            return piece
        if loop is None or loop.piece is not piece:
            return piece[run(reads, len(piece) - 1, self._stopping) :]
        done = run(reads, loop.n - loop.start - 1, self._stopping)
        if not done:
            return piece
        loop.size = done + 1
        return loop.sequence[loop.start + done : loop.start + done + 1]

    def scalars(self, loop: Any, piece: Any, here: dict[str, Any], names: dict[str, Any]) -> Any:
        """What is left of a piece of a loop over single numbers, and what the bound names are then.

        None where all turns are to be run as they are written.
        """
        ctx = self.ctx
        if type(piece) is not range or self.limited or ctx.cancel:
            return None
        if ctx.anomaly or ctx.journal is not None or ctx.savepoint is not None:
            return None
        if ctx.tracer is not None:
            if ctx.tracer.records or not ctx.tracer.defers:
                return None
            ctx.stop_tracing()  # numbers that come last are not worth as much
        found = self.recurrences.get(loop)
        if found is None:
            if len(self.recurrences) == MAX_RECURRENCES:
                self.recurrences.clear()
            found = self.recurrences[loop] = import_module("vardsl.lang.scalars").Recurrence(loop)
        return found.run(piece, here, names, ctx, sys._getframe(1).f_code.co_filename)

    def _stopping(self) -> bool:
        """Whether the next safe point will stop the script."""
        deadline = self.ctx.budget.deadline
        return self.ctx.cancel or (deadline is not None and time.monotonic() > deadline)

    def _pieces_of(self, iterator: Iterator[Any]) -> Iterator[list[Any]]:
        sizes = self._sizes()
        while True:
            piece = list(islice(iterator, next(sizes)))
            if not piece:
                return
            yield piece

    # ---- journals --------------------------------------------------------------------------------
    def begin(self) -> Any:
        """Starts a journal; what was in force is handed back to `commit` or `rollback`."""
        before = self.ctx.journal
        self.ctx.journal = Journal(self.level)
        return before

    def commit(self, before: Any) -> None:
        journal = self.ctx.journal
        self.ctx.journal = before
        if before is not None and journal is not None:
            before.take(journal)

    def rollback(self, before: Any) -> None:
        journal = self.ctx.journal
        self.ctx.journal = before
        if isinstance(journal, Journal):
            # a call that failed has not counted itself down
            in_call = self.level[0] > journal.depth
            self.level[0] = journal.depth
            journal.undo(in_call=in_call)

    # ---- statements ------------------------------------------------------------------------------
    def print(self, *values: Any) -> None:
        self.write(" ".join([self.text(v) for v in values]) + "\n")

    def write(self, text: str) -> None:
        """Puts out text, within the limit."""
        unfollowed("something is printed")
        budget = self.ctx.budget
        if budget.max_output is not None:
            size = len(text.encode("utf-8", "replace"))
            budget.out_bytes += size
            if budget.out_bytes > budget.max_output:
                raise LimitError(
                    f"the script printed more than {budget.max_output:,} bytes, the limit (--max-output)"
                )
        self.emit(Printed(text))

    def show(self, value: Any) -> Any:
        """The value of an expression at a REPL's top level."""
        unfollowed("a value is shown")
        if value is not None:
            self.emit(Shown(value))
        return value

    def text(self, value: Any) -> str:
        """How a value prints."""
        if type(value) is str:
            return value
        if type(value) is float or type(value) is bool or value is None:
            return str(value)
        if type(value) is int:
            return integer_text(value)
        unfollowed("text is made of a value")
        return self.texts.text(value, self.ctx)

    def formatted(self, value: Any, spec: str) -> str:
        """`{value:spec}` of an f-string."""
        unfollowed("text is made of a value")
        if type(value) is Value and value.array.size == 1:
            value = value.array.item()
        elif isinstance(value, np.generic):
            value = value.item()
        if not spec:
            return self.text(value)
        if not isinstance(value, (int, float, str)):
            raise ScriptValueError(
                f"{kind_of(value)} cannot be formatted with {spec!r}",
                hint="only numbers, strings and one-element tensors",
            )
        digits = "".join(c if c.isdigit() else " " for c in spec).split()
        if any(len(d) > 6 for d in digits):
            raise LimitError(f"the width in the format {spec!r} is larger than 999,999, the limit")
        try:
            return format(value, spec)
        except (ValueError, OverflowError) as error:
            message = str(error).replace("object of type ", "").replace("'float'", "a real")
            message = message.replace("'int'", "an integer").replace("'str'", "a string")
            raise ScriptValueError(message, hint="formats are Python's: {x:.3f}, {x:>8}, {n:d}") from None

    def to_str(self, object: Any = "") -> str:
        """The text of a value, as `print` shows it."""
        return self.text(object)

    def set_printoptions(self, **options: Any) -> None:
        """Sets how tensors and arrays print; the options are those of PyTorch, and `numpy_legacy`."""
        keep_setting(self.ctx, "print_options")
        self.texts.set_printoptions(self.ctx, **options)

    def no_grad(self) -> bool:
        before = self.ctx.grad_enabled
        self.ctx.grad_enabled = False
        return before

    def set_grad(self, on: bool) -> None:
        self.ctx.grad_enabled = on

    def backward(
        self, roots: Sequence[Any], gradients: Sequence[Any], retain: bool, create: bool, step: bool
    ) -> None:
        if step:
            self.service("step", (roots, gradients, retain, create), (), None)
            return
        if len(roots) == 1 and type(roots[0]) is Value and not (gradients or retain or create):
            if not scalar_pass(roots[0]):
                run_backward(roots)
            return
        for r in roots:
            if type(r) is not Value:
                raise ScriptTypeError(
                    f"backward starts from tensors, and this is {kind_of(r)}",
                    hint="only what was computed from a variable with grad has a gradient",
                )
        if not (gradients or retain or create):
            run_backward(roots)
            return
        given = (
            [None if g is None else _gradient(g, r) for g, r in zip(gradients, roots)] if gradients else None
        )
        run_backward(list(roots), given, retain_graph=True if retain else None, create_graph=create)

    def zero_grad(self, *targets: Any) -> None:
        """Sets the gradients of these variables to none; an optimizer or a tuple stands for its variables."""
        bare = self.ctx.journal is None and self.ctx.tracer is None
        for t in targets:
            if type(t) is Value:
                continue
            bare = False
            if not isinstance(t, tuple) and not hasattr(type(t), "zero_grad"):
                raise ScriptTypeError(f"zero_grad is for variables, and this is {kind_of(t)}")
        if bare:
            for t in targets:
                t._grad = None
            return
        for t in targets:
            if type(t) is Value:
                members.clear_grad(t)
            elif isinstance(t, tuple):
                self.zero_grad(*t)
            else:
                t.zero_grad()

    def zero_all(self, names: dict[str, Any], here: dict[str, Any]) -> None:
        unfollowed("the gradients of all variables are cleared")
        for table in (names, here):
            for key in list(table):
                if table is here or key[0] == ":":
                    self._zero_in(table[key])

    def _zero_in(self, x: Any) -> None:
        if type(x) is Value:
            members.clear_grad(x)
        elif type(x) is tuple:
            for k in x:
                if type(k) is Value:
                    members.clear_grad(k)

    def failed(self, message: Any) -> None:
        """A failed `assert`."""
        raise ScriptAssertError("assertion failed" if message is None else self.text(message))

    def minimize(
        self, objective: Any, over: Sequence[Any], using: Any, steps: Any, until: Any, region: Any = None
    ) -> float:
        unfollowed("minimize")
        given = {} if steps is None else {"steps": steps}
        run = import_module("vardsl.lang.minimize").minimize
        loss: float = run(
            objective, over, using, until=until, progress=self._progress, region=region, **given
        )
        return loss

    def _progress(self, turn: int, steps: int, loss: float) -> None:
        self.emit(Progress(turn, steps, loss))

    def service(self, word: str, values: Any, extra: Any, to: Any) -> Any:
        """Statements about the recorded graph; the session's services do them."""
        unfollowed(word)
        found = self.services.get(word)
        if found is None:
            raise ScriptTypeError(f"{word} is not part of this version")
        return found(values, extra, to)

    def sync(self, names: dict[str, Any], pairs: tuple[tuple[str, str], ...], here: dict[str, Any]) -> None:
        """Writes the file's variables back that a nested statement had as locals."""
        outer = names["__builtins__"]
        for key, local in pairs:
            if local in here:
                value = here[local]
                if self.ctx.followed:
                    value = operators.bare(value)  # an error has come before a recording was over
                if key in names or key not in outer or value is not outer[key]:
                    names[key] = value
            else:
                names.pop(key, None)

    # ---- names -----------------------------------------------------------------------------------
    def helpers(self) -> dict[str, Any]:
        """What generated code finds under names that begin with a point."""
        return {
            **operators.HELPERS,
            ".tensor": literals.tensor, ".array": literals.unpacked, ".var": literals.var, ".slice": slice,
            ".member": members.get, ".space": members.namespace_member, ".formatted": self.formatted,
            ".tick": self.tick, ".too_deep": self.too_deep, ".level": self.level, ".turns": self.turns,
            ".forever": self.forever, ".ahead": self.ahead, ".scalars": self.scalars, ".len": len,
            ".begin": self.begin, ".commit": self.commit,
            ".rollback": self.rollback, ".print": self.print, ".show": self.show, ".no_grad": self.no_grad,
            ".set_grad": self.set_grad, ".backward": self.backward, ".zero_grad": self.zero_grad,
            ".zero_all": self.zero_all, ".failed": self.failed, ".minimize": self.minimize,
            ".service": self.service, ".sync": self.sync, ".locals": python.locals,
            ".anything": BaseException, ".unbound": NameError,
        }  # fmt: skip


class _Loop:
    """A loop over a sequence: `size` turns from `start` on are running; `before` came before the sequence."""

    __slots__ = ("before", "n", "piece", "sequence", "size", "start")

    def __init__(self, sequence: Any, before: int) -> None:
        self.sequence = sequence
        self.before = before
        self.n = 1 << 62 if isinstance(sequence, range) and sequence.stop >= 1 << 61 else len(sequence)
        self.start = self.size = 0
        self.piece: Any = None


def integer_text(n: int) -> str:
    """The digits of an integer. Raises LimitError for more than Python writes at a time."""
    try:
        return str(n)
    except ValueError:
        raise LimitError(
            f"an integer of {n.bit_length():,} bits has more digits than are written at a time",
            hint="float(n) shows its size",
        ) from None


def _gradient(g: Any, root: Value) -> Value:
    if type(g) is Value:
        return g
    if isinstance(g, (int, float)) and root.array.ndim == 0:
        return Value(np.asarray(g, root.array.dtype))
    raise ScriptTypeError(f"the gradient after with must be a tensor like the root, not {kind_of(g)}")
