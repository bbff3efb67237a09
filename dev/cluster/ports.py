"""Free ports on loopback that stay ours until the control plane is gone.

Not here: what listens on them.
"""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Ports:
    """One TCP port for each listener."""

    etcd_client: int
    etcd_peer: int
    api_server: int


@contextmanager
def reserved_ports() -> Iterator[Ports]:
    """Three free ports, reserved for this user's programs that share ports (SO_REUSEPORT).

    The reservation is a bound socket that never listens. It outlives a restart of the API server,
    so that nobody gets its port in between; not even a client's own outgoing connection does.
    """
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(3)]
        for reserved in sockets:
            reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            reserved.bind((LOOPBACK, 0))
        yield Ports(*(reserved.getsockname()[1] for reserved in sockets))
