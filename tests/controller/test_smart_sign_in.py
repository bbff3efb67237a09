"""SMART scopes from the manifest to the token: encoded for Entra, decoded in the Secret."""

import pytest

from tests.controller.signing_in import consent, service_answer, user_answer

pytestmark = pytest.mark.control_plane

URL = "https://{uri}.clinic.example"
FINE = "user/Observation.rs?category=http://terminology.hl7.org/x|laboratory"
CUSTOM = {
    "value": FINE,
    "adminConsentDisplayName": "Laboratory results",
    "adminConsentDescription": "Read laboratory results",
}
ENCODINGS = pytest.mark.parametrize(
    ("encoding", "fine", "context", "system"),
    [
        ("Dot", "user.Observation.rs?category=http:%2f%2fterminology.hl7.org%2fx|laboratory",
         "launch.patient", "system.all.read"),
        ("Dollar", "user$Observation.rs?category=http:%2f%2fterminology.hl7.org%2fx|laboratory",
         "launch$patient", "system$*.read"),
    ],
)  # fmt: skip


def server(encoding, version=1):
    return {
        "url": URL, "tokenVersion": version, "appRoles": {"presets": ["SmartBackend"]},
        "scopes": {"presets": ["SmartContext", "SmartV1"], "custom": [CUSTOM]},
        "smart": {"scopeEncoding": encoding, "resourceTypes": ["*", "Observation"]},
    }  # fmt: skip


@ENCODINGS
async def test_a_user_signs_in_with_smart_scopes(lab, encoding, fine, context, system):
    await lab.ready("Resource", resource=server(encoding))
    wanted = [FINE, "launch/patient", "fhirUser"]
    name = await lab.ready("Public", scopes=wanted)
    await consent(lab, name)

    found = await user_answer(lab, name)

    assert set(found["scp"].split()) == {fine, context, "fhirUser"}
    assert (await lab.secret(name))["FHIR_SMART_SCOPE"] == " ".join(wanted)


@ENCODINGS
async def test_a_service_signs_in_with_smart_roles(lab, encoding, fine, context, system):
    await lab.ready("Resource", resource=server(encoding, version=2))
    name = await lab.ready("Service", appRoles=["system/*.read"])
    await consent(lab, name)

    found = await service_answer(lab, name)

    assert found["roles"] == [system]
    assert (await lab.secret(name))["FHIR_SMART_SCOPE"] == "system/*.read"
