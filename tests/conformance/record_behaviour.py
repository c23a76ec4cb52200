"""Records what PyTorch does with small programs, for test_behaviour.py: run it where torch 2.13 is.

    python record_behaviour.py > behaviour.json

The programs are the language's own: those of behaviour_cases.txt, and those that the templates make,
some from the expressions of behaviour_nodes.txt. Each is turned into its Python twin statement by
statement. What the twin prints is the case's `stdout`, the first sentence of what it raises its `error`.
"""

import builtins
import contextlib
import io
import itertools
import json
import re
import sys
import warnings
from pathlib import Path

import torch
import torch.nn.functional as F

DTYPES = ["float32", "float64", "int64", "int32", "int16", "int8", "uint8", "bool"]
OPERATORS = ["+", "-", "*", "/", "//", "%", "**", "==", "<", ">="]

POINTWISE = [
    "abs",
    "exp",
    "log",
    "sqrt",
    "sin",
    "cos",
    "tan",
    "asin",
    "acos",
    "atan",
    "sinh",
    "cosh",
    "tanh",
    "asinh",
    "acosh",
    "atanh",
    "exp2",
    "expm1",
    "log2",
    "log10",
    "log1p",
    "sigmoid",
    "relu",
    "neg",
    "square",
    "reciprocal",
    "rsqrt",
    "erf",
    "erfc",
    "erfinv",
    "lgamma",
    "digamma",
    "floor",
    "ceil",
    "round",
    "trunc",
    "frac",
    "sign",
    "sgn",
    "softplus",
    "silu",
    "gelu",
    "elu",
    "selu",
    "leaky_relu",
    "hardtanh",
    "relu6",
    "mish",
    "softsign",
    "logsigmoid",
    "hardswish",
    "hardsigmoid",
    "celu",
    "tanhshrink",
    "softshrink",
    "hardshrink",
    "deg2rad",
    "rad2deg",
    "sinc",
    "logit",
    "positive",
    "nan_to_num",
    "i0",
]


def show(*values):
    """`print` as the language has it: shapes are lists, dtypes bare names, nodes without an address."""
    builtins.print(*map(_shown, values))


def _shown(value):
    if isinstance(value, torch.Size):
        return str(list(value))
    if isinstance(value, torch.dtype):
        return str(value).removeprefix("torch.")
    if isinstance(value, torch.autograd.graph.Node):
        return f"<{type(value).__name__}>"
    return value


def var(value, dtype=None, grad=False):
    """The language's `var`: a leaf that owns a copy, of a real dtype unless another is asked for."""
    tensor = value.detach().clone() if isinstance(value, torch.Tensor) else torch.tensor(value)
    if dtype is None and not tensor.is_floating_point():
        dtype = torch.get_default_dtype()
    tensor = tensor.to(dtype or tensor.dtype)
    return tensor.requires_grad_() if grad else tensor


def zero_grad(*tensors):
    """The language's `zero_grad`."""
    for tensor in tensors:
        tensor.grad = None


def namespace():
    """The twin's names: PyTorch's, its functional ones, and those above."""
    names = {name: getattr(F, name) for name in dir(F) if not name.startswith("_")}
    names.update({name: getattr(torch, name) for name in dir(torch) if not name.startswith("_")})
    autograd = torch.autograd.functional
    names.update(true=True, false=False, none=None, print=show, range=range, len=len, zero_grad=zero_grad)
    names.update(kl_div=F.kl_div, layer_norm=F.layer_norm, cosine_similarity=F.cosine_similarity, pad=F.pad)
    names.update(grad=torch.func.grad, vmap=torch.func.vmap, hvp=autograd.hvp, _var=var, dropout=F.dropout)
    names.update(hessian=autograd.hessian, jacobian=autograd.jacobian, vjp=autograd.vjp, jvp=autograd.jvp)
    names.update(selu=F.selu, celu=F.celu, embedding=F.embedding)
    names.update(binary_cross_entropy_with_logits=F.binary_cross_entropy_with_logits)
    return names


