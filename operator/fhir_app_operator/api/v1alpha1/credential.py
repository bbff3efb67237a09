"""How a client proves who it is: the `credential` of a registration and its lifetimes."""

from __future__ import annotations

from pydantic import ConfigDict, Field

from fhir_app_operator.api.v1alpha1.schema import ApiModel, Duration, rule, rules


class ClientSecret(ApiModel):
    """Lifetime of a client secret, in cert-manager's words."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule("duration(self.duration) >= duration('1h') && "
                 "duration(self.duration) <= duration('17520h')",
                 "`duration` must be between 1h and 17520h (two years)", field=".duration"),
            rule("!has(self.renewBefore) || duration(self.renewBefore) < duration(self.duration)",
                 "`renewBefore` must be shorter than `duration`", field=".renewBefore"),
            rule("!has(self.renewBefore) || duration(self.renewBefore) >= duration('5m')",
                 "`renewBefore` must be at least 5m: a renewal takes a while",
                 field=".renewBefore"),
            rule("!has(self.overlap) || (has(self.renewBefore) ? "
                 "duration(self.overlap) <= duration(self.renewBefore) : "
                 "duration(self.overlap) + duration(self.overlap) + duration(self.overlap) "
                 "<= duration(self.duration))",
                 "`overlap` must not exceed `renewBefore` (a third of `duration` if that is "
                 "not set)", field=".overlap"),
        )
    )  # fmt: skip
    duration: Duration = Field(default="4320h", description="Lifetime of a secret.",
                               validate_default=True)  # fmt: skip
    renew_before: Duration | None = Field(
        default=None,
        description="How long before its end a secret is renewed. Default: a third of the "
        "lifetime that the directory granted.",
    )
    overlap: Duration | None = Field(
        default=None,
        description="How long the old secret stays valid after a new one was published. "
        "Default: 24h, or `renewBefore` if that is shorter.",
    )


class Credential(ApiModel):
    """How a client proves who it is."""

    client_secret: ClientSecret = Field(
        default_factory=ClientSecret, description="A client secret.",
        json_schema_extra={"default": {"duration": "4320h"}},
    )  # fmt: skip
