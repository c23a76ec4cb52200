"""Records how PyTorch prints tensors, for test_printing.py: run it with a Python that has torch 2.13.

    python record_printing.py > printing.json

A case holds its tensor either whole (`data`, non-finite values as strings) or, where it is large, as the
parameters of `generated`; the test builds the same array from it.
"""

import itertools
import json
import random

import numpy as np

FLOATS = ("float32", "float64")
INTEGERS = ("int64", "int32", "int16", "int8", "uint8")
SHAPES = [
    (),
    (1,),
    (3,),
    (7,),
    (2, 2),
    (1, 1),
    (3, 1),
    (2, 3),
    (2, 1, 2),
    (2, 2, 2),
    (1, 2, 1, 3),
    (2, 1, 2, 1, 2),
]
NODES = ["MulBackward0", "MeanBackward0", "UnsafeViewBackward0", "BinaryCrossEntropyWithLogitsBackward0"]


def generated(shape, dtype, *, step, period, shift, scale):
    """A large array from a formula that is exact everywhere."""
    counts = np.arange(int(np.prod(shape)), dtype=np.int64)
    values = ((counts * step) % period - shift) * scale
    return values.astype(dtype).reshape(shape)


def build(case):
    """The array of a case."""
    if "generated" in case:
        return generated(tuple(case["shape"]), case["dtype"], **case["generated"])
    values = [float(x) if isinstance(x, str) else x for x in case["data"]]
    return np.array(values, case["dtype"]).reshape(case["shape"])


def whole(shape, dtype, values, **facts):
    """A case that lists its elements; a float is written as short as its dtype allows."""
    array = np.array(values, dtype)
    if array.dtype.kind == "f":
        data = [float(str(x)) if np.isfinite(x) else str(x) for x in array]
    else:
        data = array.tolist()
    return {"shape": list(shape), "dtype": dtype, "data": data, **facts}


def magnitudes(rng):
    """Reals of every size and mixture, in every shape."""
    scales = [1.0, 1e-3, 1e-5, 1e-20, 100.0, 12345.0, 1e6, 3e8, 1e15, 1e30]
    for shape, dtype, scale in itertools.product(SHAPES, FLOATS, scales):
        yield whole(shape, dtype, [rng.gauss(0, 1) * scale for _ in range(int(np.prod(shape)))])
    for shape, dtype in itertools.product(SHAPES, FLOATS):
        size = int(np.prod(shape))
        yield whole(shape, dtype, [10 ** rng.uniform(-3, 3) for _ in range(size)])
        yield whole(shape, dtype, [float(rng.randint(-9, 9)) for _ in range(size)])
        yield whole(shape, dtype, [float(rng.randint(-99999, 99999)) for _ in range(size)])
        yield whole(shape, dtype, [rng.choice([0.0, -0.0, 1.0, 0.5]) for _ in range(size)])


def boundaries():
    """Values at the borders between the forms."""
    edges = [
        1e-4,
        9.9999e-5,
        1.00001e-4,
        1e8,
        1.0000001e8,
        99999999.0,
        1000.0,
        1000.5,
        0.99995,
        0.99994,
        9999.99995,
    ]
    edges += [1e-45, 5e-324, 1e-38, 3.4e38, 1.7e308, 2.0**24, 2.0**53, 0.1, 1 / 3, 2 / 3, 1e16, 123456789.0]
    for dtype, x in itertools.product(FLOATS, edges):
        with np.errstate(over="ignore"):
            for values in (
                [x],
                [-x],
                [x, 1.0],
                [x, 0.0],
                [x, 0.5],
                [x, float("inf")],
                [x, x * 1000],
                [x, x * 1001],
            ):
                yield whole((len(values),), dtype, values)
            yield whole((), dtype, [x])


def specials(rng):
    """Infinities, NaN and signed zeros among others."""
    odd = [float("inf"), float("-inf"), float("nan"), 0.0, -0.0]
    for dtype, x in itertools.product(FLOATS, odd):
        yield whole((), dtype, [x])
    for dtype, count in itertools.product(FLOATS, range(1, 6)):
        for picked in itertools.islice(itertools.combinations(odd, count), 6):
            for rest in ([], [1.0], [2.5], [-1e10], [1e-7, 1.0], [123.0, -4.0]):
                yield whole((count + len(rest),), dtype, [*picked, *rest])


def integers(rng):
    """Integers and booleans in columns."""
    for shape, dtype in itertools.product(SHAPES, INTEGERS):
        info = np.iinfo(dtype)
        size = int(np.prod(shape))
        yield whole(shape, dtype, [rng.randint(max(info.min, -9), 9) for _ in range(size)])
        yield whole(shape, dtype, [rng.randint(info.min, info.max) for _ in range(size)])
    for shape in SHAPES:
        yield whole(shape, "bool", [rng.random() < 0.5 for _ in range(int(np.prod(shape)))])
        yield whole(shape, "bool", [True] * int(np.prod(shape)))


def empties():
    """Tensors without elements."""
    for shape in [(0,), (0, 3), (3, 0), (2, 0, 4), (0, 0)]:
        for dtype in (*FLOATS, *INTEGERS, "bool"):
            yield whole(shape, dtype, [])
        yield whole(shape, "float32", [], requires_grad=True)
        yield whole(shape, "float64", [], default_dtype="float64")
        yield whole(shape, "float32", [], default_dtype="float64", grad_fn="MulBackward0")


