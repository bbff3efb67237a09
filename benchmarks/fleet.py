"""The manifests of a fleet: registrations of mixed types in a few namespaces.

Not here: how they are applied (`api_server.py`).
"""

from dataclasses import dataclass
from typing import Any, Final

CLIENTS_PER_SERVER: Final = 20
NAMESPACES: Final = 4

_VERIFIED_DOMAIN: Final = "clinic.example"
_CLIENT_TYPES: Final = ("Service", "Confidential", "Public")

Manifest = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """What is applied: the namespaces' names, and the registrations in the order of creation."""

    namespaces: tuple[str, ...]
    registrations: tuple[Manifest, ...]


def fleet(size: int) -> Fleet:
    """A fleet of `size` (1 or more) registrations.

    One in 21 is a FHIR server; the others are its clients, of each type in turn. Servers and
    clients come in one order, so that many clients are applied before their server is Ready.
    """
    registrations = [_registration(number) for number in range(size)]
    namespaces = sorted({each["metadata"]["namespace"] for each in registrations})
    return Fleet(namespaces=tuple(namespaces), registrations=tuple(registrations))


def latecomer() -> Manifest:
    """One more registration, a client of the first server, for when the fleet is there."""
    return _manifest("latecomer", _namespace(0), _client("Service", "latecomer", 0))


def key_of(manifest: Manifest) -> tuple[str, str]:
    """Namespace and name."""
    metadata = manifest["metadata"]
    return metadata["namespace"], metadata["name"]


def _registration(number: int) -> Manifest:
    group, position = divmod(number, CLIENTS_PER_SERVER + 1)
    if position == 0:
        spec = {
            "type": "Resource",
            "resource": {"url": f"https://{_server(group)}.{_VERIFIED_DOMAIN}"},
        }
        return _manifest(_server(group), _namespace(group), spec)
    kind = _CLIENT_TYPES[number % len(_CLIENT_TYPES)]
    name = f"{kind.lower()}-{number}"
    return _manifest(name, _namespace(group), _client(kind, name, group))


def _server(group: int) -> str:
    return f"server-{group}"


def _namespace(group: int) -> str:
    return f"bench-{group % NAMESPACES}"


def _client(kind: str, name: str, group: int) -> dict[str, Any]:
    spec: dict[str, Any] = {"type": kind, "fhirServerRef": {"name": _server(group)}}
    callback = f"https://{name}.{_VERIFIED_DOMAIN}/callback"
    match kind:
        case "Service":
            return spec | {"appRoles": ["globalReader"]}
        case "Confidential":
            return spec | {"redirectUris": {"web": [callback]}}
        case _:
            return spec | {"redirectUris": {"spa": [callback]}}


def _manifest(name: str, namespace: str, spec: dict[str, Any]) -> Manifest:
    return {
        "apiVersion": "fhirapps.dev/v1alpha1",
        "kind": "FhirAppRegistration",
        "metadata": {"name": name, "namespace": namespace},
        "spec": spec,
    }
