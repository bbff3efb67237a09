"""The ConfigMap with the Secret's data but the credential: when it is written, and when it goes.

Status names it before it is made, so that it is found again when the manifest no longer does.
"""

from __future__ import annotations

from fhir_app_operator.api.v1alpha1 import FhirAppRegistration
from fhir_app_operator.errors import Stalled, Waiting
from fhir_app_operator.planning import secret_data
from fhir_app_operator.planning.model import (
    DeleteConfigMap,
    Desired,
    Observed,
    WriteConfigMap,
)


def wanted_name(registration: FhirAppRegistration) -> str | None:
    """Return the name of the ConfigMap that the manifest asks for."""
    secret = registration.spec.secret
    return secret.config_map.name if secret and secret.config_map else None


def refuse_foreign(name: str | None, observed: Observed) -> None:
    """Raise unless the ConfigMap called `name` is ours or absent.

    Raises:
        Stalled: `ConfigMapConflict`, it belongs to somebody else.
        Waiting: `ConfigMapConflict`, a deleted registration of this name left it behind.
    """
    found = observed.config_map
    if found is None or found.ours:
        return
    if found.leftover:
        raise Waiting(
            "ConfigMapConflict",
            f"ConfigMap '{name}' belongs to a deleted registration of this name; it goes as soon "
            "as the garbage collector gets to it",
        )
    raise Stalled(
        "ConfigMapConflict",
        f"ConfigMap '{name}' exists and does not belong to this registration; it is left "
        "untouched. Delete it, or choose another `secret.configMap.name`",
    )


def due(desired: Desired, observed: Observed) -> tuple[WriteConfigMap | DeleteConfigMap, ...]:
    """Return what has to be done about it: the one that status names goes before another comes."""
    recorded = observed.recorded_config_map
    if recorded is not None and recorded != desired.config_map:
        return (DeleteConfigMap(name=recorded),)
    if desired.config_map is None:
        return ()
    found = observed.config_map
    if found is None:
        return (WriteConfigMap(name=desired.config_map, reason="ConfigMapMissing"),)
    same = (
        found.current
        and found.owner_reference == desired.secret_owned
        and dict(found.data) == secret_data.data(desired, observed)
    )
    return () if same else (WriteConfigMap(name=desired.config_map, reason="ConfigMapDiffers"),)


def to_record(desired: Desired, observed: Observed) -> str | None:
    """Return the name that status must hold before the ConfigMap is made; None: nothing new."""
    free = observed.recorded_config_map in (None, desired.config_map)
    return desired.config_map if free else None
