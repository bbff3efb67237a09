"""Every name that other systems see: group, finalizers, labels, annotations, field manager.

The group is spelled once, here. Changing anything in this module is an API change.
"""

from typing import Final

GROUP: Final = "fhirapps.dev"
VERSION: Final = "v1alpha1"
API_VERSION: Final = f"{GROUP}/{VERSION}"

REGISTRATION_KIND: Final = "FhirAppRegistration"
REGISTRATION_PLURAL: Final = "fhirappregistrations"
TENANT_KIND: Final = "EntraTenant"
TENANT_PLURAL: Final = "entratenants"

FINALIZER: Final = f"{GROUP}/application"
"""On a registration that may own something in Entra."""

IN_USE_FINALIZER: Final = f"{GROUP}/in-use"
"""On a tenant that registrations refer to: their deletion still needs it."""

FIELD_MANAGER: Final = "fhir-app-operator"
MANAGED_BY_LABEL: Final = "app.kubernetes.io/managed-by"
"""On a Secret: `fhir-app-operator`, whatever its registration."""
MANAGED_BY: Final = "fhir-app-operator"
REGISTRATION_LABEL: Final = f"{GROUP}/registration"
"""On a Secret: the UID of the registration it belongs to; what the operator watches.

By a person, on a Secret that a registration follows: the registration's name.
"""

RECONCILE_REQUESTED_ANNOTATION: Final = f"{GROUP}/reconcile-requested-at"
"""On a registration, by a person: compare with Entra now. Any new value acts once."""
ROTATE_REQUESTED_ANNOTATION: Final = f"{GROUP}/rotate-requested-at"
"""On a registration, by a person: an RFC 3339 time; issue a credential younger than that."""
REVOKE_PREVIOUS_REQUESTED_ANNOTATION: Final = f"{GROUP}/revoke-previous-requested-at"
"""On a registration, by a person: an RFC 3339 time; retire at once what was replaced by then."""
REQUEST_ANNOTATIONS: Final = (
    RECONCILE_REQUESTED_ANNOTATION,
    ROTATE_REQUESTED_ANNOTATION,
    REVOKE_PREVIOUS_REQUESTED_ANNOTATION,
)
"""What a new value of wakes the operator."""

KEY_ID_ANNOTATION: Final = f"{GROUP}/key-id"
"""On a Secret: the key id, in Entra, of the credential that it holds."""
CREDENTIAL_TYPE_ANNOTATION: Final = f"{GROUP}/credential-type"
"""On a Secret: what was published in it, as `status.credentials[].type`."""
CREDENTIAL_KEYS_ANNOTATION: Final = f"{GROUP}/credential-keys"
"""On a Secret whose credential stands under other names: which part of it each key holds."""
NONCE_ANNOTATION: Final = f"{GROUP}/nonce"
"""On a Secret: the mark that the credential's display name in Entra ends with."""
EXPIRES_AT_ANNOTATION: Final = f"{GROUP}/expires-at"
"""On a Secret: when the credential ends."""
WRITTEN_AT_ANNOTATION: Final = f"{GROUP}/written-at"
"""On a Secret: when the credential was published; the overlap of the old one counts from then."""
TEMPLATE_ANNOTATION: Final = f"{GROUP}/template"
"""On a Secret: the names of the labels and annotations that come from `spec.secret.template`."""
DATA_DIGEST_ANNOTATION: Final = f"{GROUP}/data-sha256"
"""On a Secret: digest of all of its data; tells our own write from a person's edit."""
CREDENTIAL_DIGEST_ANNOTATION: Final = f"{GROUP}/credential-sha256"
"""On a Secret: digest of the credential alone; tells a lost one from another edited key."""

LEASE: Final = "fhir-app-operator"
"""In the operator's own namespace: which of its replicas works."""

DEFAULT_NAMESPACE: Final = "fhir-app-operator"
ENVIRONMENT_PREFIX: Final = "FHIR_APP_OPERATOR_"
