"""What an answer of Microsoft Graph means: its error envelope, and the consequence of each code.

Sources: Microsoft Graph, "Error responses and resource types" and "Throttling guidance"; codes
without a page of their own are those that Microsoft's and HashiCorp's clients handle. The text of
an answer is never passed on: it may quote what was sent.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, Final

from fhir_app_operator.errors import OperatorError, Stalled, Waiting

MIN_RETRY_AFTER: Final = 1.0
MAX_RETRY_AFTER: Final = 300.0
_SECONDS: Final = re.compile(r"[0-9]{1,15}")
_CONCURRENCY: Final = "Directory_ConcurrencyViolation"
_NOT_FOUND: Final = frozenset({
    "Request_ResourceNotFound", "Directory_ObjectNotFound", "ResourceNotFound", "NotFound",
})  # fmt: skip
_POLICY: Final = re.compile(r"policy '?([0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})")
_MAXIMUM: Final = re.compile(r"\bP\d{1,5}D\b")
_MISSING_CREDENTIAL: Final = re.compile(r"\bno (password )?credentials? found", re.IGNORECASE)
_GRANTED: Final = re.compile(
    r"(permission being assigned|EntitlementGrant entry|permission entry) already exists",
    re.IGNORECASE,
)
_UNSEEN: Final = re.compile(
    r"not a valid reference update|was not found on application|reference-property objects are not",
    re.IGNORECASE,
)
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
    genuine: bool = True
    """Whether it is Graph's envelope; what lies in between may answer, too."""
    policy: str | None = None
    """The id of the app management policy that the message names."""
    maximum: str | None = None
    """The longest lifetime that the message names, as an ISO 8601 duration."""
    missing_credential: bool = False
    """The generic 400 about a credential that is not there."""
    backing_application: bool = False
    """The 403 that a service principal gets while its application is not visible."""
    granted: bool = False
    """The refusal to grant what is granted already; its code is a generic one."""
    unseen_reference: bool = False
    """The generic 400 about a principal, resource or role that a replica does not show."""
    retry_after: float | None = None

    @property
    def is_negative(self) -> bool:
        """Whether the directory says that it does not have, or not show, the object."""
        return self.status == HTTPStatus.NOT_FOUND and self.code in _NOT_FOUND

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
    code = word(error.get("code"))
    return Problem(
        status=status,
        code=code or f"HTTP {status}",
        request_id=word(headers.get("request-id")) or "unknown",
        operation=operation,
        details=_detail_codes(error.get("details")),
        duplicate=_found(_SAME_VALUE, text),
        genuine=bool(code),
        policy=_found(_POLICY, text),
        maximum=_found(_MAXIMUM, text),
        missing_credential=_MISSING_CREDENTIAL.search(text) is not None,
        backing_application="backing application of the service principal" in text,
        granted=_GRANTED.search(text) is not None,
        unseen_reference=_UNSEEN.search(text) is not None,
        retry_after=_seconds(headers.get("retry-after"), headers.get("date")),
    )


def _found(pattern: re.Pattern[str], text: str) -> str | None:
    found = pattern.search(text)
    return found[found.lastindex or 0] if found else None


def word(value: Any) -> str:
    """Return a code or id from an untrusted answer: letters, digits and a few marks, cut to 80."""
    return re.sub(r"[^A-Za-z0-9_.:-]", "", value)[:80] if isinstance(value, str) else ""


def _detail_codes(details: Any) -> frozenset[str]:
    entries = details if isinstance(details, list) else [details]
    return frozenset(word(entry.get("code")) for entry in entries if isinstance(entry, dict))


def _seconds(header: str | None, date: str | None) -> float | None:
    """The seconds of a `Retry-After` (RFC 9110, 10.2.3), between 1 and `MAX_RETRY_AFTER`.

    It may be a date, then relative to the answer's own: our clock may be another one. None for
    anything else.
    """
    if header is None:
        return None
    if _SECONDS.fullmatch(header):
        wait = float(header)
    else:
        try:
            wait = (_moment(header) - _moment(date or "")).total_seconds()
        except ValueError:
            return None
    return min(max(wait, MIN_RETRY_AFTER), MAX_RETRY_AFTER)


