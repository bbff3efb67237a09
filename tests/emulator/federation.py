"""Tokens of an outside issuer, and their exchange for the directory's."""

from datetime import datetime
from typing import Any

import httpx
import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from entra_emulator import OPERATOR_CLIENT_ID
from tests.emulator.cloud import GRAPH, Cloud

ISSUER, SUBJECT = "https://cluster.example", "system:serviceaccount:ns:operator"
AUDIENCE = "api://AzureADTokenExchange"


def assertion(key: RSAPrivateKey, now: datetime, *, algorithm: str = "RS256", **more: Any) -> str:
    stamp = now.timestamp()
    claims = {
        "iss": ISSUER,
        "sub": SUBJECT,
        "aud": [AUDIENCE],
        "iat": stamp,
        "exp": stamp + 600.5,
        **more,
    }
    present = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode(present, key, algorithm=algorithm)


async def exchange(
    cloud: Cloud, text: str, client_id: str = OPERATOR_CLIENT_ID, **more: str
) -> httpx.Response:
    form = {
        "client_id": client_id,
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        "client_assertion": text,
        "scope": GRAPH,
        **more,
    }
    return await cloud.token(**form)
