"""What a manifest puts on its Secret: told apart from what others put there."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_app_operator.kube.secret_template import applied, changes
from fhir_app_operator.planning.model import SecretTemplate

LIST = "fhirapps.dev/template"
WATCH = "reconcile.fluxcd.io/watch"
MATCH = "reloader.stakater.com/match"
SHARE = "reflector.v1.k8s.emberstack.com/reflection-allowed"
TEMPLATE = SecretTemplate(labels={WATCH: "Enabled"}, annotations={MATCH: "true", SHARE: "true"})


def after(metadata, template):
    """The metadata once the changes were merged into it (RFC 7396)."""
    merged = []
    for before, change in zip(
        (metadata.get("labels"), metadata.get("annotations")), changes(metadata, template),
        strict=True,
    ):  # fmt: skip
        together = {**(before or {}), **change}
        merged.append({key: value for key, value in together.items() if value is not None})
    return {"labels": merged[0], "annotations": merged[1]}


def test_what_was_put_on_is_read_back():
    metadata = after({}, TEMPLATE)
    assert applied(metadata) == TEMPLATE
    assert after(metadata, TEMPLATE) == metadata


def test_what_left_the_template_leaves_the_secret_and_that_of_others_stays():
    theirs = {"labels": {"theirs": "x"}, "annotations": {"reloader.stakater.com/theirs": "y"}}
    metadata = after(theirs, TEMPLATE)
    assert after(metadata, SecretTemplate()) == theirs
    smaller = SecretTemplate(annotations={MATCH: "true"})
    left = after(metadata, smaller)
    assert applied(left) == smaller
    assert SHARE not in left["annotations"]
    assert WATCH not in left["labels"]


def test_a_value_that_somebody_changed_or_took_off_differs():
    metadata = after({}, TEMPLATE)
    metadata["annotations"][MATCH] = "false"
    assert applied(metadata) != TEMPLATE
    del metadata["labels"][WATCH]
    assert WATCH not in applied(metadata).labels
    assert applied(after(metadata, TEMPLATE)) == TEMPLATE


@pytest.mark.parametrize(
    "text",
    ["", "no json", "[]", "{}", '{"labels": "x", "annotations": {}}', '{"labels": [1, null]}',
     json.dumps({"labels": ["fhirapps.dev/registration", "app.kubernetes.io/managed-by"],
                 "annotations": ["fhirapps.dev/key-id", "theirs", "reloader.stakater.com/x\n"]}),
     "[" * 100_000],
)  # fmt: skip
def test_a_tampered_list_takes_nothing_off(text):
    metadata = {"annotations": {LIST: text, "theirs": "x"}, "labels": {"theirs": "x"}}
    assert applied(metadata) == SecretTemplate()
    labels, annotations = changes(metadata, SecretTemplate())
    assert labels == {}
    assert annotations == {LIST: None}


@given(st.text(max_size=60))
def test_no_list_breaks_it(text):
    applied({"annotations": {LIST: text}})
