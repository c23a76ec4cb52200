"""A tensor with a history: an array, and the graph node that made it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from vardsl.engine.context import state
from vardsl.engine.dtypes import BY_NP, Array, DType
from vardsl.engine.node import Like as Like
from vardsl.engine.node import Node as Node
from vardsl.engine.pending import pending
from vardsl.engine.temporaries import BY_REFLECTION
from vardsl.errors import GradError, ScriptTypeError, ScriptValueError


class Tracked:
    """A plain number that a recording follows: `beside(op, tensor)` stands for it in an operation with a
    tensor, `bare()` is the number itself, `pinned()` lets only this number do, `combined(fn)` is what a
    function makes of it."""

    __slots__ = ()

    def bare(self) -> Any:
        raise NotImplementedError

    def pinned(self) -> Any:
        raise NotImplementedError

    def beside(self, op: str, tensor: Value) -> Any:
        raise NotImplementedError

    def combined(self, fn: Callable[..., Any]) -> Any:
        raise NotImplementedError


Infix = Callable[[Any, Any], Any]


class Table(dict[str, Any]):
    """Every operation by name; a name that is not there yet is asked of `loader`, which raises KeyError."""

    loader: Callable[[str], Any]

    def __missing__(self, name: str) -> Any:
        return self.loader(name)


EPOCH = [0]
"""Counts changes of what a plan takes for granted of a value: its memory, its place in the graph, its
hooks."""

OPS = Table()
"""The table; `ops/define.py` fills it, family by family."""

ONE_OF_SEVERAL = (
    "This view is the output of a function that returns multiple views. Such functions do not allow the "
    "output views "
    "to be modified inplace. You should replace the inplace operation by an out-of-place one."
)

class Value:
    """A tensor. `array` holds the numbers; `node` made it (None: a leaf); `vc` is its storage's version
    counter.

    What an operation gives without dimensions stays a NumPy scalar in `array`: it has the members of an array
    that is only read, and NumPy computes with it several times faster. Whoever shares or changes the memory
    asks for it by `memory()`.

    A view has the `base` whose storage it shares and the `chain` of view operations that leads from there;
    when the base is changed in place, the view's node is made anew from them.
    """

    __slots__ = (
        "__weakref__", "_grad", "_node", "_requires", "array", "base", "chain", "hooks", "index", "seen",
        "vc",
    )  # fmt: skip
    chain: Any
    seen: int
    hooks: Any

    def __init__(self, array: Array, requires_grad: bool = False) -> None:
        self.array = array
        self._requires = requires_grad
        self._node: Node | None = None
        self.index = 0
        self._grad: Value | None = None
        self.vc: list[int] | None = None
        self.base: Value | None = None
        self.hooks: list[Any] | None = None

    # ---- graph -------------------------------------------------------------------------------------------
    @property
    def node(self) -> Node | None:
        base = self.base
        if base is not None and self.vc is not None and self.seen != self.vc[0]:
            self._replay(base)
        return self._node

    @node.setter
    def node(self, node: Node | None) -> None:
        self._node = node

    def _replay(self, base: Value) -> None:
        """Takes part in what happened in place to the storage that this view shares."""
        assert self.vc is not None
        if not self.chain or not base.requires_grad:
            self.seen = self.vc[0]
            return
        if self.one_of_several:
            made = f"Output {self.index} of {self._node.stem}" if self._node is not None else "This"
            raise GradError(
                f"{made} is a view and its base or another view of its base has been modified inplace. "
                f"{ONE_OF_SEVERAL}"
            )
        self.seen = self.vc[0]
        before, state.ctx.grad_enabled = state.ctx.grad_enabled, True
        try:
            v: Value = base
            for op, args in self.chain:
                v = op.apply_view(v, args)
        finally:
            state.ctx.grad_enabled = before
        node = v._node
        if node is not None:
            node.name = "AsStridedBackward0"
            old = self._node
            if old is not None and old.retained and old.retained.get(self.index) is self:
                old.retained.pop(self.index)
                node.retained = {v.index: self}
            self._node, self.index = node, v.index

    @property
    def one_of_several(self) -> bool:
        """Whether this is a view that came with others from one operation."""
        return any(args[1] is not None for _, args in self.chain or ())

    @property
    def requires_grad(self) -> bool:
        return self._requires or self._node is not None or self.node is not None

    @property
    def is_leaf(self) -> bool:
        return self.node is None

    @property
    def grad_fn(self) -> Node | None:
        return self.node

    @property
    def grad(self) -> Value | None:
        """The accumulated gradient; reading it of a non-leaf that does not retain it warns, as in PyTorch."""
        if self._grad is None and self.node is not None and not self.retains_grad:
            state.ctx.warn(
                "grad",
                "The .grad attribute of a Tensor that is not a leaf Tensor is being accessed. "
                "Its .grad attribute won't be populated during autograd.backward().",
                "call .retain_grad() on it before backward, or look at a leaf",
            )
        return self._grad

    @grad.setter
    def grad(self, g: Value | None) -> None:
        self._grad = g

    @property
    def retains_grad(self) -> bool:
        node = self.node
        return node is not None and node.retained is not None and self.index in node.retained

    @property
    def version(self) -> int:
        return self.vc[0] if self.vc is not None else 0

    # ---- plain facts ---------------------------------------------------------------------------------------
    @property
    def shape(self) -> tuple[int, ...]:
        return self.array.shape

    @property
    def ndim(self) -> int:
        return self.array.ndim

    @property
    def dtype(self) -> DType:
        return BY_NP[self.array.dtype]

    @property
    def numel(self) -> int:
        return self.array.size

    size = numel
    """As arrays have it: rules run on both."""

    @property
    def type_name(self) -> str:
        """`torch.FloatTensor`, as PyTorch's sentences call it."""
        return f"torch.{self.dtype.type_name}Tensor"

    @property
    def data(self) -> Value:
        """The same memory outside the graph, with a version counter of its own."""
        v = Value(self.memory())
        if state.ctx.tracer is not None:
            state.ctx.tracer.alias(self, v)
        return v

    def detach(self) -> Value:
        """The same memory outside the graph; changes of it are noticed by backward."""
        v = Value(self.memory())
        v.vc = shared_counter(self)
        v.base = self.base if self.base is not None else self
        v.chain = None  # no view of the base as far as the graph is concerned
        v.seen = v.vc[0]
        if state.ctx.tracer is not None:
            state.ctx.tracer.alias(self, v)
        return v

    def numpy(self) -> Array:
        """The array itself, sharing memory. Raises GradError where the value takes part in the graph."""
        if self.requires_grad:
            raise GradError(
                "Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() instead.",
                hint="v.data.numpy() and v.detach().numpy() give the numbers out of the graph",
            )
        self._escapes()
        return self.memory()

    def memory(self) -> Array:
        """The array to share or to change; what was a number so far gets memory of its own."""
        a = self.array
        if type(a) is not np.ndarray:
            waiting = pending(a)
            a = self.array = np.array(a) if waiting is None else waiting.real()
            EPOCH[0] += 1
        return a

    def _escapes(self) -> None:
        """Its numbers are looked at: what follows may depend on them, so that no plan can foresee it."""
        if state.ctx.tracer is not None:
            state.ctx.tracer.escape(self)

    def item(self) -> int | float | bool:
        """The only element as a Python number."""
        self._escapes()
        if self.array.size != 1:
            raise ScriptValueError(f"a Tensor with {self.array.size} elements cannot be converted to Scalar")
        return self.array.item()  # type: ignore[no-any-return]

    def tolist(self) -> Any:
        self._escapes()
        return self.array.tolist()

    def to_dtype(self, dtype: DType) -> Value:
        """The same values in another dtype; itself where it has that already."""
        return OPS["to"](self, dtype)  # type: ignore[no-any-return]

    def requires_grad_(self, requires_grad: bool = True) -> Value:
        """Makes a leaf take part in the graph, or not."""
        if not requires_grad and self.node is not None:
            raise GradError(
                "you can only change requires_grad flags of leaf variables. "
                "If you want to use a computed variable in a subgraph that doesn't require differentiation "
                "use "
                "var_no_grad = var.detach()."
            )
        if requires_grad and self.array.dtype.kind != "f":
            raise GradError("only Tensors of floating point dtype can require gradients")
        if self.node is None:
            self.memory()
            self._requires = requires_grad
            EPOCH[0] += 1
        return self

    def retain_grad(self) -> None:
        """Lets backward keep the gradient of a non-leaf as well."""
        node = self.node
        if not self.requires_grad:
            raise GradError("can't retain_grad on Tensor that has requires_grad=False")
        if node is not None:
            if node.retained is None:
                node.retained = {}
            node.retained[self.index] = self

    def register_hook(self, hook: Callable[[Value], Value | None]) -> HookHandle:
        """Calls `hook` with the gradient of this value whenever it is computed; what it returns replaces
        it."""
        if not self.requires_grad:
            raise GradError("cannot register a hook on a tensor that doesn't require gradient")
        node = self.node
        entry = (self.index, hook)
        if node is not None:
            node.hooks = [*(node.hooks or []), entry]
            return HookHandle(node, entry)
        self.hooks = [*(self.hooks or []), entry]
        EPOCH[0] += 1
        return HookHandle(self, entry)

    # ---- Python's protocols -----------------------------------------------------------------------------
    def __repr__(self) -> str:
        return f"Value({self.array!r})"

    def __len__(self) -> int:
        if self.array.ndim == 0:
            raise ScriptTypeError("len() of a 0-d tensor")
        return int(self.array.shape[0])

    def __bool__(self) -> bool:
        self._escapes()
        a = self.array
        if a.size != 1:
            if a.size == 0:
                raise ScriptValueError("Boolean value of Tensor with no values is ambiguous")
            raise ScriptValueError(
                "Boolean value of Tensor with more than one value is ambiguous",
                hint="use any(x) or all(x), or logical_and(x, y) for element by element",
            )
        return bool(a.item())

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __index__(self) -> int:
        self._escapes()
        if self.array.size == 1 and self.array.dtype.kind in "iub":
            return int(self.array.item())
        raise ScriptTypeError("only integer tensors of a single element can be converted to an index")

    def __iter__(self) -> Iterator[Value]:
        if self.array.ndim == 0:
            raise ScriptTypeError("iteration over a 0-d tensor")
        return iter(OPS["unbind"](self))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        a = self.numpy()
        if dtype is not None and a.dtype != dtype:
            return a.astype(dtype)
        return a.copy() if copy else a

    def __dlpack__(self, **keywords: Any) -> Any:
        return self.numpy().__dlpack__(**keywords)

    def __dlpack_device__(self) -> tuple[int, int]:
        return self.memory().__dlpack_device__()

    __hash__ = object.__hash__

    # NumPy's operators leave what they have to do with a tensor to the tensor
    __array_priority__ = 1000.0

    def __getitem__(self, index: Any) -> Value:
        return OPS["getitem"](self, index)  # type: ignore[no-any-return]

    def __setitem__(self, index: Any, value: Any) -> None:
        OPS["setitem_"](self, index, value)

    # ---- operators ----------------------------------------------------------------------------------------
    # `infix.py` gives the commonest
    __add__: Infix
    __sub__: Infix
    __mul__: Infix
    __truediv__: Infix
    __matmul__: Infix
    __radd__: Infix
    __rmul__: Infix

    def __rsub__(self, other: Any) -> Any:
        return OPS["rsub"].binary(self, other, BY_REFLECTION)

    def __rtruediv__(self, other: Any) -> Any:
        return OPS["_rdiv"].binary(self, other)

    def __floordiv__(self, other: Any) -> Any:
        return OPS["floor_divide"].binary(self, other)

    def __rfloordiv__(self, other: Any) -> Any:
        return OPS["floor_divide"].binary(other, self)

    def __mod__(self, other: Any) -> Any:
        return OPS["remainder"].binary(self, other)

    def __rmod__(self, other: Any) -> Any:
        return OPS["remainder"].binary(other, self)

    def __pow__(self, other: Any) -> Any:
        return OPS["pow"].binary(self, other)

    def __rpow__(self, other: Any) -> Any:
        return OPS["pow"].binary(other, self)

    def __rmatmul__(self, other: Any) -> Any:
        return OPS["matmul"].binary(other, self, BY_REFLECTION)

    def __neg__(self) -> Any:
        return OPS["neg"](self)

    def __pos__(self) -> Any:
        return OPS["positive"](self)

    def __invert__(self) -> Any:
        return OPS["bitwise_not"](self)

    def __abs__(self) -> Any:
        return OPS["abs"](self)

    def __and__(self, other: Any) -> Any:
        return OPS["bitwise_and"].operator(self, other)

    def __rand__(self, other: Any) -> Any:
        return OPS["bitwise_and"].operator(other, self)

    def __or__(self, other: Any) -> Any:
        return OPS["bitwise_or"].operator(self, other)

    def __ror__(self, other: Any) -> Any:
        return OPS["bitwise_or"].operator(other, self)

    def __eq__(self, other: object) -> Any:
        return OPS["eq"].binary(self, other)

    def __ne__(self, other: object) -> Any:
        return OPS["ne"].binary(self, other)

    def __lt__(self, other: Any) -> Any:
        return OPS["lt"].binary(self, other)

    def __le__(self, other: Any) -> Any:
        return OPS["le"].binary(self, other)

    def __gt__(self, other: Any) -> Any:
        return OPS["gt"].binary(self, other)

    def __ge__(self, other: Any) -> Any:
        return OPS["ge"].binary(self, other)


