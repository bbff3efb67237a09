"""Sign-ins with nothing but a registration's Secret, and what an administrator grants before.

No test lives here.
"""

import ssl
from urllib.parse import parse_qsl, urlsplit

import httpx
import jwt

from entra_emulator.directory import permissions
from entra_emulator.directory.directory import Key
from entra_emulator.directory.store import Kind
from entra_emulator.seeds import ALICE

VERIFIER = "a" * 43


def principal_of(lab, app_id):
    return lab.emulator.directory.primary(Kind.SERVICE_PRINCIPAL, Key(app_id, "appId"))


async def consent(lab, name):
    """Grant what the manifest asks for, as an administrator does."""
    directory = lab.emulator.directory
    document = await lab.application(name)
    client = principal_of(lab, document["appId"])
    for wanted in document["requiredResourceAccess"]:
        server = principal_of(lab, wanted["resourceAppId"])
        view = directory.primary_view(server)
        ids = {each["id"] for each in wanted["resourceAccess"]}
        for role in view["appRoles"]:
            if role["id"] in ids and wanted["resourceAccess"][0]["type"] == "Role":
                permissions.assign(directory, {
                    "principalId": client.id, "resourceId": server.id, "appRoleId": role["id"],
                })  # fmt: skip
        scopes = [s["value"] for s in view["oauth2PermissionScopes"] if s["id"] in ids]
        if scopes:
            permissions.grant(directory, {
                "clientId": client.id, "resourceId": server.id,
                "consentType": "AllPrincipals", "scope": " ".join(scopes),
            })  # fmt: skip


async def user_answer(lab, name, user=ALICE):
    """The access token's claims once `user` signed in, or the refusal that came back."""
    answer = await redeemed(lab, name, (await lab.secret(name))["FHIR_SCOPE"], user)
    return answer.get("access_token", answer)


async def redeemed(lab, name, scope, user=ALICE, **asked):
    """What the client got once `user` signed in, its tokens as claims; `asked` goes along."""
    data = await lab.secret(name)
    uri = data["FHIR_REDIRECT_URIS"].split(",")[0]
    common = {"client_id": data["AZURE_CLIENT_ID"], "redirect_uri": uri, "scope": scope}
    query = {
        "response_type": "code", "response_mode": "fragment", "code_challenge": VERIFIER,
        "login_hint": user.user_principal_name,
    }  # fmt: skip
    async with client(lab) as http:
        answer = await http.get(data["FHIR_AUTHORIZATION_URL"], params=query | common | asked)
        found = dict(parse_qsl(urlsplit(answer.headers["location"]).fragment))
        if "code" not in found:
            return found
        form = {"grant_type": "authorization_code", "code": found["code"],
                "code_verifier": VERIFIER}  # fmt: skip
        answer = await http.post(data["FHIR_TOKEN_URL"], data=form | _proof(data) | common)
    return with_claims(found | answer.json())


async def service_answer(lab, name):
    """The claims of a service's token, or the refusal."""
    data = await lab.secret(name)
    form = {"grant_type": "client_credentials", "client_id": data["AZURE_CLIENT_ID"],
            "scope": data["FHIR_SCOPE"]}  # fmt: skip
    async with client(lab) as http:
        answer = await http.post(data["FHIR_TOKEN_URL"], data=form | _proof(data))
    found = with_claims(answer.json())
    return found.get("access_token", found)


def client(lab):
    trust = ssl.create_default_context(cadata=lab.running.ca_pem.decode())
    return httpx.AsyncClient(verify=trust, trust_env=False)


def with_claims(answer):
    """The answer with each token's claims in its place."""
    return {
        key: jwt.decode(value, options={"verify_signature": False})
        if key in ("access_token", "id_token") else value
        for key, value in answer.items()
    }  # fmt: skip


def _proof(data):
    secret = data.get("AZURE_CLIENT_SECRET")
    return {"client_secret": secret} if secret else {}
