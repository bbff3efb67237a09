"""What can go wrong with a sandbox, apart from its control plane.

Not here: `ControlPlaneError` (`dev.cluster.errors`), `KubectlError` (`dev.cluster.control_plane`).
"""


class SandboxError(Exception):
    """The environment cannot be had, or broke; the message says why and what to look at."""
