"""Names and marks of a registration, which other systems keep."""

from tests.planning.worlds import identity


def test_names_and_marks_follow_from_cluster_and_uid():
    who = identity(uid="uid-1")
    assert who.unique_name == "fhirapps-cluster-uid-1"
    assert who.owner_tag == "fhirapps.dev/owner:cluster/uid-1"
    assert who.registration_tag == "fhirapps.dev/registration:clinic/portal"


def test_a_nonce_is_found_again_in_the_name_that_it_made_and_in_no_other():
    who, other = identity(uid="uid-1"), identity(uid="uid-2")
    name = who.credential_name("n1")
    assert who.nonce_of(name) == "n1"
    assert other.nonce_of(name) is None
    assert who.nonce_of(None) is None


def test_a_key_id_is_the_same_for_a_nonce_for_ever_and_another_for_another():
    who = identity(uid="uid-1")
    assert who.key_id("n1") == who.key_id("n1")
    assert len({who.key_id("n1"), who.key_id("n2"), identity(uid="uid-2").key_id("n1")}) == 3