class HookHandle:
    """What `register_hook` returns; `remove()` takes the hook off again."""

    __slots__ = ("entry", "owner")

    def __init__(self, owner: Any, entry: tuple[int, Any]) -> None:
        self.owner = owner
        self.entry = entry

    def remove(self) -> None:
        self.owner.hooks = [e for e in self.owner.hooks or [] if e is not self.entry]


def shared_counter(v: Value) -> list[int]:
    """The version counter of a value's storage, made on first need."""
    if v.vc is None:
        v.vc = [0]
        if v._node is not None and v._node.keeps_output:
            v._node.vc = v.vc
    return v.vc


def make_view(array: Array, of: Value, op: Any, args: Any, *, differentiable: bool = True) -> Value:
    """A value over memory of `of`; `op.apply_view(value, args)` makes the same view of another value.

    A view that is made where nothing is recorded has an empty chain.
    """
    v = Value(array)
    v.vc = shared_counter(of)
    v.seen = v.vc[0]
    if of.base is None or of.chain is None:
        v.base = of
        v.chain = ((op, args),) if differentiable else ()
    else:
        v.base = of.base
        v.chain = (*of.chain, (op, args)) if differentiable and of.chain else ()
    return v


def fixed(array: Array, requires_grad: bool = False) -> Value:
    """A value of numbers that are the same whenever this is done; a plan that is being recorded is told."""
    v = Value(array, requires_grad)
    if state.ctx.tracer is not None:
        state.ctx.tracer.constant(v)
    return v


def leaf(data: Any, dtype: Any = None, requires_grad: bool = False) -> Value:
    """A new leaf that owns a copy of `data`."""
    return Value(np.array(data, dtype=dtype), requires_grad)
