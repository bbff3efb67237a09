import pytest
import yaml

from dev.cluster.control_plane import KubectlError
from fhir_app_operator.api.v1alpha1 import (
    AppType,
    Cloud,
    EntraTenant,
    FhirAppRegistration,
    SecretPreset,
)
from fhir_app_operator.api.v1alpha1.secret import SecretReference
from fhir_app_operator.planning import secret_data
from tests.planning.worlds import desired, made

pytestmark = pytest.mark.control_plane


@pytest.fixture
def clinic_namespace(control_plane, render):
    namespace = next(d for d in render("examples/clinic") if d["kind"] == "Namespace")
    control_plane.kubectl("apply", "--server-side", "-f=-", stdin=yaml.safe_dump(namespace))
    return namespace


def parsed(document: dict, **metadata: str) -> dict:
    known = {"uid": "u", "resourceVersion": "1", "generation": 1}
    stamp = {"creationTimestamp": "2026-01-01T00:00:00Z"}
    return document | {"metadata": document["metadata"] | known | stamp | metadata}


def test_the_clinic_is_accepted_as_it_is(apply, kinds, clinic_namespace):
    assert apply("examples/clinic", "--dry-run=server").stdout.count("serverside-applied") == 5


def test_the_clinic_shows_each_type_once(render):
    registrations = [d for d in render("examples/clinic") if d["kind"] == "FhirAppRegistration"]
    assert sorted(r["spec"]["type"] for r in registrations) == sorted(AppType)


def test_the_clinics_clients_name_its_server_and_what_it_has(render):
    registrations = [
        FhirAppRegistration.model_validate(parsed(document))
        for document in render("examples/clinic")
        if document["kind"] == "FhirAppRegistration"
    ]
    servers = {r.metadata.name for r in registrations if r.spec.type is AppType.RESOURCE}
    clients = [r for r in registrations if r.spec.type is not AppType.RESOURCE]
    assert {r.spec.fhir_server_ref.name for r in clients} == servers


def test_the_tenants_are_accepted_as_they_are(apply, kinds):
    assert apply("examples/tenants", "--dry-run=server").stdout.count("serverside-applied") == 7


def test_the_tenants_show_each_cloud_and_each_kind_of_sign_in(render):
    tenants = [EntraTenant.model_validate(parsed(d)) for d in render("examples/tenants")]
    # The one for the Department of Defense differs from its neighbour by that word only.
    assert {t.spec.cloud for t in tenants} == set(Cloud) - {Cloud.US_GOVERNMENT_DOD}
    signs_in = [t.spec.auth for t in tenants]
    assert any(auth.workload_identity for auth in signs_in)
    assert any(auth.client_secret for auth in signs_in)
    assert any(auth.certificate for auth in signs_in)


def test_every_example_tenant_lets_the_clinic_in(render, clinic_namespace):
    tenants = [EntraTenant.model_validate(parsed(d)) for d in render("examples/tenants")]
    labels = clinic_namespace["metadata"]["labels"]
    assert all(tenant.spec.allows(labels) for tenant in tenants)


def test_a_default_tenant_is_among_them(render):
    assert "default" in {d["metadata"]["name"] for d in render("examples/tenants")}


def test_a_wrong_copy_of_an_example_is_refused(control_plane, render, kinds, clinic_namespace):
    portal = next(d for d in render("examples/clinic") if d["metadata"]["name"] == "portal")
    portal["spec"]["redirectUris"] = {"spa": ["https://portal.clinic.example/callback"]}
    with pytest.raises(KubectlError, match=r"redirectUris.spa"):
        control_plane.kubectl(
            "apply", "--server-side", "--dry-run=server", "-f=-", stdin=yaml.safe_dump(portal)
        )


def test_the_credentials_are_accepted_as_they_are(apply, kinds, clinic_namespace, render):
    documents = render("examples/credentials")
    answer = apply("examples/credentials", "--dry-run=server")
    assert answer.stdout.count("serverside-applied") == len(documents)


def test_the_credentials_show_each_type_that_the_clinic_does_not(render):
    credentials = [
        FhirAppRegistration.model_validate(parsed(document)).spec.credential
        for document in render("examples/credentials")
        if document["kind"] == "FhirAppRegistration"
    ]
    used = {name for each in credentials for name in each.model_fields_set}
    assert used == {"certificate", "federated"}


def test_a_workload_reads_the_secret_of_its_registration_and_only_keys_that_it_has(render):
    documents = render("examples/credentials")
    names = {d["metadata"]["name"] for d in documents if d["kind"] == "FhirAppRegistration"}
    known = {"AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_AUTHORITY_HOST", "FHIR_SCOPE"}
    for deployment in (d for d in documents if d["kind"] == "Deployment"):
        assert deployment["metadata"]["name"] in names
        pod = deployment["spec"]["template"]["spec"]
        for variable in pod["containers"][0].get("env", ()):
            if "valueFrom" in variable:
                reference = variable["valueFrom"]["secretKeyRef"]
                assert reference["name"] in names
                assert reference["key"] in known


def test_the_workloads_are_accepted_as_they_are(apply, kinds, clinic_namespace, render):
    documents = render("examples/workloads")
    answer = apply("examples/workloads", "--dry-run=server")
    assert answer.stdout.count("serverside-applied") == len(documents)


def test_the_workloads_show_each_preset_once_and_a_config_map(render):
    secrets = [
        FhirAppRegistration.model_validate(parsed(document)).spec.secret or SecretReference()
        for document in render("examples/workloads")
        if document["kind"] == "FhirAppRegistration"
    ]
    shown = [preset for secret in secrets if not secret.config_map for preset in secret.presets]
    assert sorted(shown) == sorted(SecretPreset)
    assert [each.config_map.name for each in secrets if each.config_map] == ["kiosk-entra"]


def test_the_workloads_read_what_their_registrations_write(render):
    documents = render("examples/workloads")
    written = {}
    for document in documents:
        if document["kind"] == "FhirAppRegistration":
            spec = document["spec"]
            roles = {"appRoles": ["globalReader"]} if "appRoles" in spec else {}
            wanted = desired(spec["type"], **spec | roles)
            keys = secret_data.data(wanted, made("app")).keys()
            written["secret", document["metadata"]["name"]] = keys
            written["configMap", wanted.config_map] = keys
    read = [
        (kind, reference)
        for document in documents
        for kind, reference in references(document.get("spec"))
        if reference["name"] != "research-sql"
    ]
    assert len(read) == 8
    for kind, reference in read:
        assert reference.get("key") in (None, *written[kind, reference["name"]])


def references(node):
    """The Secrets and ConfigMaps that a Pod names, and the key if it names one."""
    match node:
        case dict():
            for name, child in node.items():
                if name in ("secretRef", "secretKeyRef"):
                    yield "secret", child
                elif name in ("configMapRef", "configMapKeyRef"):
                    yield "configMap", child
                elif name == "secretName":
                    yield "secret", {"name": child}
                else:
                    yield from references(child)
        case list():
            for child in node:
                yield from references(child)
