"""How SMART scopes are spelled in manifests: one table for the CEL rules and for `planning.smart`.

Source: HL7 SMART App Launch 2.2, "Scopes and Launch Context"; what else a FHIR server refuses is in
the open-source FHIR server's `SmartClinicalScopesMiddleware`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final

from pydantic import Field

from fhir_app_operator.api.v1alpha1.fhir_types import FHIR_TYPES
from fhir_app_operator.api.v1alpha1.schema import rule, rules

PLAIN: Final = "[A-Za-z0-9_-][A-Za-z0-9._-]*"
LAUNCH: Final = "launch(/[a-z]+)?|fhirUser|online_access"
"""Launch context and identity: they exist once, whatever the version, and mix with all others."""
CLINICAL: Final = "(patient|user|system)/[^.?]*[.][^?]*([?].*)?"
FHIR_TYPE: Final = f"[*]|{'|'.join(FHIR_TYPES)}"
VERSION_1: Final = "read|write|[*]"
VERSION_2: Final = "cr?u?d?s?|ru?d?s?|ud?s?|ds?|s"

# Chained parameters hold a dot, modifiers a colon; of the common ones only these can limit access.
_PARAMETER: Final = (
    "([a-z][A-Za-z0-9-]*|_(id|lastUpdated|profile|security|source|tag|text|content|list|type))"
)
_PAIR: Final = f"{_PARAMETER}=[A-Za-z0-9_.:/|,+~@*-]+"
MAX_VALUE: Final = 120
"""Characters of an app role's or scope's value (Graph, `appRole`, `permissionScope`)."""


@dataclass(frozen=True, slots=True)
class Check:
    """What each clinical scope must match as a whole, and the sentence for one that does not."""

    pattern: str
    message: str


CHECKS: Final = (
    Check(
        CLINICAL,
        "a SMART scope must be context/Type.access, such as patient/*.read or user/Observation.rs",
    ),
    Check(
        f"[a-z]+/({FHIR_TYPE})[.].*",
        "a SMART scope must name a resource type of FHIR R4, R4B or R5, or * for all of them, as "
        "in user/Observation.rs",
    ),
    Check(
        f"[^.]+[.](({VERSION_1})|({VERSION_2})([?].*)?)",
        "the access of a SMART scope must be read, write or * (version 1, without a query), or "
        "some of the letters c, r, u, d, s in this order, each once (version 2), as in "
        "user/Observation.cruds",
    ),
    Check(
        f"[^?]+([?]{_PAIR}(&{_PAIR})*)?",
        "the query of a SMART scope must be parameter=value pairs without chains, modifiers and "
        "includes: FHIR servers answer 400 to such tokens",
    ),
)
TOO_LONG: Final = (
    f"a SMART scope must be at most {MAX_VALUE} characters long in Entra, where each slash of its "
    "query takes three (%2f): shorten the query"
)
ENCODED: Final = "(patient|user|system|launch)[.$].*"
NOT_ENCODED: Final = (
    "a SMART scope must be written in SMART's own form, such as patient/*.read or launch/patient; "
    "the operator encodes it for Entra"
)
ONE_CONTEXT: Final = (
    "one client must not mix the SMART contexts patient, user and system: its token would hold all "
    "of them, and FHIR servers answer 400; register a client for each"
)
ONE_VERSION: Final = (
    "one client must not mix the SMART versions 1 (read, write) and 2 (cruds): its token would "
    "hold both, and FHIR servers answer 400"
)


def _value_rules(contexts: str, refused: str, why: str) -> tuple[dict[str, str], ...]:
    """The rules on one value; `contexts` and `refused` are alternatives of a pattern."""
    return (
        rule(
            f"self.matches('^({PLAIN}|{LAUNCH})$') || self.matches('^({contexts}|{refused})/')",
            "must be a plain name of letters, digits, '.', '_' and '-', or a SMART scope such as "
            "user/Observation.rs",
        ),
        rule(f"!self.matches('^{ENCODED}$')", NOT_ENCODED),
        rule(f"!self.matches('^({refused})/')", why),
        *(
            rule(f"!self.matches('^({contexts})/') || self.matches('^({c.pattern})$')", c.message)
            for c in CHECKS
        ),
        rule(f"self.replace('/', '%2f').size() <= {MAX_VALUE + len('2f')}", TOO_LONG),
    )


ScopeValue = Annotated[
    str,
    Field(
        min_length=1,
        max_length=MAX_VALUE,
        json_schema_extra=rules(
            *_value_rules(
                "patient|user", "system",
                "a system scope must be an app role of a Service: nobody is signed in",
            )
        ),
    ),
]  # fmt: skip
"""A delegated permission: a plain name or a SMART scope of the contexts patient and user."""
AppRoleValue = Annotated[
    str,
    Field(
        min_length=1,
        max_length=MAX_VALUE,
        json_schema_extra=rules(
            *_value_rules(
                "system|user", "patient|launch",
                "a patient or launch scope must be a scope of a user's client: it needs a user",
            )
        ),
    ),
]  # fmt: skip
"""An app role: a plain name or a SMART scope of the contexts system and user."""
FhirTypeName = Annotated[
    str,
    Field(
        min_length=1,
        max_length=60,
        json_schema_extra=rules(
            rule(
                f"self.matches('^({FHIR_TYPE})$')",
                "must be a resource type of FHIR R4, R4B or R5, or * for all of them",
            )
        ),
    ),
]


def _at_most_one(*patterns: str) -> str:
    """CEL on a list: values match at most one of `patterns`."""
    found = ", ".join(f"self.exists(x, x.matches('^{p}'))" for p in patterns)
    return f"[{found}].filter(x, x).size() <= 1"


UNMIXED: Final = (
    rule(_at_most_one("patient/", "user/", "system/"), ONE_CONTEXT),
    rule(_at_most_one(f"[a-z]+/[^.]+[.]({VERSION_1})$",
                      f"[a-z]+/[^.]+[.]({VERSION_2})([?].*)?$"), ONE_VERSION),
)  # fmt: skip
"""Rules on the list of permissions of one client."""
