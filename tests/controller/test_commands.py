"""`plan` and `check` as their users see them."""

import json
from dataclasses import replace

import pytest
import yaml

from fhir_app_operator.api import names
from fhir_app_operator.controller import commands
from fhir_app_operator.errors import Stalled
from fhir_app_operator.kube.access import ClusterAccess
from fhir_app_operator.kube.api_server import MERGE_PATCH, ApiServer, Request
from tests.controller.lab import SPECS, OneTenant, resource_path

pytestmark = pytest.mark.control_plane


def manifest(lab, kind, name):
    text = json.dumps(SPECS[kind] | {"tenantRef": {"name": lab.tenant}})
    return {
        "apiVersion": names.API_VERSION,
        "kind": names.REGISTRATION_KIND,
        "metadata": {"name": name, "namespace": lab.namespace},
        "spec": json.loads(text.replace("{uri}", lab.namespace)),
    }


async def test_a_file_is_planned_to_its_end_and_nothing_is_written(lab, tmp_path, capsys):
    await lab.ready("Resource")
    lab.forget_calls()
    path = tmp_path / "new.yaml"
    config_map = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}}
    path.write_text(yaml.safe_dump_all([config_map, manifest(lab, "Service", "new")]))
    assert await commands.plan(lab.world, path, "", None)
    shown = capsys.readouterr().out
    for action in ("CreateApplication", "CreateServicePrincipal", "IssueCredential"):
        assert action in shown
    assert lab.writes() == []
    assert await lab.read("fhirapp", "new") is None


async def test_a_registration_in_the_cluster_is_planned(lab, capsys):
    name = await lab.ready("Resource")
    assert await commands.plan(lab.world, None, lab.namespace, name)
    assert "nothing to do" in capsys.readouterr().out
    await lab.patch("fhirapp", name, {"spec": {"displayName": "New"}})
    await commands.plan(lab.world, None, lab.namespace, name)
    shown = capsys.readouterr().out
    assert "UpdateApplication" in shown
    assert "display_name" in shown


async def test_a_plan_names_the_permissions_that_would_go(lab, wide, capsys):
    name = await lab.ready("Resource")
    change = {"appRoles": {"presets": ["SmartBackend"]}, "smart": {"resourceTypes": ["*"]}}
    await lab.patch("fhirapp", name, {"spec": {"resource": change}})
    await commands.plan(lab.world, None, lab.namespace, name)
    shown = capsys.readouterr().out.splitlines()
    update, wait, remove = [line for line in shown if "ApplicationDiffers" in line]
    for line, word in ((update, "disables"), (wait, "values"), (remove, "removes")):
        assert f"{word} globalAdmin, globalConverter" in line


async def test_a_deletion_is_planned_too(lab, capsys):
    await lab.ready("Resource")
    name = await lab.ready("Service")
    await lab.delete("fhirapp", name)
    assert await commands.plan(lab.world, None, lab.namespace, name)
    shown = capsys.readouterr().out
    assert shown.index("RevokeCredential") < shown.index("DeleteApplication")


async def test_a_protected_server_in_use_is_not_said_to_go(lab, wide, capsys):
    protected = {"url": f"https://{lab.namespace}.clinic.example", "deletionProtection": "Enabled"}
    server = await lab.ready("Resource", resource=protected)
    client = await lab.ready("Service")
    await lab.delete("fhirapp", server)
    assert not await commands.plan(lab.world, None, lab.namespace, server)
    shown = capsys.readouterr().out
    assert "InUse: the deletion waits for 1 registration(s)" in shown
    assert f"({lab.namespace}/{client})" in shown
    assert "DeleteApplication" not in shown
    await lab.patch("fhirapp", server, {"spec": {"deletionPolicy": "Orphan"}})
    assert await commands.plan(lab.world, None, lab.namespace, server)
    assert "nothing to do" in capsys.readouterr().out


async def test_an_issued_credential_is_told_in_words_of_the_manifest(lab, wide, tmp_path, capsys):
    await lab.ready("Resource")
    path = tmp_path / "new.yaml"
    path.write_text(yaml.safe_dump(manifest(lab, "Service", "new")))
    assert await commands.plan(lab.world, path, "", None)
    shown = capsys.readouterr().out
    assert "policy ClientSecret, 4320h" in shown
    assert "IssuePolicy(" not in shown


async def test_what_would_stop_a_pass_is_said(lab, capsys):
    name = await lab.register("Service")
    assert not await commands.plan(lab.world, None, lab.namespace, name)
    assert "FhirServerNotFound" in capsys.readouterr().out