def statements(script):
    """The statements of a script, with `{` and `}` on their own."""
    found, current, depth, quote = [], "", 0, ""
    for char in script + "\n":
        if quote:
            quote = "" if char == quote else quote
        elif char in "\"'":
            quote = char
        elif char in "([":
            depth += 1
        elif char in ")]":
            depth -= 1
        elif depth == 0 and char in ";\n{}":
            found += [current.strip()] if current.strip() else []
            found += [char] if char in "{}" else []
            current = ""
            continue
        current += char
    return found


VAR = re.compile(rf"var (?!\()(.+?)(?: ({'|'.join(DTYPES)}))?( grad)?")
BACKWARD = re.compile(r"backward (.+?)(?: with (.+?))?( retain)?( create)?")


def python_of(statement):
    """The Python twin of one statement."""
    statement = re.sub(r"\bfn\(([\w, ]*)\) = ", r"lambda \1: ", statement)
    statement = statement.removeprefix("let ")
    if found := re.fullmatch(r"update (\w+ .=) (.+)", statement):
        return f"with no_grad(): {found[1]} {found[2]}"
    if found := re.fullmatch(r"zero_grad (.+)", statement):
        return f"zero_grad({found[1]})"
    found = re.fullmatch(r"print (\(.*\))", statement)
    if found and _closes_at_end(found[1]):
        return f"print{found[1]}"
    if found := re.fullmatch(r"print (.*)", statement):
        return f"print({found[1]})"
    if found := BACKWARD.fullmatch(statement):
        roots, cotangent, retain, create = found.groups()
        given = f"[{cotangent}]" if cotangent else "None"
        # PyTorch keeps the graph when it makes one of the backward pass.
        flags = f"retain_graph={bool(retain or create)}, create_graph={bool(create)}"
        return f"autograd.backward([{roots}], {given}, {flags})"
    if found := re.fullmatch(r"(\w+) = (.+)", statement):
        if of_var := VAR.fullmatch(found[2]):
            value, dtype, grad = of_var.groups()
            return f"{found[1]} = _var({value}, {dtype}, {bool(grad)})"
        if found[2].startswith("["):
            return f"{found[1]} = tensor({found[2]})"
    return statement


def _closes_at_end(text):
    """Whether the bracket at the start is the one that closes at the end."""
    depth = 0
    for i, char in enumerate(text):
        depth += (char in "([") - (char in ")]")
        if depth == 0:
            return i == len(text) - 1
    return False


def twin(script):
    """The Python twin of a whole script."""
    lines, indent, parts = [], 0, statements(script)
    for i, part in enumerate(parts):
        if part == "{":
            indent += 1
        elif part == "}":
            indent -= 1
        else:
            opens = parts[i + 1 : i + 2] == ["{"]
            header = "with no_grad()" if part == "no_grad" else part
            lines.append("    " * indent + (f"{header}:" if opens else python_of(part)))
    return "\n".join(lines) + "\n"


def first_sentence(error):
    """The sentence that people look for; what names versions and types behind it is left off."""
    text = str(error).split("\n")[0].split(": [torch.")[0]
    return re.split(r"(?<!i\.e)\.(?:\s|$)|;\s", text)[0].strip()


def record(name, script):
    """One case."""
    torch.set_default_dtype(torch.float32)
    torch.set_printoptions(profile="default")
    torch.manual_seed(0)
    output = io.StringIO()
    try:
        with contextlib.redirect_stdout(output), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            code = compile(twin(script), name, "exec")
            exec(code, namespace())
    except (NameError, SyntaxError, AttributeError):
        sys.exit(f"{name}: the twin is wrong\n{script}\n{twin(script)}")
    except Exception as error:
        return {"id": name, "script": script, "error": first_sentence(error)}
    return {"id": name, "script": script, "stdout": output.getvalue()}


