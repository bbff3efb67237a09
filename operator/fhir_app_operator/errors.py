"""The error tree, named by consequence; `planning.conditions` maps it to status conditions.

    OperatorError
    ├── Invalid      the spec must change
    ├── Stalled      a person must act somewhere else (a permission, a name clash, a policy)
    └── Waiting      others or the weather: retried by itself, after `retry_after` if that is known
        ├── Conflict  somebody changed the Kubernetes object in between: read again, plan again
        └── NotLeading  another replica may lead: nothing may be written, not even a status

Nothing here knows Kopf, HTTP or Graph. A message is written for the person who reads
`kubectl describe`: it names the field or the permission, says what to do, and never holds a
response body, a token or a secret.
"""

from __future__ import annotations


class OperatorError(Exception):
    """Base of every error the operator raises on purpose.

    Args:
        reason: the CamelCase condition reason; part of the API once published.
        message: one or two sentences for a person.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(f"{reason}: {message}")
        self.reason = reason
        self.message = message


class Invalid(OperatorError):
    """The spec asks for something that can never work; only a change of the spec helps."""

    def __init__(self, message: str, reason: str = "InvalidSpec") -> None:
        super().__init__(reason, message)


class Stalled(OperatorError):
    """A person must act outside the spec; retried slowly, at once when spec or tenant change."""


class Waiting(OperatorError):
    """Not now: retried without anybody's help.

    Args:
        reason: the condition reason.
        message: what is waited for.
        retry_after: seconds that must pass first (a server's `Retry-After`); None lets the
            work queue back off exponentially.
    """

    def __init__(self, reason: str, message: str, retry_after: float | None = None) -> None:
        super().__init__(reason, message)
        self.retry_after = retry_after


class Conflict(Waiting):
    """A precondition on a Kubernetes write failed (409), or the object is gone (404)."""

    def __init__(self, message: str) -> None:
        super().__init__("Conflict", message, retry_after=0.0)


class NotLeading(Waiting):
    """The write was not started: this process is not, or not certainly, the leader."""

    def __init__(self) -> None:
        super().__init__("NotLeading", "this replica does not hold the Lease", retry_after=5.0)


def origin(error: BaseException) -> str:
    """Return file and line where `error` was raised, without any of its text."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return "unknown"
    return f"{trace.tb_frame.f_code.co_filename.rpartition('/')[2]}:{trace.tb_lineno}"
