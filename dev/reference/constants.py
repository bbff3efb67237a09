"""Reads the names that other systems see, with what is said of each, from `api.names`.

The text under an assignment is no docstring to Python: the source is read. Not here: the names.
"""

import ast
import inspect
from dataclasses import dataclass
from types import ModuleType
from typing import Final

from dev.reference.fields import UnreadableSchemaError

_KINDS: Final = ("FINALIZER", "LABEL", "ANNOTATION")


@dataclass(frozen=True, slots=True, kw_only=True)
class Name:
    """A label, an annotation or a finalizer; `kind` says which, `meaning` is one paragraph."""

    kind: str
    value: str
    meaning: str


def names_in(module: ModuleType) -> tuple[Name, ...]:
    """The finalizers, labels and annotations that `module` names, in its order.

    Their constants end in the kind. Raises UnreadableSchemaError if one has no text under it.
    """
    body = ast.parse(inspect.getsource(module)).body
    found = []
    for statement, following in zip(body, [*body[1:], None], strict=True):
        if not isinstance(statement, ast.AnnAssign) or not isinstance(statement.target, ast.Name):
            continue
        constant = statement.target.id
        kind = constant.rpartition("_")[2]
        if kind not in _KINDS:
            continue
        meaning = _text(following)
        if meaning is None:
            raise UnreadableSchemaError(f"{module.__name__}.{constant} has no text under it")
        found.append(Name(kind=kind.lower(), value=getattr(module, constant), meaning=meaning))
    return tuple(found)


def _text(statement: ast.stmt | None) -> str | None:
    match statement:
        case ast.Expr(value=ast.Constant(value=str(text))):
            return " ".join(text.split())
        case _:
            return None
