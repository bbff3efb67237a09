from collections import Counter

from benchmarks.fleet import fleet, key_of, latecomer
from fhir_app_operator.api.v1alpha1.registration import RegistrationSpec


def specs(members):
    return [each["spec"] for each in members.registrations]


def test_a_fleet_has_as_many_members_as_asked_for():
    for size in (1, 20, 21, 22, 1000):
        assert len({key_of(each) for each in fleet(size).registrations}) == size


def test_there_is_a_server_for_every_twenty_clients_and_clients_are_mixed():
    types = Counter(each["type"] for each in specs(fleet(2100)))
    assert types["Resource"] == 100
    assert {name for name, count in types.items() if 600 <= count <= 700} == {
        "Service", "Confidential", "Public",
    }  # fmt: skip


def test_each_client_has_its_server_in_its_namespace_and_few_namespaces_are_enough():
    members = fleet(500)
    servers = {key_of(each) for each in members.registrations if each["spec"]["type"] == "Resource"}
    for each in (*members.registrations, latecomer()):
        namespace, _ = key_of(each)
        assert namespace in members.namespaces
        if each["spec"]["type"] != "Resource":
            assert (namespace, each["spec"]["fhirServerRef"]["name"]) in servers
    assert len(members.namespaces) == 4


def test_the_manifests_are_ones_of_the_api():
    for spec in specs(fleet(50)):
        assert RegistrationSpec.model_validate(spec).type == spec["type"]
    urls = [each["resource"]["url"] for each in specs(fleet(500)) if "resource" in each]
    assert len(set(urls)) == len(urls)