def _moment(header: str) -> datetime:
    """The time in an HTTP date; ValueError if it is none."""
    found = parsedate_to_datetime(header)
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


def is_young_object_answer(problem: Problem) -> bool:
    """Whether this is one of the answers that an object gets before it has spread.

    404 `Request_ResourceNotFound`, 400 `NoBackingApplicationObject`, the 403 about the backing
    application, and the disabled-first refusal read from a replica that is behind.
    """
    codes = {problem.code, *problem.details}
    return (
        problem.is_negative
        or "NoBackingApplicationObject" in codes
        or "CannotDeleteOrUpdateEnabledEntitlement" in codes
        or problem.backing_application
    )


def is_transient(problem: Problem) -> bool:
    """Whether the same request may succeed in a moment, its outcome so far unknown or nil."""
    return (
        problem.status >= HTTPStatus.INTERNAL_SERVER_ERROR
        or problem.code == _CONCURRENCY
        or not problem.genuine
    )


def consequence(problem: Problem, *, young: bool) -> OperatorError:
    """Return the error that `problem` means for a registration.

    Args:
        problem: the answer.
        young: whether the object was made so lately that the directory may not show it yet.
    """
    if problem.status == HTTPStatus.TOO_MANY_REQUESTS:
        return Waiting(
            "GraphThrottled",
            f"Microsoft Graph throttles: {problem.cited()}",
            retry_after=problem.retry_after,
        )
    if is_transient(problem):
        return _unavailable(problem)
    if problem.status == HTTPStatus.UNAUTHORIZED:
        return Waiting(
            "TenantNotReady",
            "Microsoft Graph does not take the operator's token, nor a fresh one; check the "
            f"tenant's endpoints and `clientId`: {problem.cited()}",
        )
    codes = {problem.code, *problem.details}
    if "NoBackingApplicationObject" in codes:
        return Waiting(
            "NotYetReplicated",
            f"Entra does not show the application of a service principal yet: {problem.cited()}",
        )
    if "CannotDeleteOrUpdateEnabledEntitlement" in codes:
        return Waiting(
            "NotYetReplicated",
            f"a role or scope that was disabled is not seen as disabled yet: {problem.cited()}",
        )
    if young and is_young_object_answer(problem):
        return Waiting(
            "NotYetReplicated",
            f"Entra does not show what was just created yet: {problem.cited()}",
        )
    if problem.status == HTTPStatus.NOT_FOUND:
        return _unavailable(problem)
    return _refusal(problem)


def _unavailable(problem: Problem) -> Waiting:
    if problem.genuine or problem.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        message = f"Microsoft Graph fails: {problem.cited()}"
    else:
        message = (
            f"{problem.operation} was answered with HTTP {problem.status}, but not by Microsoft "
            "Graph; check the endpoints, the proxy and the network"
        )
    return Waiting("GraphUnavailable", message, retry_after=problem.retry_after)


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
        return Refused("PolicyBlocked", _policy_message(problem), problem)
    if problem.code == "Directory_QuotaExceeded":
        return Refused(
            "QuotaExceeded",
            "the directory's object quota is used up (deleted objects count for 30 days); an "
            f"administrator must delete objects permanently or raise it: {cited}",
            problem,
        )
    if problem.status == HTTPStatus.FORBIDDEN:
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


def _policy_message(problem: Problem) -> str:
    """What a person can do about an app management policy; its id is for the administrator."""
    secret = problem.operation.endswith("addPassword")
    what = "client secrets" if secret else "certificates"
    policy = f"app management policy {problem.policy}" if problem.policy else "a policy"
    exemption = f"ask an administrator for an exemption: {problem.cited()}"
    if problem.code == "CredentialInvalidLifetimeAsPerAppPolicy":
        field = "credential.clientSecret" if secret else "credential.certificate.issue"
        limit = f" (at most {problem.maximum})" if problem.maximum else ""
        return (
            f"{policy} of the tenant allows {what} no such lifetime{limit}; shorten "
            f"`{field}.duration`, or {exemption}"
        )
    if problem.code == "CredentialTypeNotAllowedAsPerAppPolicy":
        return f"{policy} of the tenant forbids {what}; choose another `credential`, or {exemption}"
    return f"{policy} of the tenant forbids this; {exemption}"
