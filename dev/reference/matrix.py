"""Which field belongs to which type of registration, read from the rules of the schema.

Not here: the rules, which are in `fhir_app_operator.api.v1alpha1.app_type`.
"""

import re
from collections.abc import Iterable
from enum import StrEnum
from typing import Final

from dev.reference.fields import Rule, UnreadableSchemaError

_SENTENCE: Final = re.compile(
    r"`(?P<field>[\w.]+)` must (?P<only>only )?be set for type (?P<types>\w+(?: or \w+)*):"
)
_BY_TYPE: Final = "self.type in "


class Use(StrEnum):
    """Whether a registration of some type has a field."""

    REQUIRED = "required"
    OPTIONAL = "optional"
    REFUSED = "refused"


Matrix = dict[str, dict[str, Use]]
"""By field (a path below `spec`), by type."""


def matrix(rules: Iterable[Rule], types: Iterable[str]) -> Matrix:
    """The use of every field that `rules` are about, for each of `types`.

    A field that a type must have makes the object around it required; an object that a type must
    not have takes along what is in it. Raises UnreadableSchemaError if a rule about types does not
    say so in the usual sentence.
    """
    needed: dict[str, set[str]] = {}
    allowed: dict[str, set[str]] = {}
    for each in rules:
        if _BY_TYPE not in each.expression:
            continue
        said = _SENTENCE.match(each.message)
        if said is None:
            raise UnreadableSchemaError(f"no sentence about types: {each.message}")
        target = allowed if said["only"] else needed
        target.setdefault(said["field"], set()).update(said["types"].split(" or "))
    everybody = set(types)
    return {
        name: {kind: _use(name, kind, needed, allowed, everybody) for kind in types}
        for name in dict.fromkeys((*needed, *allowed))
    }


def _use(
    name: str,
    kind: str,
    needed: dict[str, set[str]],
    allowed: dict[str, set[str]],
    everybody: set[str],
) -> Use:
    around = [name.rsplit(".", up)[0] for up in range(name.count(".") + 1)]
    if any(kind not in allowed.get(each, everybody) for each in around):
        return Use.REFUSED
    inside = [each for each in needed if each == name or each.startswith(f"{name}.")]
    return Use.REQUIRED if any(kind in needed[each] for each in inside) else Use.OPTIONAL
