"""Counting and showing; what is counted is made up here, no figure is measured."""

import asyncio
import json
import os
from dataclasses import replace

import httpx
import pytest
from rich.console import Console

from benchmarks import profile, report
from benchmarks.api_server import ApiServer, Readiness
from benchmarks.counters import Directory, GraphCalls, operator_counts
from benchmarks.errors import BenchmarkError
from benchmarks.figures import Applied, Conditions, Idle, Restarted, Result, Verified
from benchmarks.processes import OURSELVES, Usage, busy_seconds, programs, usage

OPERATOR = "22222222-2222-2222-2222-222222222222"
UID = "aaaaaaaa-0000-0000-0000-000000000001"
OBJECT = "bbbbbbbb-0000-0000-0000-000000000002"
METRICS = """\
# TYPE rest_client_requests counter
rest_client_requests_total{code="200",method="GET"} 7.0
rest_client_requests_total{code="404",method="GET"} 1.0
rest_client_requests_total{code="201",method="POST"} 2.0
rest_client_requests_total{code="200",method="PUT"} 99.0
# TYPE controller_runtime_reconcile counter
controller_runtime_reconcile_total{controller="fhirappregistration",result="success"} 3.0
controller_runtime_reconcile_total{controller="fhirappregistration",result="requeue"} 4.0
controller_runtime_reconcile_total{controller="entratenant",result="success"} 9.0
# TYPE workqueue_depth gauge
workqueue_depth{name="registrations"} 5.0
"""


def entry(method, path, *, caller=OPERATOR, status=200, query=""):
    return {"method": method, "path": path, "query": query, "status": status, "caller": caller}


def directory(entries=(), status=200):
    def answer(request):
        if request.url.path.endswith("/throttling"):
            return httpx.Response(status)
        return httpx.Response(200, json=list(entries))

    http = httpx.Client(transport=httpx.MockTransport(answer))
    return Directory(http, "https://entra.example/_emulator", OPERATOR)


def registration():
    return {
        "metadata": {"uid": UID, "namespace": "n", "name": "r", "generation": 1},
        "spec": {"type": "Service"},
        "status": {"objectId": OBJECT},
    }


def ready(status="True", generation=1, observed=1):
    body = registration()
    body["metadata"]["generation"] = generation
    condition = {"type": "Ready", "status": status, "reason": "Why", "message": "because"}
    return body | {"status": {"observedGeneration": observed, "conditions": [condition]}}


def result(size=1000, **changes):
    graph = GraphCalls(calls=3700, writes=2600, throttled=0, by_type={"Service": (8, 6)})
    counts = operator_counts(METRICS)
    usages = {"fhir-app-operator": Usage(cpu_seconds=40, rss_mib=100, peak_rss_mib=120)}
    applied = Applied(
        apply_seconds=9, ready_p50=20, ready_p95=30, ready_max=50, graph=graph, operator=counts,
        usage=usages, settled_rss_mib=100, foreign_cpu_seconds=1,
    )  # fmt: skip
    return Result(
        size=size, types={"Service": 2}, conditions=Conditions(), quotas=True,
        applied=replace(applied, **changes),
        verified=Verified(seconds=2, graph=replace(graph, writes=0), operator=counts),
        restarted=Restarted(seconds=3, graph_writes=0),
        idle=Idle(
            seconds=40, graph=replace(graph, calls=800, writes=0), operator=counts, rss_mib=150
        ),
    )  # fmt: skip


def shown(*results):
    console = Console(width=160, record=True, file=open(os.devnull, "w"))  # noqa: SIM115, PTH123
    with console.file:
        console.print(report.table(results))
    return console.export_text()


def line(text, start):
    return next(each for each in text.splitlines() if start in each)


def test_calls_are_given_to_the_type_of_whoever_they_are_about():
    found = directory([
        entry("GET", f"/v1.0/applications(uniqueName='fhirapps-x-{UID}')"),
        entry("POST", f"/v1.0/applications/{OBJECT}/addPassword"),
        entry("GET", "/v1.0/servicePrincipals/cccccccc-0000-0000-0000-000000000003/ownedObjects"),
        entry("PATCH", f"/v1.0/applications/{OBJECT}", status=429),
        entry("POST", "/tenant/oauth2/v2.0/token"),
        entry("GET", "/v1.0/applications", caller="somebody else"),
    ]).graph_calls([registration()])  # fmt: skip
    assert (found.calls, found.writes, found.throttled) == (4, 2, 1)
    assert found.by_type == {"": (1, 0), "Service": (3, 2)}
    assert found.by_operation["POST /v1.0/applications/{}/addPassword"] == 1


def test_an_emulator_without_quotas_is_noticed():
    assert directory(status=200).enforce_quotas("S") is True
    assert directory(status=404).enforce_quotas("S") is False
    with pytest.raises(httpx.HTTPStatusError):
        directory(status=400).enforce_quotas("S")


def test_the_operators_metrics_are_added_up():
    found = operator_counts(METRICS)
    assert (found.total_kube_calls, found.kube_writes) == (10, 2)
    assert (found.settled_passes, found.depth) == (3, 5)
    assert found.since(found).total_kube_calls == 0


