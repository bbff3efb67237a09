"""A local Microsoft Entra ID and Microsoft Graph, for tests and demonstrations.

It keeps the real directory's rules, with the real codes and headers, and issues really signed
tokens. It knows nothing of the operator. `Emulator` is the whole; `entra_emulator.server` puts it
on a TLS socket, and the command `entra-emulator` does that from a shell.

What is covered:

- sign-in (`signin`): openid-configuration, instance discovery, keys; client credentials by secret,
  certificate or federated token; authorization code with PKCE, refresh tokens;
- Graph (`graph`), called by applications: applications with their passwords, certificates,
  federated credentials and owners; service principals; app role assignments; permission grants;
  deleted items. Paged lists, `$filter`, `$select`, `$count`; replication lag; quotas;
- of Azure Resource Manager (`resource_manager`): where the cloud's endpoints are, and that the
  tenant has no subscription.

Not covered: Graph on behalf of a user (`/me`), users and groups, `$batch`, delta, managed identity.

Unmodified clients hold it to that: MSAL, azure-identity and msgraph-sdk in `make test`, Azure CLI's
`az login`, `az account`, `az cloud`, `az ad app`, `az ad sp` and `az rest` in `make test-clients`,
each at its own address and, through `entra_emulator.tunnel`, under the real host names.
"""

from entra_emulator.clock import Clock, ManualClock, SystemClock
from entra_emulator.constants import (
    ADMIN_CLIENT_ID,
    GRAPH_APP_ID,
    OPERATOR_CLIENT_ID,
    TENANT_ID,
)
from entra_emulator.directory.replicas import Replica
from entra_emulator.emulator import Emulator
from entra_emulator.seeds import FederatedTrust, Seeds
from entra_emulator.spoiling import Spoilt
from entra_emulator.weather import ConnectionDropped, Fault

__all__ = [
    "ADMIN_CLIENT_ID",
    "GRAPH_APP_ID",
    "OPERATOR_CLIENT_ID",
    "TENANT_ID",
    "Clock",
    "ConnectionDropped",
    "Emulator",
    "Fault",
    "FederatedTrust",
    "ManualClock",
    "Replica",
    "Seeds",
    "Spoilt",
    "SystemClock",
]
