"""The table of who gets in: servers, their clients, and what each may do.

Here: manifests and rows, without a cluster. What tries them is in `test_access`.
"""

from dataclasses import dataclass, field

NAMESPACE = "access"
READER, SMART = "reader", "smart"
"""Two people: one has the role globalReader on each server, the other smartUser."""
OBSERVATION, PATIENT = "Observation", "Patient"
_WEB = {"web": ["https://portal.access.example/callback"]}
_PAGE = {"spa": ["https://app.access.example/signed-in"]}
_NATIVE = {"publicClient": ["http://localhost"]}


@dataclass(frozen=True)
class Server:
    """A FHIR server of the table."""

    name: str
    token_version: int
    encoding: str
    resource: dict = field(default_factory=dict)

    @property
    def clients(self):
        return CLIENTS

    def manifest(self):
        resource = {
            "url": f"https://{self.name}.clinic.example",
            "tokenVersion": self.token_version,
            "smart": {"scopeEncoding": self.encoding, "resourceTypes": ["*", OBSERVATION, PATIENT]},
            "appRoles": {"presets": ["FhirServer", "SmartBackend"]},
            "scopes": {"presets": ["UserImpersonation", "SmartContext", "SmartV1", "SmartV2"]},
        }
        return registration(
            self.name, type="Resource", resource=resource | self.resource,
            secret={"presets": ["FhirServer"]},
        )  # fmt: skip


@dataclass(frozen=True)
class Managed:
    """A managed service of Azure's: Azure's roles decide there, by object id."""

    name: str = "managed"

    @property
    def clients(self):
        return MANAGED_CLIENTS

    def manifest(self):
        url = "https://table-fhir.fhir.azurehealthcareapis.com"
        resource = {"url": url, "product": "AzureHealthDataServices"}
        return registration(self.name, type="Resource", resource=resource)


@dataclass(frozen=True)
class Client:
    """A kind of client that each server has; `user` signs in to it, if anybody does."""

    kind: str
    spec: dict
    may: tuple[tuple[str, str], ...]
    """Method and type of the requests that get in; all others of the table are forbidden."""
    user: str | None = None
    azure_role: str | None = None
    """The role in Azure that a service was given, on a managed service."""

    def name_at(self, server):
        return f"{server.name}-{self.kind}"

    def manifest(self, server):
        reference = {"fhirServerRef": {"name": server.name}}
        return registration(self.name_at(server), **self.spec, **reference)


SERVERS = (
    Server("oss-v1-dot", 1, "Dot"),
    Server("oss-v1-dollar", 1, "Dollar"),
    Server("oss-v2-dot", 2, "Dot"),
    Server("oss-v2-dollar", 2, "Dollar", {"identifierUri": "api://{appId}"}),
)
CLIENTS = (
    Client(
        "reader", {"type": "Service", "appRoles": ["globalReader"]},
        may=(("GET", OBSERVATION), ("GET", PATIENT)),
    ),
    Client(
        "backend", {"type": "Service", "appRoles": ["smartUser", "system/Observation.rs"]},
        may=(("GET", OBSERVATION),),
    ),
    Client(
        "portal", {"type": "Confidential", "redirectUris": _WEB},
        may=(("GET", OBSERVATION), ("GET", PATIENT)), user=READER,
    ),
    Client(
        "chart",
        {
            "type": "Confidential", "redirectUris": _WEB,
            "scopes": ["user/Observation.rs", "launch/patient", "fhirUser"],
        },
        may=(("GET", OBSERVATION),), user=SMART,
    ),
    Client(
        "page", {"type": "Public", "redirectUris": _PAGE, "scopes": ["patient/*.read"]},
        may=(("GET", OBSERVATION), ("GET", PATIENT)), user=SMART,
    ),
    Client(
        "mobile", {"type": "Public", "redirectUris": _NATIVE, "scopes": ["user/Patient.cruds"]},
        may=(("GET", PATIENT), ("POST", PATIENT)), user=SMART,
    ),
    Client(
        "bare", {"type": "Public", "redirectUris": _NATIVE, "scopes": ["user_impersonation"]},
        may=(), user=SMART,
    ),
)  # fmt: skip
READ, ALL = "FHIR Data Reader", "FHIR Data Contributor"
AZURE_ROLES = {READER: READ, SMART: ALL}
"""What the people were given in Azure."""
MANAGED = Managed()
MANAGED_CLIENTS = (
    Client(
        "report", {"type": "Service", "azureRole": READ}, azure_role=READ,
        may=(("GET", OBSERVATION), ("GET", PATIENT)),
    ),
    Client("waiting", {"type": "Service", "azureRole": ALL}, may=()),
    Client(
        "desk", {"type": "Confidential", "redirectUris": _WEB},
        may=(("GET", OBSERVATION), ("GET", PATIENT)), user=READER,
    ),
    Client(
        "tablet", {"type": "Public", "redirectUris": _NATIVE},
        may=(("GET", OBSERVATION), ("POST", OBSERVATION), ("GET", PATIENT), ("POST", PATIENT)),
        user=SMART,
    ),
)  # fmt: skip
ALL_SERVERS = (*SERVERS, MANAGED)
REQUESTS = (("GET", OBSERVATION), ("POST", OBSERVATION), ("GET", PATIENT), ("POST", PATIENT))


def registration(name, **spec):
    return {
        "apiVersion": "fhirapps.dev/v1alpha1",
        "kind": "FhirAppRegistration",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": spec,
    }


def manifests():
    """Everything of the table, in one list for `kubectl apply`."""
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
    clients = [client.manifest(server) for server in ALL_SERVERS for client in server.clients]
    servers = [server.manifest() for server in ALL_SERVERS]
    return {"apiVersion": "v1", "kind": "List", "items": [namespace, *clients, *servers]}


def rows():
    """Each server and client with each request, and the status that it must get."""
    for server in ALL_SERVERS:
        for client in server.clients:
            for method, kind in REQUESTS:
                good = 201 if method == "POST" else 200
                yield server, client, method, kind, good if (method, kind) in client.may else 403
