"""One namespace of registrations, tried from outside: Secrets, tokens, and the servers they open.

No test lives here.
"""

import base64

import httpx

from dev.demo.administrator import signed_in
from dev.demo.signing_in import service_token, user_token
from tests.fhir_server.server import FhirServer, serving


class Access:
    """What the registrations of one namespace come to."""

    def __init__(self, clinic, namespace):
        self.clinic = clinic
        self.namespace = namespace

    def wait_ready(self):
        """Wait until all of them are Ready."""
        self.clinic.cluster.kubectl(
            "wait", "--for=condition=Ready", "fhirapp", "--all", "-n", self.namespace,
            "--timeout=120s",
        )  # fmt: skip

    def secret(self, name):
        body = self.clinic.get("secret", name, self.namespace)
        return {key: base64.b64decode(value).decode() for key, value in body["data"].items()}

    def registration(self, name):
        return self.clinic.get("fhirapp", name, self.namespace)

    def app_id(self, name):
        return self.registration(name)["status"]["appId"]

    def consent(self, name):
        """An administrator opens the page of the client's permissions and accepts."""
        entra = self.clinic.entra
        page = f"{entra.origin}/{entra.tenant_id}/adminconsent"
        answer = self.clinic.http.post(page, params={"client_id": self.app_id(name)})
        assert answer.status_code == 200, answer.text

    def assign(self, server, person, role):
        """An administrator gives a person a role on a server."""
        with signed_in(self.clinic.entra, self.clinic.trust) as administrator:
            administrator.assign(person.id, self.app_id(server), {role})

    def token(self, name, person=None):
        """An access token of a client, from its Secret alone; `person` signs in to it."""
        secret, trust = self.secret(name), self.clinic.trust
        if person is None:
            return service_token(secret, trust)
        redirects = self.registration(name)["spec"]["redirectUris"]
        return user_token(
            secret, trust, redirect_uri=secret["FHIR_REDIRECT_URIS"].split(",")[0],
            user=person.user_principal_name, in_page="spa" in redirects,
        )  # fmt: skip

    def serving(self, secret, **more):
        """The FHIR server whose registration has that Secret, until the block ends."""
        return serving(FhirServer.from_secret(secret, self.clinic.entra.ca_file, **more))


def ask(server, token, method, path):
    """The status of the answer, which always comes with an OperationOutcome."""
    headers = {"Authorization": f"Bearer {token}"}
    answer = httpx.request(method, f"{server.url}/{path}", headers=headers, trust_env=False)
    assert answer.json()["resourceType"] == "OperationOutcome"
    return answer.status_code
