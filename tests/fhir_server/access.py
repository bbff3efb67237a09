"""What the claims of a token allow: roles give data actions, SMART scopes may narrow them.

As the open-source FHIR server decides it (its roles.json, `DataActions` and
`SmartClinicalScopesMiddleware`). Not here: data. The query of a scope and the patient's
compartment narrow which resources are found, not whether a request gets in; a `fhirUser` claim is
asked for only where a server is told to.
"""

import re
from urllib.parse import unquote

ALL = frozenset({
    "read", "readById", "search", "write", "create", "update", "delete", "hardDelete", "export",
    "import", "convertData", "resourceValidate", "reindex", "editProfileDefinitions",
    "searchParameter", "bulkOperator",
})  # fmt: skip
SMART = "smart"
"""Not part of `*`: only with it scopes are read at all."""
ROLES = {
    "globalReader": frozenset({"read", "resourceValidate"}),
    "globalExporter": frozenset({"read", "export"}),
    "globalImporter": frozenset({"read", "import"}),
    "globalConverter": frozenset({"read", "convertData"}),
    "globalWriter": ALL - {"hardDelete", "editProfileDefinitions"},
    "globalAdmin": ALL,
    "smartUser": ALL | {SMART},
}
AZURE_ROLES = {
    "FHIR Data Reader": frozenset({"read"}),
    "FHIR Data Contributor": ALL,
    "FHIR SMART User": frozenset({"read", SMART}),
}
"""Data-plane roles of Azure, which decide on the managed products."""
_NEEDS = {
    "search": {"read", "search"},
    "read": {"read", "readById"},
    "create": {"write", "create"},
    "update": {"write", "update"},
    "delete": {"delete"},
}
"""Interaction: one of these data actions."""
_READ = frozenset({"read", "export", "search"})
_WRITE = frozenset({"write", "create", "update", "delete"})
_VERSION_1 = {"read": _READ, "write": _WRITE, "*": _READ | _WRITE, "all": _READ | _WRITE}
_LETTERS = {
    "c": {"create"}, "r": {"readById"}, "u": {"update"}, "d": {"delete"},
    "s": {"search", "export"},
}  # fmt: skip
_SCOPE = re.compile(
    r"(?P<context>patient|user|system)[/$.](?P<type>\*|[A-Za-z]+)\."
    r"(?P<access>read|write|\*|all|[cruds]+)(\?[^\s]+)?"
)
_CLINICAL = re.compile(r"(patient|user|system)[/$.]")


class Denied(Exception):
    """Why a request does not get in, and the status of the answer: 400 or 403."""

    def __init__(self, status, why):
        super().__init__(why)
        self.status = status


def check(interaction, kind, *, granted, scopes):
    """Return if a request may do `interaction` on resources of type `kind`; raise Denied if not.

    `granted` are the caller's data actions; `scopes` are the values of the scope claims.
    """
    needs = _NEEDS[interaction]
    if SMART in granted:
        granted = granted & _allowed(scopes, kind)
    if not needs & granted:
        raise Denied(403, f"none of {', '.join(sorted(needs))} on {kind}")


def actions_of(roles, table):
    """The data actions of all `roles` that `table` knows."""
    return frozenset().union(*(table.get(role, frozenset()) for role in roles))


def _allowed(scopes, kind):
    found = [_parsed(scope) for scope in map(unquote, scopes) if _CLINICAL.match(scope)]
    if len({each["context"] for each in found}) > 1:
        raise Denied(400, "the token mixes SMART contexts")
    if len({each["access"] in _VERSION_1 for each in found}) > 1:
        raise Denied(400, "the token mixes SMART versions")
    matching = [each["access"] for each in found if each["type"] in {"*", "all", kind}]
    return frozenset().union(*(_actions(access) for access in matching))


def _parsed(scope):
    found = _SCOPE.fullmatch(scope)
    if found is None:
        raise Denied(400, f"{scope} is no SMART scope")
    return found.groupdict()


def _actions(access):
    if access in _VERSION_1:
        return _VERSION_1[access]
    return frozenset().union(*(_LETTERS[letter] for letter in access))
