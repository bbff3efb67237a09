"""Applications of the operator, for the tests of what an application may be."""

from typing import Any

import httpx

from tests.emulator.cloud import Cloud

KEY = "/v1.0/applications(uniqueName='k1')"
SHARED = "1f0a6b4e-0000-4000-8000-000000000001"
MINIMAL = {"displayName": "one", "signInAudience": "AzureADMyOrg"}


async def create(cloud: Cloud, **members: Any) -> httpx.Response:
    return await cloud.operator.post("/v1.0/applications", json={**MINIMAL, **members})


async def make(cloud: Cloud, **members: Any) -> dict[str, Any]:
    answer = await create(cloud, **members)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def patch(cloud: Cloud, app: dict[str, Any], **members: Any) -> httpx.Response:
    return await cloud.operator.patch(f"/v1.0/applications/{app['id']}", json=members)


async def get(cloud: Cloud, app: dict[str, Any]) -> dict[str, Any]:
    answer = await cloud.operator.get(f"/v1.0/applications/{app['id']}")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found