def wrapping(rng):
    """Rows around the line width, with every suffix around the end of the last line."""
    for n in [*range(8, 30), 40, 79, 100]:
        yield whole((n,), "float32", [rng.gauss(0, 1) for _ in range(n)], grad_fn=rng.choice(NODES))
        yield whole((n,), "float64", [float(i) for i in range(n)], requires_grad=True)
        yield whole((2, n), "int64", [rng.randint(0, 10 ** rng.randint(1, 9)) for _ in range(2 * n)])
        yield whole((n,), "int32", list(range(n)))
        yield whole((2, 1, n), "float32", [rng.uniform(-20, 2000) for _ in range(2 * n)], requires_grad=True)
        yield whole((n,), "bool", [i % 3 == 0 for i in range(n)])


def suffixes(rng):
    """Who requires grad, and where it came from."""
    for shape, dtype, default in itertools.product([(), (2,), (2, 2), (9,)], FLOATS, FLOATS):
        values = [rng.gauss(0, 5) for _ in range(int(np.prod(shape)))]
        yield whole(shape, dtype, values, default_dtype=default, requires_grad=True)
        yield whole(shape, dtype, values, default_dtype=default)
        for node in NODES:
            yield whole(shape, dtype, values, default_dtype=default, requires_grad=True, grad_fn=node)


def summarised():
    """More elements than the threshold."""
    shapes = [(1001,), (1000,), (40, 40), (5, 300), (300, 5), (2, 600), (7, 7, 30), (6, 6, 30), (3, 4, 100)]
    shapes += [(2, 3, 4, 50), (1, 1, 2000), (2000, 1, 1), (8, 1, 8, 20), (4, 4, 4, 4, 4), (100000,)]
    formulas = [
        {"step": 7, "period": 1009, "shift": 500, "scale": 0.125},
        {"step": 1, "period": 10**9, "shift": 0, "scale": 1},
        {"step": 12347, "period": 99991, "shift": 40000, "scale": 0.001},
        {"step": 31, "period": 5, "shift": 2, "scale": 1},
    ]
    for shape, formula, dtype in itertools.product(
        shapes, formulas, ("float32", "float64", "int64", "int16", "bool")
    ):
        if dtype == "int16" and formula["period"] > 40000:
            continue
        yield {"shape": list(shape), "dtype": dtype, "generated": formula}
    for shape in shapes:
        yield {"shape": list(shape), "dtype": "float32", "generated": formulas[0], "grad_fn": "AddBackward0"}


def options(rng):
    """Changes by set_printoptions."""
    changes = [
        {"precision": 2},
        {"precision": 0},
        {"precision": 8},
        {"precision": 17},
        {"sci_mode": True},
        {"sci_mode": False},
        {"linewidth": 40},
        {"linewidth": 120},
        {"linewidth": 5},
        {"edgeitems": 1, "threshold": 5},
        {"threshold": 0},
        {"edgeitems": 0, "threshold": 5},
        {"edgeitems": 0},
        {"edgeitems": 2, "threshold": 3},
        {"profile": "short"},
        {"profile": "full"},
        {"profile": "default", "precision": 6},
        {"profile": "short", "edgeitems": 5},
        {"precision": 3, "sci_mode": True, "linewidth": 30},
        {"threshold": 8, "linewidth": 20},
    ]
    for change, shape in itertools.product(changes, [(), (1,), (12,), (3, 4), (2, 3, 5)]):
        size = int(np.prod(shape))
        yield whole(shape, "float32", [rng.gauss(0, 300) for _ in range(size)], options=change)
        yield whole(shape, "float64", [float(rng.randint(0, 99)) for _ in range(size)], options=change)
        yield whole(
            shape, "int64", [rng.randint(0, 99) for _ in range(size)], options=change, requires_grad=False
        )
    for change in changes:
        formula = {"step": 7, "period": 1009, "shift": 500, "scale": 0.125}
        for shape in [(1500,), (40, 40), (8, 3, 50)]:
            if change != {"profile": "full"} or len(shape) == 1:
                yield {"shape": list(shape), "dtype": "float32", "generated": formula, "options": change}


def cases():
    """All cases, the same on every run."""
    rng = random.Random(20130)
    yield from magnitudes(rng)
    yield from boundaries()
    yield from specials(rng)
    yield from integers(rng)
    yield from empties()
    yield from wrapping(rng)
    yield from suffixes(rng)
    yield from summarised()
    yield from options(rng)


def printed(case):
    """What PyTorch prints for a case; a node of any name comes from a Function that is called so."""
    import torch

    torch.set_printoptions(profile="default")
    torch.set_printoptions(**case.get("options", {}))
    torch.set_default_dtype(getattr(torch, case.get("default_dtype", "float32")))
    tensor = torch.from_numpy(build(case).copy())
    node = case.get("grad_fn")
    if node:
        base = node.removesuffix("0")
        rules = {
            "forward": staticmethod(lambda ctx, x: x.clone()),
            "backward": staticmethod(lambda ctx, g: g),
        }
        result = type(base, (torch.autograd.Function,), rules).apply(tensor.requires_grad_())
        # PyTorch calls the node after the Function; the digit of built-in nodes has to be added.
        type(result.grad_fn).__name__ = node
        return str(result)
    return str(tensor.requires_grad_(case.get("requires_grad", False)))


def main():
    """Writes all cases with their texts, one on each line."""
    recorded = [json.dumps({**case, "text": printed(case)}) for case in cases()]
    print("[\n" + ",\n".join(recorded) + "\n]")


if __name__ == "__main__":
    main()
