"""What must hold after every effect, and at the end: the rules S1-S12 and L1-L3.

Looks at the world itself, not at what the operator says about it: a Secret is good when the token
endpoint takes what is in it. Violations are collected, since the operator would catch an exception.
"""

import base64
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from fhir_app_operator.api import names

PREFIX = "fhirapps:"
OWNER = f"{names.GROUP}/owner:cluster/"
_NEVER = datetime.max.replace(tzinfo=UTC)
_MERCY = timedelta(hours=1)
_TOLERANCE = timedelta(seconds=1)
"""Times on the Secret are in whole seconds."""


@dataclass(frozen=True)
class Violation:
    """A rule that did not hold, after the call of that number."""

    rule: str
    text: str
    number: int

    def __str__(self):
        return f"{self.rule}: {self.text} (call {self.number})"


class Oracle:
    """Watches one run. `expected` is how many credentials the fault-free run issues."""

    def __init__(self, world):
        self._world = world
        self.violations = []
        self.ready_once = set()
        self._excused = {}
        self.deleted_by_people = set()
        """Object ids of applications whose credentials nobody could revoke any more."""
        self.revocable = set()
        """Key ids that a person wants to go at once."""
        self.issued = {}
        """Key ids by nonce, of every addPassword that took effect."""
        self.values = set()
        self.created = {}
        self._intents = set()
        self._replaced = {}
        self._published = {}
        self._shown = set()
        """Key ids that were ever in a Secret."""
        self._documents = {}
        self._bystanders = None

    # ---- around every effect

    def before(self, entry):
        self._check_leader(entry)
        if entry.call.writes and entry.call.side == "graph":
            self._documents = {e.id: e.document for e in self._world.cloud.applications()}
            self._check_target(entry)
            if entry.call.target.endswith("/addPassword") and entry.landed_at is None:
                self._check_intent(entry)
        if entry.call.writes and "/secrets" in entry.call.target:
            self._check_secret_write(entry)
        if entry.call.writes and "/configmaps" in entry.call.target:
            self._check_config_map_write(entry)

    def after(self, entry):
        if entry.call.writes and entry.call.side == "graph":
            self._note_answer(entry)
            self._check_applications(entry)
        if entry.call.writes:
            self.note()
            self._check_bystanders(entry)
        self._check_secrets(entry)

    def note(self):
        """Take in what is true now, after an effect or after a person did something."""
        for body in self._world.registrations():
            uid = body["metadata"]["uid"]
            if is_ready(body):
                self.ready_once.add(uid)
            pending = (body.get("status") or {}).get("pendingCredential")
            if pending:
                self._intents.add(pending["nonce"])
            secret = self._world.secret_of(body)
            key_id = secret and _notes(secret).get(names.KEY_ID_ANNOTATION)
            last = self._published.get(uid)
            if key_id:
                self._shown.add(key_id)
            if key_id and key_id != last:
                if last:
                    # By the Secret's own word: a write that lands late shortens the overlap.
                    self._replaced.setdefault(last, _written_at(secret))
                self._published[uid] = key_id
                self._replaced.pop(key_id, None)

    def excuse(self, uid):
        """A person broke what lets the workload of `uid` sign in: until it is good again.

        It may look good as long as the directory's replica is behind, or while nothing on the
        Secret says which credential it is that still works.
        """
        now = self._world.clock.now()
        self._excused[uid] = now + self._world.cloud.directory.store.lag
        if uid in self._published:
            # The operator may count it as gone from now on.
            self._replaced.setdefault(self._published[uid], now)

    def fail(self, rule, text):
        self.violations.append(Violation(rule, text, len(self._world.calls.history) - 1))

    # ---- S2

    def _check_secrets(self, entry):
        for body in self._world.registrations():
            uid, meta = body["metadata"]["uid"], body["metadata"]
            if uid not in self.ready_once or "deletionTimestamp" in meta:
                continue
            if self._world.is_usable(body):
                marked = self._world.key_id(meta["name"]) is not None
                if marked and self._world.clock.now() > self._excused.get(uid, _NEVER):
                    del self._excused[uid]
            elif uid not in self._excused:
                self.excuse(uid)  # told once
                self.fail("S2", f"the Secret of {meta['name']} cannot sign in, after {entry.call}")

    # ---- S8

    def _check_leader(self, entry):
        """Only who has the Lease writes, where there is one."""
        if not entry.call.writes or entry.landed_at is not None:
            return
        if self._world.leader not in (None, f"operator-{entry.process}"):
            self.fail("S8", f"{entry.call} of a process that does not lead")

    # ---- S4, S5, S6

    def _check_intent(self, entry):
        nonce = _parts(entry.call.body["passwordCredential"]["displayName"])[1]
        if nonce not in self._intents:
            self.fail("S4", "addPassword without its durable intent")

    def _check_target(self, entry):
        """A write to an application must find the tag of a registration that exists."""
        if entry.landed_at is not None:
            return
        object_id = entry.call.target.split("/")[2] if "/" in entry.call.target[1:] else ""
        document = self._documents.get(object_id)
        if document is None or document["deletedDateTime"] is not None:
            return  # nothing there that could be changed
        owners = [tag.removeprefix(OWNER) for tag in document["tags"] if tag.startswith(OWNER)]
        if not any(self._world.registration_by_uid(uid) for uid in owners):
            self.fail("S5", f"{entry.call} reaches an application of somebody else")

    def _check_secret_write(self, entry):
        request = entry.call.body
        if request.method == "PATCH" and not request.body["metadata"].get("resourceVersion"):
            self.fail("S6", "a Secret was patched without a precondition")
        live = self._world.kube.objects.get(request.path)
        if live is None or entry.landed_at is not None:  # then only the precondition can hold it
            return
        uid = (live["metadata"].get("labels") or {}).get(names.REGISTRATION_LABEL)
        if uid is None or self._world.registration_by_uid(uid) is None:
            self.fail("S6", f"{request.path} is not of a registration that exists")

    def _check_config_map_write(self, entry):
        request = entry.call.body
        held = (request.body.get("metadata") or request.body.get("preconditions") or {}).keys()
        if request.method != "POST" and "resourceVersion" not in held:
            self.fail("S6", f"a ConfigMap was written without a precondition: {entry.call}")
        live = self._world.kube.objects.get(request.path)
        if live is not None and entry.landed_at is None:
            uid = (live["metadata"].get("labels") or {}).get(names.REGISTRATION_LABEL)
            if uid is None or self._world.registration_by_uid(uid) is None:
                self.fail("S6", f"{request.path} is not of a registration that exists")

    # ---- S1, S3

    def _note_answer(self, entry):
        if not entry.call.target.endswith("/addPassword") or entry.answer.status_code != 200:
            return
        answer = entry.answer.json()
        self.values.add(answer["secretText"])
        nonce = _parts(answer["displayName"])[1]
        if nonce in self.issued:
            self.fail("S4", f"two credentials for the intent {nonce}")
        self.issued[nonce] = answer["keyId"]

    def _check_applications(self, entry):
        for entity in self._world.cloud.applications():
            document = entity.document
            unique = document["uniqueName"]
            made = self.created.setdefault(unique, set())
            made.add(entity.id)
            if len(made) > 1:
                self.fail("S1", f"{len(made)} applications were made for {unique}")
            if len(self._world.cloud.principals(document["appId"])) > 1:
                self.fail("S1", f"two service principals of {document['appId']}")
            before = self._documents.get(entity.id)
            if before is not None and entry.landed_at is None:
                self._check_removed(entry, before, document)

    def _check_removed(self, entry, before, after):
        kept = {each["keyId"] for each in _credentials(after)}
        for password in _credentials(before):
            if password["keyId"] in kept:
                continue
            if not (password["displayName"] or "").startswith(PREFIX):
                self.fail("S5", f"{entry.call} removed a credential that somebody else made")
                continue
            uid = _parts(password["displayName"])[0]
            body = self._world.registration_by_uid(uid)
            if body is not None and "deletionTimestamp" not in body["metadata"]:
                self._check_retirement(body, password, _own(before, uid))

    def _check_retirement(self, body, password, own):
        key_id, now = password["keyId"], self._world.clock.now()
        secret = self._world.secret_of(body)
        if secret and _notes(secret).get(names.KEY_ID_ANNOTATION) == key_id:
            self.fail("S3", "the credential in the live Secret was removed")
        since = self._replaced.get(key_id)
        if since is None or key_id in self.revocable:
            return
        middle = any(each["keyId"] == key_id for each in own[1:-1])
        if middle and body["metadata"]["uid"] in self._excused and since + _MERCY <= now:
            return  # decision 9: people lost the Secret again and again, and the next needs room
        if now + _TOLERANCE < since + self._world.overlap:
            self.fail("S3", f"a credential was removed {now - since} after it was replaced")

    def _check_bystanders(self, entry):
        state = self._world.bystanders()
        if self._bystanders is None:
            self._bystanders = state
        if state != self._bystanders:
            self._bystanders = state
            self.fail("S5", f"{entry.call} changed an object of somebody else")

    # ---- at the end

    def leaks(self):
        """Names of the credentials of ours that no Secret holds.

        In the bin only those count that somebody may know: one whose issue was cut short is not
        shown to the deletion that follows within the lag, and its value died with the process.
        """
        held = self._world.held()
        return [
            each["displayName"]
            for entity in self._world.cloud.applications()
            if not (entity.is_deleted and entity.id in self.deleted_by_people)
            for each in _credentials(entity.document)
            if (each["displayName"] or "").startswith(PREFIX)
            and each["keyId"] not in held
            and (each["keyId"] in self._shown or not entity.is_deleted)
        ]

    def check_leaks(self):
        """L2: every credential of ours is the one in a Secret."""
        for name in self.leaks():
            self.fail("L2", f"nobody holds credential {name}")

    def check_idle(self, entries):
        """L3: nothing is written when nothing changed."""
        for entry in entries:
            if entry.call.writes:
                self.fail("L3", f"an idle operator wrote: {entry.call}")

    def check_counts(self, expected, struck):
        """S4 and S12: what a plan does not explain was not issued."""
        if len(self.issued) > expected + struck:
            self.fail("S12", f"{len(self.issued)} credentials were issued instead of {expected}")

    def check_canary(self, logs):
        """S7: values are in Secrets and answers only."""
        others = [
            body for path, body in self._world.kube.objects.items() if "/secrets/" not in path
        ]
        text = json.dumps(others) + repr(logs)
        for value in self.values:
            if value in text or base64.b64encode(value.encode()).decode() in text:
                self.fail("S7", "a secret value is where it must not be")


def is_ready(body):
    """Whether a registration is Ready for the spec that it has now."""
    conditions = (body.get("status") or {}).get("conditions") or ()
    ready = next((c for c in conditions if c["type"] == "Ready"), None)
    return (
        ready is not None
        and ready["status"] == "True"
        and ready["observedGeneration"] == body["metadata"]["generation"]
    )


def _own(document, uid):
    """The client secrets and certificates of that registration, oldest first."""
    found = [e for e in _credentials(document) if (e["displayName"] or "").startswith(
        f"{PREFIX}{uid}:")]  # fmt: skip
    return sorted(found, key=lambda each: datetime.fromisoformat(each["startDateTime"]))


def _written_at(secret):
    return datetime.fromisoformat(_notes(secret)[names.WRITTEN_AT_ANNOTATION])


def _credentials(document):
    return (*document["passwordCredentials"], *document["keyCredentials"])


def _notes(secret):
    return secret["metadata"].get("annotations") or {}


def _parts(display_name):
    _, uid, nonce = display_name.split(":")
    return uid, nonce
