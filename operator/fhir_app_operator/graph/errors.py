"""What an answer of Microsoft Graph means: its error envelope, and the consequence of each code.

Sources: Microsoft Graph, "Error responses and resource types" and "Throttling guidance"; codes
without a page of their own are those that Microsoft's and HashiCorp's clients handle. The text of
an answer is never passed on: it may quote what was sent.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

from fhir_app_operator.errors import OperatorError, Stalled, Waiting

MAX_RETRY_AFTER: Final = 300.0
_CONCURRENCY: Final = "Directory_ConcurrencyViolation"
_SAME_VALUE: Final = re.compile(
    r"same value for property (uniqueName|identifierUris)", re.IGNORECASE
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """An error answer of Graph, without its text."""

    status: int
    code: str
    request_id: str
    operation: str
    """Method and path, for the person who reads the condition."""
    details: frozenset[str] = frozenset()
    duplicate: str | None = None
    """The property whose value another object has, from the message of a generic 400."""
    backing_application: bool = False
    """The 403 that a service principal gets while its application is not visible."""
    retry_after: float | None = None

    def cited(self) -> str:
        """Return the code and the request id, as conditions cite them."""
        return f"{self.code} (request-id {self.request_id})"


class Refused(Stalled):
    """Graph refused a request for good; `problem` lets the noun's module say it better."""

    def __init__(self, reason: str, message: str, problem: Problem) -> None:
        super().__init__(reason, message)
        self.problem = problem


def parse_problem(status: int, body: Any, headers: dict[str, str], operation: str) -> Problem:
    """Return the problem in an error answer; tolerates bodies that are not Graph's envelope."""
    error = body.get("error") if isinstance(body, dict) else None
    error = error if isinstance(error, dict) else {}
    message = error.get("message")
    text = message if isinstance(message, str) else ""
    duplicate = _SAME_VALUE.search(text)
    return Problem(
        status=status,
        code=_word(error.get("code")) or f"HTTP {status}",
        request_id=_word(headers.get("request-id")) or "unknown",
        operation=operation,
        details=_detail_codes(error.get("details")),
        duplicate=duplicate[1] if duplicate else None,
        backing_application="backing application of the service principal" in text,
        retry_after=_seconds(headers.get("retry-after")),
    )


def _word(value: Any) -> str:
    """A code or id from an untrusted answer: letters, digits and a few marks, cut to 80."""
    return re.sub(r"[^A-Za-z0-9_.:-]", "", value)[:80] if isinstance(value, str) else ""


def _detail_codes(details: Any) -> frozenset[str]:
    entries = details if isinstance(details, list) else [details]
    return frozenset(_word(entry.get("code")) for entry in entries if isinstance(entry, dict))


def _seconds(header: str | None) -> float | None:
    try:
        return min(max(float(header), 0.0), MAX_RETRY_AFTER) if header else None
    except ValueError:
        return None


def is_young_object_answer(problem: Problem) -> bool:
    """Whether this is one of the answers that an object gets before it has spread.

    404 `Request_ResourceNotFound`, 400 `NoBackingApplicationObject`, the 403 about the backing
    application, and the disabled-first refusal read from a replica that is behind.
    """
    codes = {problem.code, *problem.details}
    return (
        problem.status == 404  # noqa: PLR2004
        or "NoBackingApplicationObject" in codes
        or "CannotDeleteOrUpdateEnabledEntitlement" in codes
        or problem.backing_application
    )


def is_transient(problem: Problem) -> bool:
    """Whether the same request may succeed in a moment, its outcome so far unknown or nil."""
    return problem.status >= 500 or problem.code == _CONCURRENCY  # noqa: PLR2004


def consequence(problem: Problem, *, young: bool) -> OperatorError:
    """Return the error that `problem` means for a registration.

    Args:
        problem: the answer.
        young: whether the object was made so lately that the directory may not show it yet.
    """
    if problem.status == 429:  # noqa: PLR2004
        return Waiting(
            "GraphThrottled",
            f"Microsoft Graph throttles: {problem.cited()}",
            retry_after=problem.retry_after,
        )
    if is_transient(problem):
        return Waiting(
            "GraphUnavailable",
            f"Microsoft Graph fails: {problem.cited()}",
            retry_after=problem.retry_after,
        )
    if "CannotDeleteOrUpdateEnabledEntitlement" in {problem.code, *problem.details}:
        return Waiting(
            "NotYetReplicated",
            f"a role or scope that was disabled is not seen as disabled yet: {problem.cited()}",
        )
    if young and is_young_object_answer(problem):
        return Waiting(
            "NotYetReplicated",
            f"Entra does not show what was just created yet: {problem.cited()}",
        )
    return _refusal(problem)


def _refusal(problem: Problem) -> Refused:
    cited = problem.cited()
    if problem.code == "HostNameNotOnVerifiedDomain":
        return Refused(
            "IdentifierUriNotVerified",
            "`resource.identifierUri` must hold the client id ('api://{appId}'), the tenant id "
            "or a verified domain of the tenant; or set `resource.tokenVersion` to 2: " + cited,
            problem,
        )
    if problem.duplicate == "identifierUris":
        return Refused(
            "IdentifierUriTaken",
            f"`resource.identifierUri` belongs to another application: {cited}",
            problem,
        )
    if problem.code.endswith("AsPerAppPolicy"):
        return Refused(
            "PolicyBlocked",
            "an app management policy of the tenant forbids this; shorten the credential's "
            "`duration`, use another type of `credential`, or ask for an exemption: " + cited,
            problem,
        )
    if problem.code == "Directory_QuotaExceeded":
        return Refused(
            "QuotaExceeded",
            "the directory's object quota is used up (deleted objects count for 30 days); an "
            f"administrator must delete objects permanently or raise it: {cited}",
            problem,
        )
    if problem.status in (401, 403):
        return Refused(
            "PermissionDenied",
            f"{problem.operation} was denied: the operator's application needs the Microsoft "
            "Graph application permission Application.ReadWrite.OwnedBy with admin consent, and "
            f"must be an owner of the object: {cited}",
            problem,
        )
    return Refused(
        "RequestRefused", f"Microsoft Graph refused {problem.operation}: {cited}", problem
    )