async def test_a_manifest_that_the_server_refuses_names_the_field(lab, tmp_path):
    bad = manifest(lab, "Service", "bad")
    bad["spec"]["scopes"] = ["x"]
    path = tmp_path / "bad.yaml"
    path.write_text(yaml.safe_dump(bad))
    with pytest.raises(Stalled, match=r"spec\.scopes"):
        await commands.plan(lab.world, path, "", None)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"type": "Servce"},
            r'spec\.type: Unsupported value: "Servce": supported values: .*"Service"',
        ),
        ({"scops": ["x"]}, r'refused .*: unknown field "spec\.scops"$'),
        ({"secret": {"nam": "x"}}, r'unknown field "spec\.secret\.nam"$'),
        ({"displayName": 7}, r"spec\.displayName: .*string"),
    ],
)
async def test_a_refused_manifest_is_told_what_is_wrong_with_it(lab, tmp_path, change, said):
    bad = manifest(lab, "Service", "bad")
    bad["spec"] |= change
    path = tmp_path / "bad.yaml"
    path.write_text(yaml.safe_dump(bad))
    with pytest.raises(Stalled, match=said) as refused:
        await commands.plan(lab.world, path, "", None)
    assert "<nil>" not in refused.value.message


@pytest.mark.parametrize("text", ["a: [", "kind: ConfigMap\n", ""])
async def test_a_file_without_registrations_says_so(lab, tmp_path, text):
    path = tmp_path / "x.yaml"
    path.write_text(text)
    with pytest.raises(Stalled, match=r"x\.yaml"):
        await commands.plan(lab.world, path, "", None)


async def test_an_unknown_name_says_so(lab):
    with pytest.raises(Stalled, match="does not exist"):
        await commands.plan(lab.world, None, lab.namespace, "nobody")


@pytest.fixture
def wide(monkeypatch):
    monkeypatch.setenv("COLUMNS", "240")


async def test_check_is_good_when_everything_is_there(lab, wide, capsys):
    await lab.ready("Resource")
    await commands.check(
        lab.world, OneTenant(lab), watch_secrets=True, lease_namespace=lab.namespace
    )
    shown = capsys.readouterr().out
    mine = [line for line in shown.splitlines() if lab.tenant in line]
    assert len(mine) == 4
    assert all(" ok " in line for line in mine)
    assert "RBAC: secrets" in shown
    assert " ok " in next(line for line in shown.splitlines() if "RBAC: leases" in line)


async def test_check_names_verbs_that_are_missing(lab, control_plane, wide, capsys, tmp_path):
    token = tmp_path / "token"
    control_plane.kubectl("create", "serviceaccount", "weak", "-n", lab.namespace)
    token.write_text(control_plane.service_account_token(lab.namespace, "weak"))
    path = control_plane.kubeconfig_for_token(token, tmp_path / "kubeconfig")
    api = await ApiServer.connect(ClusterAccess(kubeconfig=path))
    assert not await commands.check(
        lab.world, api, watch_secrets=False, lease_namespace=lab.namespace
    )
    await api.close()
    shown = capsys.readouterr().out
    assert "may not get, list, watch, patch" in shown
    assert "may not create, get, update" in shown
    assert "kubectl apply -k deploy" in shown


async def test_check_finds_a_refused_sign_in_a_lost_application_and_a_wrong_clock(
    lab, wide, capsys
):
    name = await lab.ready("Resource")
    await lab.api.send(_status(lab, name, {"objectId": "99999999-0000-0000-0000-000000000000"}))
    skewed = replace(lab.world, clock=lambda: lab.emulator.clock.now().replace(year=2099))
    assert not await commands.check(
        skewed, OneTenant(lab), watch_secrets=False, lease_namespace=None
    )
    shown = capsys.readouterr().out
    mine = {line.split(":")[1].split("  ")[0].strip(): line
            for line in shown.splitlines() if lab.tenant in line}  # fmt: skip
    assert f"{lab.namespace}/{name}" in mine["ownership"]
    assert "differs" in mine["clock"]
    await lab.patch(
        "tenant", lab.tenant, {"spec": {"auth": {"clientSecret": {"secretRef": {"name": "none"}}}}}
    )
    assert not await commands.check(
        lab.world, OneTenant(lab), watch_secrets=False, lease_namespace=None
    )
    assert "CredentialNotFound" in capsys.readouterr().out


async def test_check_cuts_nothing_off_where_there_is_little_room(lab, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "60")
    name = await lab.ready("Resource")
    await lab.api.send(_status(lab, name, {"objectId": "99999999-0000-0000-0000-000000000000"}))
    assert not await commands.check(
        lab.world, OneTenant(lab), watch_secrets=False, lease_namespace=None
    )
    shown = capsys.readouterr().out
    assert "…" not in shown
    assert f"{lab.namespace}/{name}" in shown
    assert f"EntraTenant '{lab.tenant}': ownership" in shown


def _status(lab, name, status):
    path = resource_path("fhirapp", lab.namespace, name) + "/status"
    return Request(method="PATCH", path=path, what="status", body={"status": status},
                   content_type=MERGE_PATCH)  # fmt: skip
