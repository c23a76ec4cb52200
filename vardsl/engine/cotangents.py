"""How the cotangent of one input comes from that of the output, on bare arrays: a function for each input of
an operation, made when the operation is declared, that asks only what its rule leaves open.

`plan/straight.py` writes the same as code, for expressions whose operands are known.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from vardsl.engine.casting import SCALARS
from vardsl.engine.large import LARGE, pointwise
from vardsl.engine.node import Like, Node
from vardsl.engine.rule import Rule, bare, check_versions, fetch
from vardsl.engine.tiles import add_columns, add_up, folded_axes
from vardsl.engine.value import OPS, Value

multiply, ndarray = np.multiply, np.ndarray
Way = Callable[[Node, Any], Any]
Both = Callable[[Node, Any], tuple[Any, Any]]


# ---- sizes -------------------------------------------------------------------------------------------------
def unbroadcast(g: Any, like: Like) -> Any:
    """Sums a cotangent down to the shape, and casts it to the dtype, of an input that was broadcast."""
    shape = like.shape
    if type(g) is Value:
        if g.array.shape != shape:
            g = OPS["sum_to_size"](g, shape)
        dtype = g.array.dtype
    else:
        if g.shape != shape:
            g = sum_to(g, shape)
        dtype = g.dtype
    if dtype is not like.dtype and dtype != like.dtype:
        g = OPS["_cast"](g, like.dtype)
    return g


_folded = lru_cache(1024)(folded_axes)


def sum_to(g: Any, shape: tuple[int, ...]) -> Any:
    """`g` summed over the dimensions in which `shape` is smaller; `shape` broadcasts to that of `g`."""
    if g.ndim == 2 and g.shape[1:] == shape:
        return add_columns(g)
    axes = _folded(g.shape, shape)
    if not axes:
        return g.reshape(shape)
    whole = len(axes) == g.ndim - len(shape)
    y = add_up(g, axes, g.dtype, not whole)
    return y if y.shape == shape else y.reshape(shape)


def spread(g: Any, shape: tuple[int, ...]) -> Any:
    """A cotangent at full size, where a full reduction's rule left it 0-d."""
    size = 1
    for n in shape:
        size *= n
    if size > 65_536:
        return np.broadcast_to(g, shape)
    full = np.empty(shape, g.dtype)
    full.fill(g)
    return full


class Unbroadcast(Rule):
    """A masked rule, whose result is summed to the shape of its parameter where that was broadcast."""

    __slots__ = ("parameter",)

    def __init__(self, rule: Rule, parameter: int) -> None:
        self.fn, self.arguments, self.takes_y = rule.fn, rule.arguments, rule.takes_y
        self.only, self.with_g, self.with_like, self.itself = rule.only, rule.with_g, rule.with_like, False
        self.likes = rule.likes
        self.parameter = parameter

    def __call__(self, node: Node, g: Any, as_values: bool) -> Any:
        r = Rule.__call__(self, node, g, as_values)
        return r if node.likes is None else _fitted(r, node.likes[self.parameter])


# ---- one input ---------------------------------------------------------------------------------------------
def way(rule: Any, i: int, factor: bool, arrays: tuple[int, ...]) -> Way:
    """The cotangent of the input that is parameter `i`, by its rule; `factor`: that is what the cotangent is
    multiplied with. The parameters `arrays` are arrays.

    Whoever calls has looked at the versions of a node that notes some.
    """
    if rule is None:
        return _nothing
    if not factor:
        found = _by_pair(rule) if rule.with_g >= 0 else _by_rule(rule, arrays)
        return _summed(found, rule.parameter) if type(rule) is Unbroadcast else found
    if type(rule) is not Rule:
        return _by_number(rule, i)
    if rule.only >= 0 and rule.only not in arrays:
        return _by_static(rule, rule.only, i)
    if rule.only >= 0:
        return _by_argument(rule, rule.only, i)
    return _by_output(rule, i) if rule.only == -1 else _by_product(_by_rule(rule, arrays), i)


def _nothing(node: Node, g: Any) -> None:
    return None


