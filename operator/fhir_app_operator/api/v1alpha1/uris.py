"""The CEL rules for redirect URIs and identifier URIs. Rules that need the tenant are elsewhere.

Sources: Microsoft identity platform, "Redirect URI restrictions", "Identifier URI restrictions"
and "Validation differences by supported account types".
"""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Field

from fhir_app_operator.api.v1alpha1.schema import rule, rules

_LOOPBACK: Final = r"self.matches('^http://(localhost|127[.]0[.]0[.]1)(:[0-9]{1,5})?([/?].*)?$')"
_HTTPS: Final = "self.matches('^https://[^/?]')"
_CUSTOM_SCHEME: Final = (
    "self.matches('^[a-z][a-z0-9+.-]*:.') "
    "&& !self.matches('^(https?|javascript|data|vbscript|file|about|blob|ws|wss|ftp):')"
)

_ANY_PLATFORM: Final = (
    rule("!self.contains('*')", "a redirect URI must not contain a wildcard: list each URI"),
    rule("!self.contains('#')", "a redirect URI must not contain a fragment ('#')"),
    rule(
        "!self.matches('^[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*@')",
        "a redirect URI must not contain credentials ('user:password@')",
    ),
    rule(
        r"""self.matches('^[^!$\'(),;\\s"<>^`{|}\\\\]*$')""",
        "a redirect URI must not contain blanks, quotes, braces or any of ! $ ( ) , ; < > ^ | \\",
    ),
)

BrowserRedirectUri = Annotated[
    str,
    Field(
        min_length=1,
        max_length=256,
        json_schema_extra=rules(
            *_ANY_PLATFORM,
            rule(
                f"{_HTTPS} || {_LOOPBACK}",
                "a redirect URI of this platform must start with https://, or with http:// for "
                "localhost and 127.0.0.1 only; a custom scheme belongs under publicClient",
            ),
        ),
    ),
]
"""A redirect URI of the platforms `web` and `spa`."""

NativeRedirectUri = Annotated[
    str,
    Field(
        min_length=1,
        max_length=256,
        json_schema_extra=rules(
            *_ANY_PLATFORM,
            rule(
                f"{_HTTPS} || {_LOOPBACK} || ({_CUSTOM_SCHEME})",
                "a redirect URI of a public client must start with https://, with http:// for "
                "localhost and 127.0.0.1 only, or with the application's own scheme",
            ),
        ),
    ),
]
"""A redirect URI of the platform `publicClient`: mobile, desktop, Postman."""

ServerUrl = Annotated[
    str, Field(pattern=r"^https?://[^\s/?#@\"'<>\\]+(/[^\s?#\"'<>\\]*)?$", max_length=255)
]
"""Base URL of a FHIR server."""


def identifier_rules(uri: str, guard: str, field: str) -> tuple[dict[str, str], ...]:
    """Return the rules for an identifier URI.

    Args:
        uri: the CEL expression that holds it.
        guard: a CEL expression; the rules hold only where it is true.
        field: JSON path of the field the user must change.

    The rules exist because the URI becomes the `aud` claim, which FHIR servers compare as a
    string; the official Helm chart of the open-source FHIR server writes it in lower case.
    """
    plain = f"{uri}.replace('{{appId}}', '')"
    return (
        rule(
            f"!({guard}) || {plain} == {plain}.lowerAscii()",
            "an identifier URI must be lower case (except for the literal {appId}): FHIR servers "
            "compare the audience as a string",
            field=field,
        ),
        rule(
            f"!({guard}) || !{uri}.endsWith('/')",
            "an identifier URI must not end with a slash: remove it, or set "
            "`resource.identifierUri` without it",
            field=field,
        ),
        rule(
            f"!({guard}) || !{uri}.contains('*')",
            "an identifier URI must not contain a wildcard",
            field=field,
        ),
        rule(
            f"!({guard}) || {plain}.matches('^(https://[a-z0-9A-Z]|api://)[^ #?{{}}*@]*$') "
            f"&& {uri} != 'api://'",
            "an identifier URI must start with https:// or api:// and hold no query, fragment, "
            "blank, brace or '@'; set `resource.identifierUri` if the URL cannot be one",
            field=field,
        ),
    )
