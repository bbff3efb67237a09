"""The list of certificates is written as a whole: what a write must not take away."""

from datetime import UTC, datetime, timedelta

import pytest

from fhir_app_operator.errors import Waiting
from fhir_app_operator.graph.client import Answer
from fhir_app_operator.graph.key_credentials import KeyCredentials
from fhir_app_operator.planning.model import Application, KeyCredential

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
APP = Application(object_id="o", app_id="a")
NEW = KeyCredential(key_id="new", display_name="ours", start=NOW, end=NOW + timedelta(days=1))
NOTHING: frozenset[str] = frozenset()


class Directory:
    """Answers reads with one list, and keeps what is written."""

    def __init__(self, *entries):
        self.entries = list(entries)
        self.written = []

    async def send(self, call):
        if call.method == "GET":
            return Answer(200, {"id": "o", "keyCredentials": self.entries})
        self.written.append(call.payload["keyCredentials"])
        return Answer(204, {})


def entry(key_id, end=NOW + timedelta(days=9), **more):
    moment = "%Y-%m-%dT%H:%M:%SZ"
    return {
        "keyId": key_id, "displayName": None, "key": "AAAA", "type": "AsymmetricX509Cert",
        "usage": "Verify", "startDateTime": "2020-01-01T00:00:00Z",
        "endDateTime": end.strftime(moment), "customKeyIdentifier": "BBBB",
    } | more  # fmt: skip


async def add(directory, expected=NOTHING):
    await KeyCredentials(directory).add(APP, NEW, b"der", now=NOW, expected=expected, young=False)


async def test_others_are_sent_back_as_they_are_and_without_their_key():
    theirs = entry("theirs", customKeyIdentifier="CCCC", displayName="by hand")
    directory = Directory(theirs)
    await add(directory)
    [[kept, made]] = directory.written
    assert kept == theirs | {"key": None}
    assert (made["keyId"], made["key"], made["displayName"]) == ("new", "ZGVy", "ours")


async def test_what_has_ended_is_left_out_since_it_would_block_the_list():
    directory = Directory(entry("over", end=NOW), entry("live"))
    await add(directory)
    assert [each["keyId"] for each in directory.written[0]] == ["live", "new"]


async def test_a_second_try_does_not_add_a_second_one():
    directory = Directory(entry("new"))
    await add(directory)
    assert [each["keyId"] for each in directory.written[0]] == ["new"]


async def test_a_list_that_is_behind_is_not_written():
    directory = Directory(entry("theirs"))
    with pytest.raises(Waiting) as caught:
        await add(directory, expected=frozenset({"held"}))
    assert caught.value.reason == "NotYetReplicated"
    with pytest.raises(Waiting):
        await KeyCredentials(directory).remove(
            APP, "theirs", now=NOW, expected=frozenset({"theirs", "held"})
        )
    assert directory.written == []


async def test_one_is_removed_and_one_that_is_gone_costs_no_write():
    directory = Directory(entry("old"), entry("theirs"))
    await KeyCredentials(directory).remove(APP, "old", now=NOW, expected=frozenset({"old"}))
    assert [each["keyId"] for each in directory.written[0]] == ["theirs"]
    await KeyCredentials(directory).remove(APP, "gone", now=NOW, expected=frozenset({"gone"}))
    assert len(directory.written) == 1
