"""What the README promises: the installed operator, `kubectl apply` of the examples, sign-ins."""

import base64
import json
import re
import signal
import time

import httpx
import pytest

from dev.demo.administrator import signed_in
from dev.demo.signing_in import is_loopback, service_token, user_token, verified_claims

pytestmark = pytest.mark.control_plane

REGISTRATIONS = {
    "fhir-server": "Resource", "portal": "Confidential", "patient-app": "Public",
    "ingest": "Service",
}  # fmt: skip


def secret_name(clinic, name):
    return clinic.get("fhirapp", name)["status"]["secretName"]


def secret(clinic, name):
    body = clinic.get("secret", secret_name(clinic, name))
    return {key: base64.b64decode(value).decode() for key, value in body["data"].items()}


def versions(clinic):
    found = {}
    for kind in ("fhirapps", "secrets", "entratenants"):
        for body in clinic.environment.objects(kind):
            meta = body["metadata"]
            if meta.get("namespace") in (None, "clinic"):
                found[kind, meta["name"]] = meta["resourceVersion"]
    return found


@pytest.fixture(scope="session")
def granted(clinic):
    """The administrator has granted what the manifests ask for."""
    with signed_in(clinic.entra, clinic.trust) as administrator:
        for name, kind in REGISTRATIONS.items():
            if kind != "Resource":
                administrator.consent(clinic.get("fhirapp", name)["status"]["appId"])
    return clinic


@pytest.mark.parametrize("name", REGISTRATIONS)
def test_each_example_is_ready_with_its_type(clinic, name):
    body = clinic.get("fhirapp", name)
    assert body["spec"]["type"] == REGISTRATIONS[name]
    assert body["status"]["observedGeneration"] == body["metadata"]["generation"]


def test_the_table_of_registrations_can_be_read_by_people(clinic):
    table = clinic.cluster.kubectl("get", "fhirapp", "-n", "clinic").stdout
    header, *rows = table.splitlines()
    assert header.split() == [
        "NAME",
        "TYPE",
        "READY",
        "REASON",
        "CLIENT-ID",
        "SECRET",
        "EXPIRES",
        "AGE",
    ]
    # Other tests of this session have theirs in the same namespace.
    assert {row.split()[0] for row in rows} >= set(REGISTRATIONS)
    tenants = clinic.cluster.kubectl("get", "entratenants").stdout
    assert tenants.split()[:5] == ["NAME", "TENANT-ID", "CLOUD", "READY", "REASON"]


def test_a_service_gets_in_with_its_secret_alone(granted):
    data = secret(granted, "ingest")
    claims = verified_claims(service_token(data, granted.trust), data, granted.trust)
    asked = set(granted.get("fhirapp", "ingest")["spec"]["appRoles"])
    assert set(claims["roles"]) == asked


@pytest.mark.parametrize("name", ["portal", "patient-app"])
def test_a_user_gets_in_with_the_clients_secret_alone(granted, name):
    data = secret(granted, name)
    uris = data["FHIR_REDIRECT_URIS"].split(",")
    uri = next((u for u in uris if is_loopback(u)), uris[0])
    token = user_token(data, granted.trust, redirect_uri=uri, user=granted.entra.users[0])
    claims = verified_claims(token, data, granted.trust)
    asked = {scope.rpartition("/")[2] for scope in data["FHIR_SCOPE"].split()}
    assert set(claims["scp"].split()) == asked


def test_without_the_grant_a_service_gets_a_token_without_roles(clinic):
    # Entra issues one all the same; the FHIR server refuses it.
    spec = {
        "type": "Service",
        "fhirServerRef": {"name": "fhir-server"},
        "appRoles": ["globalReader"],
    }
    clinic.create(registration("ungranted", spec))
    clinic.wait_ready("ungranted")
    data = secret(clinic, "ungranted")
    claims = verified_claims(service_token(data, clinic.trust), data, clinic.trust)
    assert "roles" not in claims


def registration(name, spec, namespace="clinic"):
    return {
        "apiVersion": "fhirapps.dev/v1alpha1",
        "kind": "FhirAppRegistration",
        "metadata": {"name": name, "namespace": namespace},
        "spec": spec,
    }


