"""What can go wrong with the local control plane: one error type with a subclass per remedy.

Not here: the error of a kubectl command, which is in `control_plane.py`.
"""


class ControlPlaneError(Exception):
    """The local control plane cannot be had; the message says what to do about it."""


class BinariesNotFoundError(ControlPlaneError):
    """No source has the binaries; the message names what to install."""


class BuildError(ControlPlaneError):
    """The binaries could not be built from their Go modules; the message ends with Go's output."""


class StartError(ControlPlaneError):
    """A program of the control plane ended or never became ready; ends with its log's tail."""


class PortTakenError(StartError):
    """Somebody else took a port between its choice and its use; another try helps."""


class StoppedError(ControlPlaneError):
    """The caller's stop event was set before the control plane was up."""
