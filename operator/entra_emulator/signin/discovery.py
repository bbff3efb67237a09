"""Documents that tell clients where sign-in is: openid-configuration and instance discovery."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from entra_emulator.signin import tokens
from entra_emulator.world import World


def openid_configuration(world: World, version: int) -> dict[str, Any]:
    """The metadata of the version 1 or 2 endpoints."""
    tenant = f"{world.origin}/{world.directory.tenant_id}"
    oauth = f"{tenant}/oauth2" if version == 1 else f"{tenant}/oauth2/v2.0"
    keys = f"{tenant}/discovery/keys" if version == 1 else f"{tenant}/discovery/v2.0/keys"
    host = urlsplit(world.origin).netloc
    return {
        "token_endpoint": f"{oauth}/token",
        "token_endpoint_auth_methods_supported": [
            "client_secret_post",
            "private_key_jwt",
            "client_secret_basic",
        ],
        "jwks_uri": keys,
        "response_modes_supported": ["query", "fragment", "form_post"],
        "subject_types_supported": ["pairwise"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "response_types_supported": ["code"],
        "scopes_supported": ["openid", "profile", "email", "offline_access"],
        "issuer": tokens.issuer(world, version),
        "authorization_endpoint": f"{oauth}/authorize",
        "code_challenge_methods_supported": ["plain", "S256"],
        "grant_types_supported": ["authorization_code", "client_credentials", "refresh_token"],
        "tenant_region_scope": "EU",
        "cloud_instance_name": host,
        "cloud_graph_host_name": host,
        "msgraph_host": host,
    }


def instance(world: World) -> dict[str, Any]:
    """The answer of instance discovery: this host is the only one."""
    host = urlsplit(world.origin).netloc
    authority = f"{world.origin}/{world.directory.tenant_id}/v2.0"
    return {
        "tenant_discovery_endpoint": f"{authority}/.well-known/openid-configuration",
        "api-version": "1.1",
        "metadata": [{"preferred_network": host, "preferred_cache": host, "aliases": [host]}],
    }