def written():
    """The cases of behaviour_cases.txt, numbered in their chapter."""
    text = (Path(__file__).parent / "behaviour_cases.txt").read_text()
    for chapter in re.split(r"^== ", text, flags=re.MULTILINE)[1:]:
        title, body = chapter.split("\n", 1)
        for number, script in enumerate(re.split(r"\n\s*\n", body.strip()), 1):
            yield f"{title.strip()} {number}", script.strip()


def operands(dtype):
    """Two tensors' literals that no operator makes overflow."""
    return ("[True, False]", "[True, True]") if dtype == "bool" else ("[3, 2]", "[1, 4]")


def promotion():
    """The dtype that every pair gives, as tensors, with a 0-d one on either side, and with numbers."""
    for a, b in itertools.product(DTYPES, DTYPES):
        left, right = operands(a)[0], operands(b)[1]
        scalar = {"bool": "True"}.get(b, "2")
        for op in ("+", "*", "/"):
            yield f"{a} {op} {b}", f"print tensor({left}, dtype={a}) {op} tensor({right}, dtype={b})"
        yield f"{a} + 0-d {b}", f"print tensor({left}, dtype={a}) + tensor({scalar}, dtype={b})"
        yield f"0-d {b} * {a}", f"print tensor({scalar}, dtype={b}) * tensor({left}, dtype={a})"
        yield f"{a} += {b}", f"let x = tensor({left}, dtype={a}); x += tensor({right}, dtype={b}); print x"
        yield f"cat {a} {b}", f"print cat([tensor({left}, dtype={a}), tensor({right}, dtype={b})])"
    for dtype, op, number in itertools.product(DTYPES, OPERATORS, ("2", "2.5", "True")):
        yield f"{dtype} {op} {number}", f"print tensor({operands(dtype)[0]}, dtype={dtype}) {op} {number}"
    for dtype, op in itertools.product(DTYPES, OPERATORS):
        left, right = operands(dtype)
        yield f"2 {op} {dtype}", f"print 2 {op} tensor({right}, dtype={dtype})"
        yield (
            f"{dtype} {op} itself",
            f"print tensor({left}, dtype={dtype}) {op} tensor({right}, dtype={dtype})",
        )
    for dtype, function in itertools.product(DTYPES, ("sum", "prod", "mean", "max", "exp", "abs", "cumsum_")):
        call = "cumsum(x, dim=0)" if function == "cumsum_" else f"{function}(x)"
        yield f"{function} {dtype}", f"let x = tensor({operands(dtype)[0]}, dtype={dtype}); print {call}"


def nodes():
    """Names of nodes, and the gradient through each."""
    leaf = "let x = tensor([[0.5, 1.25, -0.75], [2., 0.25, 0.625]], requires_grad=True)"
    for expression in (Path(__file__).parent / "behaviour_nodes.txt").read_text().splitlines():
        yield f"node of {expression}", f"{leaf}; let y = {expression}; print y, y.grad_fn"
        yield f"through {expression}", f"{leaf}; let y = {expression}; backward y.sum(); print x.grad"
    small = "let x = tensor([0.25, 0.5, 0.75], requires_grad=True)"
    for name in POINTWISE:
        yield f"{name} forward", f"{small}; let y = {name}(x); print y"
        yield f"{name} backward", f"{small}; backward {name}(x).sum(); print x.grad"
        yield (
            f"{name} twice",
            f"{small}; let y = {name}(x).sum(); backward y create; let g = (x.grad * x.grad).sum(); "
            "x.grad = None; backward g; print x.grad",
        )


# Gradients that are zero but for rounding, and a last digit of single precision: nobody's promise.
ROUNDING = {
    "through softmax(x, dim=1)", "through log_softmax(x, dim=1)", "through layer_norm(x, [3])", "lgamma twice", "digamma twice",
}  # fmt: skip


def main():
    """Writes all cases, one on each line."""
    torch.set_num_threads(1)
    cases = itertools.chain(written(), promotion(), nodes())
    recorded = [json.dumps(record(*case)) for case in cases if case[0] not in ROUNDING]
    builtins.print("[\n" + ",\n".join(recorded) + "\n]")


if __name__ == "__main__":
    main()