async def test_a_registration_counts_when_it_is_ready_for_its_spec():
    readiness = Readiness()
    for body in (ready("False"), ready(generation=2, observed=1)):
        readiness.note(body)
    with pytest.raises(BenchmarkError, match=r"1 of 1 are not Ready.*\n.*n/r: Why: because"):
        await readiness.wait([("n", "r")], 0.01)
    readiness.note(ready())
    assert list(await readiness.wait([("n", "r")], 1)) == [("n", "r")]


async def test_a_watch_that_the_api_server_closes_is_taken_up_again():
    watches = []

    async def answer(request):
        if "watch" in request.url.params:
            watches.append(request.url.params["resourceVersion"])
            if len(watches) > 2:
                await asyncio.Event().wait()
            end = {"type": "ERROR", "object": {"code": 410}} if len(watches) == 2 else {}
            return httpx.Response(200, text=json.dumps(end) + "\n" if end else "")
        items = [ready()] if len(watches) == 2 else [ready("False")]
        version = str(len(watches))
        return httpx.Response(200, json={"items": items, "metadata": {"resourceVersion": version}})

    http = httpx.AsyncClient(transport=httpx.MockTransport(answer), base_url="https://k")
    async with http, ApiServer(http).readiness() as readiness:
        assert list(await readiness.wait([("n", "r")], 5)) == [("n", "r")]
    assert watches[:2] == ["0", "1"]


async def test_a_broken_watch_ends_the_waiting():
    readiness = Readiness()
    waiting = asyncio.create_task(readiness.wait([("n", "r")], 60))
    await asyncio.sleep(0)
    readiness.end("gone")
    with pytest.raises(BenchmarkError, match="gone"):
        await waiting


def test_a_process_is_measured():
    assert programs()[OURSELVES] == os.getpid()
    used = usage(os.getpid())
    assert 0 < used.cpu_seconds <= busy_seconds()
    assert 1 < used.rss_mib <= used.peak_rss_mib


def test_a_process_that_is_gone_is_named():
    with pytest.raises(BenchmarkError, match="/proc/4194305/stat"):
        usage(4194305)


def test_targets_that_are_met_or_missed_are_marked():
    text = shown(result())
    assert "50.0 s ✓" in line(text, "Ready, all")
    assert "4.00 (3.00) ✓" in line(text, "per Service")
    assert "61.0 s ✗" in line(shown(result(ready_max=61.0)), "Ready, all")
    ready = line(shown(result(settled_rss_mib=201.0)), "memory when all are Ready")
    assert "201 MiB ✗" in ready


def test_an_idle_hour_is_shown_with_how_fast_it_was_played():
    text = shown(result()).partition("an hour of the clock")[2]
    assert "40.0 s" in text.splitlines()[0]
    assert "3 ✗" in line(text, "looked at")
    assert "800 (0) ✓" in line(text, "Graph calls")
    assert "10 (2) ✗" in line(text, "Kubernetes calls")
    assert "150 MiB ✓" in line(text, "memory at its end")
    busy = replace(result().idle, graph=GraphCalls(calls=801, writes=0, throttled=0))
    text = shown(replace(result(), idle=busy)).partition("an hour of the clock")[2]
    assert "801 (0) ✗" in line(text, "Graph calls")


def test_a_large_fleet_may_take_what_the_write_quota_takes():
    graph = GraphCalls(calls=15_000, writes=13_000, throttled=0)
    assert report.ready_target(result(5000, graph=graph)) == pytest.approx(550)
    assert report.ready_target(result(1000, graph=graph)) == 60


def test_missing_quotas_are_said():
    assert "NO quotas" in shown(replace(result(), quotas=False))
    assert "size S" in shown(result())


def test_what_was_not_measured_is_left_open():
    text = shown(replace(result(), verified=None, restarted=None, idle=None))
    assert "✓" not in line(text, "restart: a new registration")


def test_the_document_holds_every_figure():
    document = json.loads(report.document([result()]))
    (found,) = document["results"]
    assert found["applied"]["ready_max"] == 50
    assert found["applied"]["graph"]["by_type"] == {"Service": [8, 6]}
    assert found["applied"]["operator"]["kube_calls"] == {"GET": 8, "POST": 2}
    assert document["machine"]["cores"] == os.cpu_count()


def test_samples_are_added_up_by_own_time_and_with_what_is_called(tmp_path):
    file = tmp_path / "samples"
    file.write_text("a.main;b.work;b.work 3\na.main 1\n")
    console = Console(width=80, record=True)
    for table in profile.summary(profile.read(file), 10):
        console.print(table)
    lines = console.export_text().splitlines()
    assert [each.split()[1] for each in lines if "a.main" in each] == ["25.0", "100.0"]
    assert [each.split()[1] for each in lines if "b.work" in each] == ["75.0", "75.0"]


def test_an_operator_that_left_no_samples_is_an_error(tmp_path):
    with pytest.raises(BenchmarkError, match="no samples"):
        profile.read(tmp_path / "none")
    (tmp_path / "empty").touch()
    with pytest.raises(BenchmarkError, match="did nothing"):
        profile.read(tmp_path / "empty")