def _saved(node: Node, i: int) -> Any:
    """A saved argument as an array. Raises GradError where it has been changed in place since."""
    a = node.args[i]
    if type(a) is Value:
        if a.vc is not None and a.vc[0] and node.versions is None:
            check_versions(node)
        return a.array
    if type(a) is list:
        if node.versions is None:
            check_versions(node)
        return bare(a)
    return a


def _by_pair(rule: Rule) -> Way:
    """A rule of the cotangent and one argument."""
    kept, masked = rule.with_g, type(rule) is Unbroadcast

    def found(node: Node, g: Any) -> Any:
        if g.shape != node.shape:
            g = spread(g, node.shape)
        a = node.args[kept]
        if type(a) is Value and (a.vc is None or not a.vc[0] or node.versions is not None):
            a = a.array
        else:
            a = _saved(node, kept)
        return pointwise(rule.fn, (g, a)) if masked and g.size >= LARGE else rule.fn(g, a)

    return found


def _by_rule(rule: Rule, arrays: tuple[int, ...]) -> Way:
    """Any other rule: what it names is fetched in order."""
    masked = type(rule) is Unbroadcast and not rule.likes
    steps = [("static" if kind == "arg" and i not in arrays else kind, i) for kind, i in rule.arguments]

    def found(node: Node, g: Any) -> Any:
        if g.shape != node.shape:
            g = spread(g, node.shape)
        given: list[Any] = []
        for kind, i in steps:
            if kind == "g":
                given.append(g)
            elif kind == "static":
                given.append(node.args[i])
            elif kind == "arg":
                given.append(_saved(node, i))
            elif kind == "y":
                given.append(node.y)
            elif kind == "like":
                given.append(node.likes[i])
            else:
                given.append(fetch(kind, i, node, g, False))
        return pointwise(rule.fn, given) if masked and g.size >= LARGE else rule.fn(*given)

    return found


def _summed(found: Way, i: int) -> Way:
    """What a rule gives, at the size of its input."""

    def summed(node: Node, g: Any) -> Any:
        r = found(node, g)
        return r if node.likes is None else _fitted(r, node.likes[i])

    return summed


def _by_number(rule: Any, i: int) -> Way:
    """A factor that is the same everywhere, as in sums."""

    def found(node: Node, g: Any) -> Any:
        likes = node.likes
        if likes is None:
            return g if rule == 1 else times(g, rule)
        if g.shape != node.shape:
            g = spread(g, node.shape)
        like = likes[i]
        r = g if rule == 1 else times(g, rule)
        return r if like is None else unbroadcast(r, like)

    return found


def _by_static(rule: Rule, kept: int, i: int) -> Way:
    """A factor made of a parameter that is no array, as in `a + alpha b`."""
    fn = None if rule.itself else rule.fn

    def found(node: Node, g: Any) -> Any:
        factor = node.args[kept]
        if fn is not None:
            factor = fn(factor)
        likes = node.likes
        if likes is not None and g.shape != node.shape:
            g = spread(g, node.shape)
        r = g if type(factor) is int and factor == 1 else times(g, factor)
        like = None if likes is None else likes[i]
        return r if like is None else unbroadcast(r, like)

    return found


def _by_argument(rule: Rule, kept: int, i: int) -> Way:
    """A factor made of one argument; in products it is the other one."""
    itself = rule.itself

    def found(node: Node, g: Any) -> Any:
        likes = node.likes
        if likes is not None:
            g = _whole(node, g)  # the other input may be the one that is smaller
        a = node.args[kept]
        if type(a) is Value and (a.vc is None or not a.vc[0] or node.versions is not None):
            x = a.array
            if x.size >= LARGE and type(g) is not Value:
                r = _scaled(g, None if itself else rule.fn, x)
            else:
                r = g * (x if itself else rule.fn(x))
        else:
            a = _saved(node, kept)
            r = times(g, a if itself else rule.fn(a))
        return r if likes is None else _fitted(r, likes[i])

    return found


