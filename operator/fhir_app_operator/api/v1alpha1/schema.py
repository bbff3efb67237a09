"""What the models of both kinds are built from: camelCase aliases, CEL rules, durations, metadata.

No field of the API is declared here.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any, Final

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    WithJsonSchema,
)
from pydantic.alias_generators import to_camel

RULES: Final = "x-kubernetes-validations"
LIST_SET: Final = {"x-kubernetes-list-type": "set"}


class ApiModel(BaseModel):
    """A part of a Kubernetes object: camelCase outside, unknown fields ignored, never changed."""

    model_config = ConfigDict(
        alias_generator=to_camel, validate_by_name=True, extra="ignore", frozen=True
    )


def rule(
    expression: str, message: str, *, field: str | None = None, reason: str = "FieldValueInvalid"
) -> dict[str, str]:
    """Return one entry of `x-kubernetes-validations`.

    Args:
        expression: CEL; `oldSelf` makes it a rule about updates only.
        message: one sentence that says what the field must be.
        field: JSON path of the field at fault, below the place of the rule (`.name`).
        reason: `FieldValueInvalid`, `FieldValueForbidden` or `FieldValueRequired`; with
            `FieldValueDuplicate` the API server drops the message.
    """
    entry = {"rule": expression, "message": message, "reason": reason}
    return entry | ({"fieldPath": field} if field else {})


def rules(*entries: dict[str, str], **more: Any) -> dict[str, Any]:
    """Return the `json_schema_extra` that attaches `entries` (and further keywords) to a schema."""
    return {RULES: list(entries), **more}


class UnmanagedPolicy(StrEnum):
    """What happens to what others made on the application."""

    REPORT = "Report"
    REMOVE = "Remove"


class Metadata(ApiModel):
    """The members of `metadata` that the operator reads."""

    name: str
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    creation_timestamp: datetime | None = None
    deletion_timestamp: datetime | None = None
    finalizers: tuple[str, ...] = ()
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}


_UNITS: Final = {"h": 3600, "m": 60, "s": 1}
DURATION_PATTERN: Final = r"^([0-9]{1,6}h)?([0-9]{1,6}m)?([0-9]{1,6}s)?$"


def parse_duration(text: str | timedelta) -> timedelta:
    """Return the length of a duration in Go's notation, such as `4320h` or `1h30m`.

    Raises:
        ValueError: `text` is not hours, minutes and seconds in this order.
    """
    if isinstance(text, timedelta):
        return text
    if not text or not re.match(DURATION_PATTERN, text):
        msg = f"'{text}' must be a duration such as 4320h or 1h30m"
        raise ValueError(msg)
    parts = re.findall(r"([0-9]+)([hms])", text)
    return timedelta(seconds=sum(int(count) * _UNITS[unit] for count, unit in parts))


def format_duration(length: timedelta) -> str:
    """Return `length` in Go's notation, the inverse of `parse_duration` for whole seconds."""
    minutes, seconds = divmod(int(length.total_seconds()), 60)
    hours, minutes = divmod(minutes, 60)
    parts = ((hours, "h"), (minutes, "m"), (seconds, "s"))
    return "".join(f"{count}{unit}" for count, unit in parts if count) or "0s"


DURATION_RULE: Final = rule(
    f"self.matches('{DURATION_PATTERN}')",
    "must be hours, minutes and seconds, such as 4320h or 1h30m: there is no unit for days",
)
"""A rule instead of `pattern`, which tells people an expression."""
Duration = Annotated[
    timedelta,
    BeforeValidator(parse_duration),
    PlainSerializer(format_duration, return_type=str),
    WithJsonSchema({"type": "string", "minLength": 2, "maxLength": 20, **rules(DURATION_RULE)}),
]  # fmt: skip


LONG_AGO: Final = datetime(1970, 1, 1, tzinfo=UTC)
FAR_AHEAD: Final = datetime(9000, 1, 1, tzinfo=UTC)


def reckonable(moment: datetime) -> datetime:
    """Return `moment` in UTC, moved to where lengths of time can be added and taken off.

    For times that others wrote: one at the edge of the calendar must not end a pass.
    """
    if not LONG_AGO.year < moment.year < FAR_AHEAD.year:
        return LONG_AGO if moment.year <= LONG_AGO.year else FAR_AHEAD
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)


def _utc_seconds(moment: datetime) -> datetime:
    return reckonable(moment).replace(microsecond=0)


Time = Annotated[
    datetime,
    AfterValidator(_utc_seconds),
    PlainSerializer(lambda moment: moment.strftime("%Y-%m-%dT%H:%M:%SZ"), return_type=str),
    WithJsonSchema({"type": "string", "format": "date-time", "maxLength": 40}),
]
"""A point in time, in whole seconds of UTC, as Kubernetes writes it."""

UUID_PATTERN: Final = "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"
Uuid = Annotated[str, Field(pattern=UUID_PATTERN, max_length=36)]

DNS_NAME_PATTERN: Final = r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?([.][a-z0-9]([a-z0-9-]*[a-z0-9])?)*$"
DnsName = Annotated[str, Field(pattern=DNS_NAME_PATTERN, min_length=1, max_length=253)]

DNS_LABEL_PATTERN: Final = "^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"
DnsLabel = Annotated[str, Field(pattern=DNS_LABEL_PATTERN, min_length=1, max_length=63)]


class NameReference(ApiModel):
    """A reference to an object in the same namespace, or to one that has none."""

    name: DnsName = Field(description="Name of the object.")
