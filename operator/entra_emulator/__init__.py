"""A local Microsoft Entra ID and Microsoft Graph, for tests and demonstrations.

It keeps the real directory's rules, with the real codes and headers, and issues really signed
tokens. It knows nothing of the operator. `Emulator` is the whole; `entra_emulator.server` puts it
on a TLS socket, and the command `entra-emulator` does that from a shell.
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
