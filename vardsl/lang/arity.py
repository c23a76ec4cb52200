"""Calls held against the parameters of what they call, before anything runs."""

from __future__ import annotations

from vardsl.engine.signature import ALIASES, REQUIRED, Signature
from vardsl.errors import Error, ScriptTypeError
from vardsl.lang.suggest import nearest
from vardsl.source import Source
from vardsl.syntax import ast


def keywords(e: ast.Call, name: str, signature: Signature) -> Error | None:
    """What is wrong with the keywords of a call of a builtin."""
    for a in e.args:
        key = a.name
        if key is None or key in signature.index or ALIASES.get(key) in signature.index:
            continue
        near = nearest(key, signature.index)
        return ScriptTypeError(
            f"{name}() got an unexpected keyword argument '{key}'",
            hint=f"did you mean {near}=?" if near else f"{name}({signature})",
        )
    return None


def of_builtin(e: ast.Call, name: str, signature: Signature, extra: int) -> Error | None:
    """What is wrong with a call of a builtin; `extra` arguments come from a pipe."""
    error = keywords(e, name, signature)
    if error is not None:
        return error
    given = extra + sum(a.name is None for a in e.args)
    names = {
        ALIASES.get(a.name, a.name) if a.name not in signature.index else a.name for a in e.args if a.name
    }
    positional = signature.positional
    spread = bool(positional) and positional[-1].kind in ("Sizes", "Varargs")
    n = len(positional)
    if given > n and not spread:
        return ScriptTypeError(
            f"{name}() takes {n} positional {'argument' if n == 1 else 'arguments'} but {given} were given",
            hint=f"{name}({signature})",
        )
    missing = [
        p.name
        for p in signature.parameters[given:]
        if p.default is REQUIRED and p.name not in names and p.kind != "Varargs"
    ]
    if missing:
        shown = ", ".join(f'"{m}"' for m in missing)
        return ScriptTypeError(
            f"{name}() missing {len(missing)} required positional arguments: {shown}",
            hint=f"{name}({signature})",
        )
    return None


def of_script(e: ast.Call, fn: ast.FnDef, extra: int, source: Source) -> Error | None:
    """What is wrong with a call of a script's function."""
    given = extra + sum(a.name is None for a in e.args)
    names = {a.name for a in e.args if a.name is not None}
    params = [p.name for p in fn.params]
    shown = f"it is {fn.name}({', '.join(_param_text(p, source) for p in fn.params)})"
    unknown = next((a.name for a in e.args if a.name is not None and a.name not in params), None)
    if unknown is not None:
        near = nearest(unknown, params)
        message = f"{fn.name}() has no parameter {unknown}"
        return ScriptTypeError(message, hint=f"did you mean {near}=?" if near else shown)
    if given > len(params):
        takes = f"{len(params)} argument{'' if len(params) == 1 else 's'}"
        were = "was" if given == 1 else "were"
        return ScriptTypeError(f"{fn.name}() takes {takes} but {given} {were} given", hint=shown)
    twice = next((p for p in params[:given] if p in names), None)
    if twice is not None:
        return ScriptTypeError(f"{fn.name}() got {twice} twice", hint=shown)
    missing = [p.name for p in fn.params[given:] if p.default is None and p.name not in names]
    if missing:
        plural = "" if len(missing) == 1 else "s"
        return ScriptTypeError(f"{fn.name}() misses its argument{plural} {', '.join(missing)}", hint=shown)
    return None


def _param_text(p: ast.Param, source: Source) -> str:
    if p.default is None:
        return p.name
    return f"{p.name}={source.text[p.default.span.start : p.default.span.end]}"