def _by_output(rule: Rule, i: int) -> Way:
    """A factor made of the result."""
    fn = rule.fn

    def found(node: Node, g: Any) -> Any:
        likes = node.likes
        if likes is None:
            y = node.y
            if y.size >= LARGE and type(g) is not Value:
                return _scaled(g, fn, y)
            factor = fn(y)
            return g * factor if type(factor) is ndarray else times(g, factor)
        return _fitted(times(_whole(node, g), fn(node.y)), likes[i])

    return found


def _by_product(factor: Way, i: int) -> Way:
    """A factor made of several things."""

    def found(node: Node, g: Any) -> Any:
        likes = node.likes
        if likes is None:
            return times(g, factor(node, g))
        g = _whole(node, g)
        return _fitted(times(g, factor(node, g)), likes[i])

    return found


# ---- both inputs in one call -------------------------------------------------------------------------------
def both(inputs: list[tuple[int, Any]], factor: bool, arrays: tuple[int, ...]) -> Both | None:
    """The cotangents of the two inputs of operations whose nodes are the commonest, or None."""
    if len(inputs) != 2:
        return None
    (i, left), (j, right) = inputs
    if factor and left == 1 and type(right) is Rule and right.only >= 0 and right.only not in arrays:
        return _of_sum(i, j, right)
    if factor or type(left) is not Rule or type(right) is not Rule:
        return None
    if (left.with_g, right.with_g) == (j, i):
        return _of_product(left.fn, right.fn, i, j)
    return None


def _of_sum(i: int, j: int, rule: Rule) -> Both:
    """Of a sum or difference: a factor made of a parameter, for the right one."""
    kept, fn = rule.only, rule.fn

    def found(node: Node, g: Any) -> tuple[Any, Any]:
        likes = node.likes
        factor = fn(node.args[kept])
        if likes is None:
            return g, g if type(factor) is int and factor == 1 else times(g, factor)
        if g.shape != node.shape:
            g = spread(g, node.shape)
        q = g if type(factor) is int and factor == 1 else times(g, factor)
        left, right = likes[i], likes[j]
        bias = left is None and type(q) is ndarray and q.ndim == 2  # much the commonest
        if bias and q.shape[1:] == right.shape and q.dtype is right.dtype:
            return g, add_columns(q)
        return g if left is None else unbroadcast(g, left), q if right is None else unbroadcast(q, right)

    return found


def _of_product(first: Callable[..., Any], second: Callable[..., Any], i: int, j: int) -> Both:
    """By two rules of the cotangent and the other input."""

    def found(node: Node, g: Any) -> tuple[Any, Any]:
        if g.shape != node.shape:
            g = spread(g, node.shape)
        args = node.args
        a, b = args[i], args[j]
        if type(a) is Value and (a.vc is None or not a.vc[0] or node.versions is not None):
            a = a.array
        else:
            a = _saved(node, i)
        if type(b) is Value and (b.vc is None or not b.vc[0] or node.versions is not None):
            b = b.array
        else:
            b = _saved(node, j)
        return first(g, b), second(g, a)

    return found


def _whole(node: Node, g: Any) -> Any:
    return g if g.shape == node.shape else spread(g, node.shape)


def _fitted(r: Any, like: Like | None) -> Any:
    return r if like is None else unbroadcast(r, like)


def _scaled(g: Any, fn: Callable[..., Any] | None, x: Any) -> Any:
    """A cotangent times a large array, or times a function of that: a local derivative."""
    if fn is None:
        return pointwise(multiply, (g, x))
    return pointwise(lambda g, x: times(g, fn(x)), (g, x))


def times(g: Any, factor: Any) -> Any:
    """A cotangent times a local derivative, which may be a plain number."""
    if type(factor) is int and (factor == 1 or factor == -1):
        if factor == 1:
            return g
        return -g if type(g) is not ndarray or g.size < LARGE else pointwise(np.negative, (g,))
    if type(factor) is float and type(g) is ndarray:
        factor = SCALARS[g.dtype].get(factor, factor)
        return multiply(g, factor) if g.size < LARGE else pointwise(multiply, (g, factor))
    return g * factor
