"""Which field belongs to which type of registration, read from the rules of the schema.

Not here: the rules, which are in `fhir_app_operator.api.v1alpha1.app_type`.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from dev.reference.fields import Rule, UnreadableSchemaError

_SENTENCE: Final = re.compile(
    r"`(?P<field>[\w.]+)` must (?P<only>only )?be set for type (?P<types>\w+(?: or \w+)*):"
)
_BY_TYPE: Final = re.compile(r"self\.type in (?P<types>\[[^]]*\])")
_ANOTHER_FIELD: Final = re.compile(r"\|\| has\(self\.(?P<field>\w+)\)")


class Use(StrEnum):
    """Whether a registration of some type has a field."""

    REQUIRED = "required"
    OPTIONAL = "optional"
    REFUSED = "refused"
    CONDITIONAL = "see rules"


Matrix = dict[str, dict[str, Use]]
"""By field (a path below `spec`), by type."""


def matrix(rules: Iterable[Rule], types: Iterable[str]) -> Matrix:
    """The use of every field that `rules` are about, for each of `types`.

    A field that a type must have makes the object around it required; an object that a type must
    not have takes along what is in it. What depends on another field has a rule of its own, or an
    alternative. Raises UnreadableSchemaError if a rule about types does not say so in the usual
    sentence.
    """
    needed: dict[str, set[str]] = {}
    allowed: dict[str, set[str]] = {}
    depends: dict[str, set[str]] = {}
    for each in rules:
        by_type = _BY_TYPE.search(each.expression)
        if by_type is None:
            continue
        said = _SENTENCE.match(each.message)
        if said is None:
            raise UnreadableSchemaError(f"no sentence about types: {each.message}")
        field, named = said["field"], set(said["types"].split(" or "))
        if said["only"]:
            spared = set(re.findall(r"\w+", by_type["types"]))
            allowed.setdefault(field, set()).update(spared)
            depends.setdefault(field, set()).update(spared - named)
        else:
            needed.setdefault(field, set()).update(named)
            other = _ANOTHER_FIELD.search(each.expression)
            if other is not None and other["field"] != field:
                depends.setdefault(field, set()).update(named)
    uses = _Uses(needed, allowed, depends, set(types))
    return {
        name: {kind: uses.of(name, kind) for kind in types}
        for name in dict.fromkeys((*needed, *allowed))
    }


@dataclass(frozen=True, slots=True)
class _Uses:
    """What the rules say, by field: sets of types."""

    needed: dict[str, set[str]]
    allowed: dict[str, set[str]]
    depends: dict[str, set[str]]
    everybody: set[str]

    def of(self, name: str, kind: str) -> Use:
        around = [name.rsplit(".", up)[0] for up in range(name.count(".") + 1)]
        if any(kind not in self.allowed.get(each, self.everybody) for each in around):
            return Use.REFUSED
        if kind in self.depends.get(name, ()):
            return Use.CONDITIONAL
        inside = [each for each in self.needed if each == name or each.startswith(f"{name}.")]
        return Use.REQUIRED if any(kind in self.needed[each] for each in inside) else Use.OPTIONAL
