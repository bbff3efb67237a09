"""Every Graph answer against Microsoft's description of it.

`checked_transport` wraps an httpx transport and raises AssertionError for an answer that the
OpenAPI subset in `tests/data` does not allow. Objects are closed: a member that the metadata does
not know is an error (the metadata calls them open types, which would let everything through).
What the subset lacks is listed in LACKING and USER, and nowhere else.
"""

import functools
import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import httpx
import jsonschema_rs

SUBSET = Path(__file__).parent.parent / "data" / "graph-v1.0-subset.json"
PREFIX = "#/components/schemas/"
ANNOTATIONS = {r"@odata\.": {}}

LACKING: dict[tuple[str, str], dict[str, Any]] = {
    # one property of an object, served as a resource of its own
    ("GET", "/applications/{application-id}/{property}"): {
        "type": "object",
        "required": ["@odata.context", "value"],
    },
}
USER = {
    # users are directory objects, and their type is in no part of the subset
    "type": "object",
    "properties": {
        "@odata.type": {"const": "#microsoft.graph.user"},
        "id": {"type": "string"},
        "displayName": {"type": ["string", "null"]},
        "givenName": {"type": ["string", "null"]},
        "mail": {"type": ["string", "null"]},
        "surname": {"type": ["string", "null"]},
        "userPrincipalName": {"type": ["string", "null"]},
    },
    "required": ["@odata.type"],
    "additionalProperties": False,
}
POLYMORPHIC = ("application", "servicePrincipal")

SUCCESS_TYPE = (
    "application/json;odata.metadata=minimal;odata.streaming=true;"
    "IEEE754Compatible=false;charset=utf-8"
)


def checked_transport(inner: httpx.AsyncBaseTransport) -> httpx.AsyncBaseTransport:
    """`inner`, with every answer to a Graph request checked. Others pass unseen."""
    return _Checked(inner)


def check(request: httpx.Request, response: httpx.Response, body: bytes) -> None:
    """Raise AssertionError unless `response` is one that Graph may give to `request`."""
    method, path = request.method, graph_path(request.url.raw_path)
    if path is None:
        return
    where = f"{method} {request.url.path} {response.status_code}"
    assert response.headers["request-id"], where
    assert response.headers["client-request-id"], where
    assert response.headers["date"], where
    if response.status_code == 204:
        assert not body, where
        assert "content-type" not in response.headers, where
        return
    value = json.loads(body)
    if response.status_code >= 400:
        assert response.headers["content-type"] == "application/json", where
        _validate(_error(), value, where)
        return
    assert response.headers["odata-version"] == "4.0", where
    if "odata.metadata=none" not in request.headers.get("accept", ""):
        assert response.headers["content-type"] == SUCCESS_TYPE, where
    _validate(_validator(method, path, response.status_code), value, where)


def graph_path(raw: bytes) -> str | None:
    """The path behind the version, without what OData lets clients add; None if not Graph's."""
    path = re.sub("/+", "/", unquote(raw.partition(b"?")[0].decode())).rstrip("/")
    path = re.sub(r"\('([^']*)'\)", r"/\1", path)
    found = re.fullmatch(r"/(?:v1\.0|beta)(?:/myorganization)?(/.*)", path, re.IGNORECASE)
    return None if found is None else found[1]


class _Checked(httpx.AsyncBaseTransport):
    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        self._inner = inner

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await self._inner.handle_async_request(request)
        body = await response.aread()
        check(request, response, body)
        return httpx.Response(
            response.status_code,
            headers=response.headers,
            stream=httpx.ByteStream(body),
            extensions=response.extensions,
        )

    async def aclose(self) -> None:
        await self._inner.aclose()


def _validate(validator: Any, value: Any, where: str) -> None:
    problems = [f"{error.instance_path}: {error.message}" for error in validator.iter_errors(value)]
    assert not problems, f"{where}: {problems[:3]}"


@functools.cache
def subset() -> dict[str, Any]:
    document: dict[str, Any] = json.loads(SUBSET.read_text(encoding="utf-8"))
    return document


@functools.cache
def operations() -> list[tuple[re.Pattern[str], str, dict[str, Any]]]:
    """Patterns of all paths, those without placeholders first; alternate keys spelt out."""
    found = []
    prefixes = subset()["x-alternate-key-prefixes"]
    for path, item in subset()["paths"].items():
        spellings = [path]
        for plain, alternatives in prefixes.items():
            spellings += [path.replace(plain, other) for other in alternatives if plain in path]
        found += [(_pattern(spelling), path, item) for spelling in spellings]
    found += [(_pattern(path), path, {}) for _, path in LACKING]
    return sorted(found, key=lambda entry: entry[1].count("{"))


def _pattern(path: str) -> re.Pattern[str]:
    kinds = {"{": "[^/]+?", "'": "'(?:[^']|'')*'"}
    parts = re.split(r"('?\{[^}]*\}'?)", path)
    text = "".join(kinds.get(part[:1], re.escape(part)) for part in parts)
    return re.compile(text, re.IGNORECASE)


@functools.cache
def _error() -> Any:
    return _compile({"$ref": f"{PREFIX}microsoft.graph.ODataErrors.ODataError"})


def _validator(method: str, path: str, status: int) -> Any:
    for pattern, template, item in operations():
        if pattern.fullmatch(path) is None:
            continue
        if (method, template) in LACKING:
            return _lacking(method, template)
        if method.lower() in item and str(status) in item[method.lower()]["responses"]:
            return _response(method, template, status)
    raise AssertionError(f"the subset has no {method} {path} that answers {status}")


@functools.cache
def _lacking(method: str, template: str) -> Any:
    return _compile(LACKING[method, template])


@functools.cache
def _response(method: str, template: str, status: int) -> Any:
    response = subset()["paths"][template][method.lower()]["responses"][str(status)]
    schema = response["content"]["application/json"]["schema"]
    return _compile(_closed(schema) if "properties" in schema else schema)


def _compile(schema: dict[str, Any]) -> Any:
    # a single object carries its context, which the schemas of entities do not have
    return jsonschema_rs.Draft202012Validator(
        {**schema, "components": {"schemas": _schemas()}}, validate_formats=True
    )


@functools.cache
def _schemas() -> dict[str, Any]:
    """The subset's schemas, flattened and closed."""
    given = subset()["components"]["schemas"]
    schemas = {name: _closed(_flat(given, schema)) for name, schema in given.items()}
    variants = [{"$ref": f"{PREFIX}microsoft.graph.{name}"} for name in POLYMORPHIC]
    schemas["microsoft.graph.directoryObject"] = {"anyOf": [*variants, USER]}
    return schemas


def _flat(given: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """A schema with the members of its base types."""
    if "allOf" not in schema:
        return schema
    properties: dict[str, Any] = {}
    for part in schema["allOf"]:
        base = given[part["$ref"].removeprefix(PREFIX)] if "$ref" in part else part
        properties |= _flat(given, base).get("properties", {})
    return {"type": "object", "properties": properties}


def _closed(schema: dict[str, Any]) -> dict[str, Any]:
    if schema.get("type") != "object":
        return schema
    return {**schema, "additionalProperties": False, "patternProperties": ANNOTATIONS}