def test_a_resync_and_a_restart_write_nothing(clinic):
    clinic.wait_ready(*REGISTRATIONS)
    before = settled_versions(clinic)
    clinic.forget_calls()
    clinic.operator.restart()
    expected = len(clinic.environment.objects("fhirapps"))
    clinic.wait(lambda: successes(clinic) >= expected, "all looked at again")
    assert clinic.graph_calls("POST", "PATCH", "PUT", "DELETE") == []
    assert versions(clinic) == before


def successes(clinic):
    text = httpx.get(clinic.operator.metrics_url, trust_env=False).text
    labels = '{controller="fhirappregistration",result="success"}'
    line = re.search(rf"reconcile_total{re.escape(labels)} (\S+)", text)
    return float(line[1]) if line else 0.0


def settled_versions(clinic):
    """Versions once the tenant has counted its registrations."""
    last = None

    def still():
        nonlocal last
        now, time_up = versions(clinic), time.monotonic() + 3
        same = now == last
        last = now
        while not same and time.monotonic() < time_up:
            if versions(clinic) != now:
                return None
        return now if same else None

    return clinic.wait(still, "nothing changes any more")


def test_a_deleted_secret_is_back_at_once(clinic):
    name = secret_name(clinic, "ingest")
    before = secret(clinic, "ingest")
    clinic.cluster.kubectl("delete", "secret", name, "-n", "clinic")
    clinic.wait(lambda: clinic.get("secret", name), "the Secret is back", seconds=10)
    clinic.wait_ready("ingest")
    after = secret(clinic, "ingest")
    assert after["AZURE_CLIENT_SECRET"] != before["AZURE_CLIENT_SECRET"]
    for data in (before, after):
        assert verified_claims(service_token(data, clinic.trust), data, clinic.trust)


def test_an_edited_secret_is_repaired_at_once(clinic):
    name, before = secret_name(clinic, "portal"), secret(clinic, "portal")
    patch = json.dumps({"stringData": {"FHIR_SCOPE": "edited", "FOREIGN": "x"}})
    clinic.cluster.kubectl("patch", "secret", name, "-n", "clinic", "--type=merge", "-p", patch)
    clinic.wait(lambda: secret(clinic, "portal") == before, "the Secret is repaired", seconds=10)


def test_a_client_waits_for_its_server_and_goes_on_by_itself(clinic):
    clinic.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "late"}})
    spec = {"type": "Service", "fhirServerRef": {"name": "server"}, "appRoles": ["globalReader"]}
    clinic.create(registration("early", spec, "late"))
    clinic.wait(
        lambda: clinic.ready("early", "late").get("reason") == "FhirServerNotFound", "waits"
    )
    server = {"type": "Resource", "resource": {"url": "https://late.clinic.example"}}
    clinic.create(registration("server", server, "late"))
    clinic.wait_ready("early", namespace="late")


def test_a_deleted_registration_takes_its_application_along(clinic):
    spec = {
        "type": "Service",
        "fhirServerRef": {"name": "fhir-server"},
        "appRoles": ["globalReader"],
    }
    clinic.create(registration("short-lived", spec))
    clinic.wait_ready("short-lived")
    object_id = clinic.get("fhirapp", "short-lived")["status"]["objectId"]
    clinic.cluster.kubectl("delete", "fhirapp", "short-lived", "-n", "clinic", "--timeout=30s")
    objects = clinic.emulator("GET", "/objects")
    assert object_id not in [app["id"] for app in objects["applications"]]
    clinic.wait(lambda: clinic.get("secret", "short-lived") is None, "the Secret is collected", 90)


def test_a_namespace_deleted_as_a_whole_goes(clinic):
    clinic.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "leaving"}})
    server = {"type": "Resource", "resource": {"url": "https://leaving.clinic.example"}}
    clinic.create(registration("server", server, "leaving"))
    clinic.wait_ready("server", namespace="leaving")
    clinic.cluster.kubectl("delete", "namespace", "leaving", "--timeout=60s")


def test_no_secret_is_anywhere_but_in_its_secret(clinic):
    values = [secret(clinic, name)["AZURE_CLIENT_SECRET"] for name in ("portal", "ingest")]
    places = {
        "log": clinic.operator.log.read_text(),
        "registrations": json.dumps(clinic.environment.objects("fhirapps")),
        "annotations": json.dumps(
            [body["metadata"] for body in clinic.environment.objects("secrets")]
        ),
        "events": json.dumps(clinic.environment.objects("events")),
        "metrics": httpx.get(clinic.operator.metrics_url, trust_env=False).text,
    }
    for place, text in places.items():
        for value in values:
            assert value not in text, place
            assert base64.b64encode(value.encode()).decode() not in text, place


