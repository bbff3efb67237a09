"""Refusals of the directory, with Microsoft Graph's status, code and wording.

One constructor per refusal, so that a rule reads as a sentence and the text exists once. How a
refusal is written to the wire is in `graph.endpoint`. Texts follow Graph's error pages and recorded
answers.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Detail:
    """One entry of `error.details`."""

    code: str
    message: str
    target: str | None = None


class GraphError(Exception):
    """A refusal: HTTP status, `error.code`, `error.message`, `error.details`."""

    def __init__(
        self, status: int, code: str, message: str, *, details: tuple[Detail, ...] = ()
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.details = details


def bad_request(message: str, *details: Detail, code: str = "Request_BadRequest") -> GraphError:
    """400: the request breaks a rule that has no code of its own."""
    return GraphError(400, code, message, details=details)


def unsupported_query(message: str) -> GraphError:
    """400: a query option that the directory does not serve."""
    return GraphError(400, "Request_UnsupportedQuery", message)


def invalid_value(prop: str, kind: str, why: str = "") -> GraphError:
    """400: `prop` of the resource type `kind` cannot hold that value."""
    message = f"Invalid value specified for property '{prop}' of resource '{kind}'."
    return bad_request(message, Detail("InvalidValue", why or message, prop))


def missing_value(prop: str, kind: str) -> GraphError:
    """400: a creation lacks a required property."""
    message = f"A value is required for property '{prop}' of resource '{kind}'."
    return bad_request(message, Detail("MissingValue", message, prop))


def read_only(prop: str) -> GraphError:
    """400: only the directory sets `prop`."""
    message = f"Property '{prop}' is read-only and cannot be set."
    return bad_request(message, Detail("PropertyReadOnly", message, prop))


def passwords_by_action() -> GraphError:
    """400: passwords are made by addPassword and go by removePassword."""
    return bad_request("New password credentials must be generated using service actions.")


def not_found(identifier: str) -> GraphError:
    """404: no such object, or not visible yet."""
    return GraphError(
        404,
        "Request_ResourceNotFound",
        f"Resource '{identifier}' does not exist or one of its queried reference-property "
        "objects are not present.",
    )


def segment_not_found(segment: str) -> GraphError:
    """400: Graph has no such resource path; it answers BadRequest, not 404."""
    return GraphError(400, "BadRequest", f"Resource not found for the segment '{segment}'.")


def no_user() -> GraphError:
    """400: `/me` is the signed-in user, and an application is none."""
    return GraphError(
        400, "BadRequest", "/me request is only valid with delegated authentication flow."
    )


def denied() -> GraphError:
    """403: the caller lacks the permission, or does not own the object."""
    return GraphError(
        403, "Authorization_RequestDenied", "Insufficient privileges to complete the operation."
    )


def conflict(prop: str) -> GraphError:
    """400: `prop` is unique and another object has the value, soft-deleted ones included."""
    message = f"Another object with the same value for property {prop} already exists."
    return bad_request(message, Detail("ObjectConflict", message, prop))


def duplicate_key(message: str) -> GraphError:
    """409: an object with that key exists."""
    detail = Detail("ObjectConflict", message)
    return GraphError(409, "Request_MultipleObjectsWithSameKeyValue", message, details=(detail,))


def no_backing_application(app_id: str) -> GraphError:
    """400: a service principal needs an application, which is missing or not replicated yet."""
    message = (
        f"The appId '{app_id}' of the service principal does not reference a valid application "
        "object."
    )
    return bad_request(message, Detail("NoBackingApplicationObject", message, "appId"))


def foreign_application() -> GraphError:
    """403: with OwnedBy, a service principal may be made for an own application only."""
    return GraphError(
        403,
        "Authorization_RequestDenied",
        "When using this permission, the backing application of the service principal being "
        "created must in the local tenant",
    )


def enabled_entitlement() -> GraphError:
    """400: an app role or scope must be disabled before it is changed or removed."""
    return GraphError(
        400,
        "CannotDeleteOrUpdateEnabledEntitlement",
        "Permission (scope or role) cannot be deleted or updated unless disabled first.",
    )


def unverified_host(uri: str) -> GraphError:
    """400: an identifier URI without verified domain, tenant id or appId."""
    return GraphError(
        400,
        "HostNameNotOnVerifiedDomain",
        f"Failed to add identifier URI {uri}. All newly added URIs must contain a tenant "
        "verified domain, tenant ID, or app ID, as per the default tenant policy of your "
        "organization. See https://aka.ms/identifier-uri-addition-error for more information "
        "on this error.",
    )


def concurrency_violation(status: int) -> GraphError:
    """409 or 503: another write to the same object is still under way."""
    return GraphError(
        status,
        "Directory_ConcurrencyViolation",
        "Error due to concurrent requests being made to the tenant. Please wait briefly and retry.",
    )
