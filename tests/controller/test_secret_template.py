"""`spec.secret.template` on the real API server, and a Secret that does not change for nothing."""

import pytest

pytestmark = pytest.mark.control_plane

WATCH = {"reconcile.fluxcd.io/watch": "Enabled"}
RELOAD = {"reloader.stakater.com/match": "true"}
SHARE = {"reflector.v1.k8s.emberstack.com/reflection-allowed": "true"}


async def metadata(lab, name):
    return (await lab.read("secret", name))["metadata"]


@pytest.fixture
async def decorated(lab):
    await lab.ready("Resource")
    template = {"labels": WATCH, "annotations": RELOAD | SHARE}
    name = await lab.ready("Service", secret={"template": template})
    lab.forget_calls()
    return name


async def test_labels_and_annotations_of_the_template_are_on_the_secret(lab, decorated):
    found = await metadata(lab, decorated)
    assert found["labels"].items() >= WATCH.items()
    assert found["annotations"].items() >= (RELOAD | SHARE).items()
    assert found["labels"]["app.kubernetes.io/managed-by"] == "fhir-app-operator"


async def test_what_left_the_template_goes_and_nothing_else_does(lab, decorated):
    theirs = {"labels": {"theirs": "x"}, "annotations": {"reloader.stakater.com/theirs": "y"}}
    await lab.patch("secret", decorated, {"metadata": theirs})
    before = await lab.read("secret", decorated)
    reduced = {"template": {"labels": None, "annotations": {next(iter(SHARE)): None}}}
    await lab.patch("fhirapp", decorated, {"spec": {"secret": reduced}})
    await lab.settle(decorated)
    after = await lab.read("secret", decorated)
    assert after["data"] == before["data"]
    labels, notes = after["metadata"]["labels"], after["metadata"]["annotations"]
    assert not labels.keys() & WATCH.keys()
    assert not notes.keys() & SHARE.keys()
    assert notes.items() >= RELOAD.items()
    assert labels["theirs"] == "x"
    assert notes["reloader.stakater.com/theirs"] == "y"
    assert lab.writes() == []


async def test_what_somebody_changed_is_put_right_without_a_new_credential(lab, decorated):
    before = await lab.read("secret", decorated)
    edit = {"labels": dict.fromkeys(WATCH), "annotations": dict.fromkeys(RELOAD, "false")}
    await lab.patch("secret", decorated, {"metadata": edit})
    await lab.settle(decorated)
    after = await lab.read("secret", decorated)
    assert after["metadata"]["labels"] == before["metadata"]["labels"]
    assert after["metadata"]["annotations"] == before["metadata"]["annotations"]
    assert after["data"] == before["data"]
    assert lab.writes() == []


async def test_a_secret_that_comes_back_has_them_too(lab, decorated):
    await lab.delete("secret", decorated)
    await lab.settle(decorated)
    found = await metadata(lab, decorated)
    assert found["labels"].items() >= WATCH.items()
    assert found["annotations"].items() >= (RELOAD | SHARE).items()


async def test_passes_that_find_nothing_to_do_leave_the_secret_as_it_is(lab, decorated):
    version = (await metadata(lab, decorated))["resourceVersion"]
    for _ in range(3):
        await lab.settle(decorated)
    assert (await metadata(lab, decorated))["resourceVersion"] == version
    await lab.patch("fhirapp", decorated, {"spec": {"displayName": "Another name"}})
    await lab.settle(decorated)
    assert (await metadata(lab, decorated))["resourceVersion"] == version


async def test_a_template_alone_leaves_the_default_name(lab, decorated):
    assert (await lab.status(decorated))["secretName"] == decorated
