"""SMART scopes: read, spelled for Entra and back; what is refused, and why."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_app_operator.api.v1alpha1 import ScopeEncoding
from fhir_app_operator.api.v1alpha1.exposure import SMART_CONTEXT
from fhir_app_operator.api.v1alpha1.fhir_types import FHIR_TYPES, US_CORE_TYPES
from fhir_app_operator.planning import smart
from fhir_app_operator.planning.smart import Clinical, InvalidScopeError, decode, encode, parse

DOT, DOLLAR = ScopeEncoding.DOT, ScopeEncoding.DOLLAR
ENTRA_ALPHABET = re.compile(r"[0-9A-Za-z!#$%&'()*+,\-.:;=?@\[\]^_{}~|]+")

words = st.text("abcABC019", min_size=1, max_size=6)
values = st.text("abcXYZ019_.:/|,+~@*-", min_size=1, max_size=12)
pairs = st.builds("{}={}".format, st.sampled_from(["category", "_tag", "code"]), values)
version_2 = st.sets(st.sampled_from("cruds"), min_size=1).map(
    lambda letters: "".join(letter for letter in "cruds" if letter in letters)
)
contexts = st.sampled_from(["patient", "user", "system"])
types = st.sampled_from(["*", *FHIR_TYPES])
clinical = st.one_of(
    st.builds(Clinical, context=contexts, type=types,
              access=st.sampled_from(["read", "write", "*"])),
    st.builds(Clinical, context=contexts, type=types, access=version_2,
              query=st.lists(pairs, max_size=2).map("&".join)),
)  # fmt: skip
others = st.one_of(st.sampled_from(SMART_CONTEXT), st.from_regex("[a-z][A-Za-z_]{2,9}",
                                                                 fullmatch=True))  # fmt: skip
encodings = st.sampled_from(ScopeEncoding)


@given(clinical)
def test_a_scope_is_read_as_it_is_written(scope):
    assert parse(scope.value) == scope


@given(st.one_of(clinical.map(lambda scope: scope.value), others), encodings)
def test_decoding_undoes_encoding_and_entra_takes_what_is_between(value, encoding):
    try:
        encoded = encode(value, encoding)
    except InvalidScopeError as error:
        assert "characters long" in str(error)
        return
    assert decode(encoded, encoding) == value
    assert ENTRA_ALPHABET.fullmatch(encoded)
    assert len(encoded) <= 120
    assert not encoded.startswith(".")


@given(clinical, clinical, encodings)
def test_two_scopes_never_become_one(one, other, encoding):
    try:
        spelled = encode(one.value, encoding), encode(other.value, encoding)
    except InvalidScopeError:
        return
    assert (spelled[0] == spelled[1]) == (one == other)


@given(st.text("patientuserlaunch/*.?=&$cruds OR", max_size=30), encodings)
def test_whatever_is_written_is_a_name_a_scope_or_refused_with_a_reason(text, encoding):
    try:
        encoded = encode(text, encoding)
    except InvalidScopeError as error:
        assert str(error)
    else:
        assert decode(encoded, encoding) == text


@pytest.mark.parametrize(
    ("value", "dot", "dollar"),
    [
        ("patient/*.read", "patient.all.read", "patient$*.read"),
        ("system/*.*", "system.all.all", "system$*.*"),
        ("user/Observation.rs", "user.Observation.rs", "user$Observation.rs"),
        ("launch/patient", "launch.patient", "launch$patient"),
        ("launch", "launch", "launch"),
        ("fhirUser", "fhirUser", "fhirUser"),
        ("user_impersonation", "user_impersonation", "user_impersonation"),
        ("audit.read", "audit.read", "audit.read"),
        (
            "user/Observation.rs?category=http://loinc.org|a",
            "user.Observation.rs?category=http:%2f%2floinc.org|a",
            "user$Observation.rs?category=http:%2f%2floinc.org|a",
        ),
    ],
)
def test_each_encoding_as_its_servers_read_it(value, dot, dollar):
    assert (encode(value, DOT), encode(value, DOLLAR)) == (dot, dollar)


def test_what_others_spelled_in_capitals_or_without_sense_can_be_decoded():
    assert decode("user.Observation.rs?code=a%2Fb", DOT) == "user/Observation.rs?code=a/b"
    assert decode("globalReader", DOLLAR) == "globalReader"
    assert decode("a$b", DOLLAR) == "a$b"


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("patient/*.dus", "in this order"),
        ("patient/*.rr", "each once"),
        ("patient/*.", "the access"),
        ("patient/*.readwrite", "the access"),
        ("patient/*.read?code=x", "without a query"),
        ("patient/Foo.rs", "resource type"),
        ("patient/observation.rs", "resource type"),
        ("patient/Resource.rs", "resource type"),
        ("patient/Observation", "context/Type.access"),
        ("clinic/Observation.rs", "context/Type.access"),
        ("patient/*.rs read", "the access"),
        ("launch/Patient", "context/Type.access"),
        ("user/Observation.rs?patient.name=x", "without chains"),
        ("user/Observation.rs?code:text=x", "modifiers"),
        ("user/Observation.rs?_include=x", "includes"),
        ("user/Observation.rs?_has=x", "includes"),
        ("user/Observation.rs?code", "parameter=value"),
        ("user/Observation.rs?code=%2f", "parameter=value"),
        ("user/Observation.rs?", "parameter=value"),
        ("patient.all.read", "SMART's own form"),
        ("launch.patient", "SMART's own form"),
        ("user$*.read", "SMART's own form"),
        ("", "context/Type.access"),
        ("user/Observation.rs\n", "resource type"),
    ],
)
def test_what_is_no_scope_is_refused_with_the_reason(value, reason):
    with pytest.raises(InvalidScopeError, match=re.escape(reason)):
        parse(value)


def test_a_scope_too_long_for_entra_is_refused_by_its_encoded_length():
    fits = "user/Observation.rs?code=" + "a" * 95
    assert len(encode(fits, DOT)) == 120
    with pytest.raises(InvalidScopeError, match="121 characters long"):
        encode(fits + "a", DOT)
    with pytest.raises(InvalidScopeError, match="122 characters long"):
        encode(fits.replace("aa", "a/", 1), DOT)


@pytest.mark.parametrize(
    ("values", "why"),
    [
        (["patient/*.read", "patient/Observation.write", "launch/patient", "fhirUser"], None),
        (["user/*.rs", "user/Patient.cruds", "user_impersonation"], None),
        (["globalReader", "system/*.rs"], None),
        (["patient/*.read", "user/*.read"], "contexts"),
        (["system/*.rs", "user/*.rs"], "contexts"),
        (["patient/*.read", "patient/*.rs"], "versions"),
        ([], None),
    ],
)
def test_contexts_and_versions_do_not_mix(values, why):
    found = smart.mixture(values)
    assert found is None if why is None else why in found


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("patient/*.read", "Read and search all FHIR data of the patient in context"),
        ("user/Goal.rs", "Read and search Goal resources that the signed-in user may access"),
        ("patient/Goal.cud", "Create, update and delete Goal resources of the patient in context"),
        ("system/Goal.s?code=a", "Search Goal resources with code=a without a signed-in user"),
        ("system/*.*", "Read and write all FHIR data without a signed-in user"),
    ],
)  # fmt: skip
def test_people_read_what_a_scope_means(value, text):
    assert parse(value).meaning == text


@given(clinical.filter(lambda scope: not scope.query))
def test_the_meaning_fits_where_entra_shows_it(scope):
    assert len(scope.meaning) <= 120


def test_what_belongs_to_smart_and_what_to_one_server():
    smart_ones = ["patient/*.read", "launch/patient", "fhirUser", "online_access"]
    assert all(map(smart.is_smart, smart_ones))
    assert not any(map(smart.is_smart, ["globalReader", "user_impersonation", "audit.read"]))


def test_the_types_are_those_of_three_releases():
    assert list(FHIR_TYPES) == sorted(set(FHIR_TYPES))
    assert len(FHIR_TYPES) == 178
    assert set(US_CORE_TYPES) < set(FHIR_TYPES)
    assert {"Media", "MedicinalProduct", "SubscriptionTopic", "GenomicStudy"} < set(FHIR_TYPES)
    assert not {"Resource", "DomainResource", "CanonicalResource"} & set(FHIR_TYPES)