def test_the_log_is_one_json_entry_a_line(clinic):
    entries = [json.loads(line) for line in clinic.operator.log.read_text().splitlines() if line]
    done = [entry for entry in entries if entry["event"] == "reconciled"]
    assert {"clinic/portal", "clinic/ingest"} <= {entry["key"] for entry in done}
    assert {"level", "timestamp", "logger"} <= done[0].keys()


def test_health_is_served(clinic):
    base = clinic.operator.metrics_url.removesuffix("/metrics")
    for page in ("healthz", "readyz"):
        assert httpx.get(f"{base}/{page}", trust_env=False).text == "ok"


def test_metrics_are_served_under_the_names_that_dashboards_ask_for(clinic):
    spec = {
        "type": "Service",
        "fhirServerRef": {"name": "fhir-server"},
        "appRoles": ["globalReader"],
    }
    clinic.create(registration("measured", spec))
    clinic.wait_ready("measured")
    who = 'name="measured",namespace="clinic"'
    clinic.wait(lambda: who in metrics_page(clinic), "it is shown")
    page = metrics_page(clinic)
    for line in (
        'controller_runtime_reconcile_total{controller="fhirappregistration",result="success"}',
        'controller_runtime_max_concurrent_reconciles{controller="entratenant"}',
        'workqueue_queue_duration_seconds_bucket{le="1.0",name="fhirappregistration"}',
        'graph_requests_total{code="201",operation="PATCH /applications({uniqueName})"}',
        'graph_request_duration_seconds_count{operation="POST /applications/{id}/addPassword"}',
        f'fhirapp_condition{{{who},status="True",type="Ready"}} 1.0',
        f"fhirapp_credential_expiry_timestamp_seconds{{{who}}}",
        f'fhirapp_info{{{who},tenant="default",type="Service"}} 1.0',
    ):
        assert f"\n{line}" in page, page
    host = clinic.cluster.url.removeprefix("https://")
    assert f'rest_client_requests_total{{code="200",host="{host}",method="GET"}}' in page
    clinic.cluster.kubectl("delete", "fhirapp", "measured", "-n", "clinic", "--timeout=30s")
    clinic.wait(lambda: 'name="measured"' not in metrics_page(clinic), "its series are gone")


def metrics_page(clinic):
    return httpx.get(clinic.operator.metrics_url, trust_env=False).text


def test_sigterm_ends_the_operator_cleanly_and_quickly(clinic):
    started = time.monotonic()
    assert clinic.operator.stop(signal.SIGTERM) == 0
    assert time.monotonic() - started < 10
    clinic.operator.start()


def test_a_restart_of_the_api_server_is_survived_and_nothing_is_missed(clinic):
    pid = clinic.operator.pid
    clinic.cluster.restart_api_server()
    spec = {
        "type": "Service",
        "fhirServerRef": {"name": "fhir-server"},
        "appRoles": ["globalReader"],
    }
    clinic.create(registration("after-restart", spec))
    clinic.wait_ready("after-restart")
    name = secret_name(clinic, "after-restart")
    clinic.cluster.kubectl("delete", "secret", name, "-n", "clinic")
    clinic.wait(lambda: clinic.get("secret", name), "the Secret is back")
    assert clinic.operator.pid == pid
    assert clinic.operator.exit_code is None


def test_check_finds_nothing_missing_in_the_operators_own_place(clinic):
    answer = clinic.operator.command("check")
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert "RBAC: secrets" in answer.stdout


def test_plan_shows_what_a_file_would_come_to(clinic, tmp_path):
    spec = {
        "type": "Service",
        "fhirServerRef": {"name": "fhir-server"},
        "appRoles": ["globalReader"],
    }
    path = tmp_path / "new.json"
    path.write_text(json.dumps(registration("planned", spec)))
    answer = clinic.operator.command("plan", "-f", str(path))
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert "IssueCredential" in answer.stdout
    assert clinic.get("fhirapp", "planned") is None
