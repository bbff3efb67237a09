"""Long lives under many events: never more than three, never without, nothing used goes."""

from dataclasses import replace
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_app_operator.errors import Waiting
from fhir_app_operator.planning.credentials import MOST, ours, overlap, published
from fhir_app_operator.planning.model import (
    IssueCredential,
    RecordIntent,
    Requests,
    RevokeCredential,
)
from fhir_app_operator.planning.plan import next_due, plan
from fhir_app_operator.planning.retirement import CROWDED_OUT, LAST_MERCY, SHORT_WHILE
from tests.planning.worlds import NOW, POLICY, Directories, desired

SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)
LIFETIMES = (
    {"duration": "4320h"},
    {"duration": "1h"},
    {"duration": "4320h", "overlap": "0s"},
    {"duration": "72h", "renewBefore": "48h", "overlap": "48h"},
)
waits = st.one_of(
    st.integers(1, 120).map(lambda minutes: timedelta(minutes=minutes)),
    st.integers(1, 4000).map(lambda hours: timedelta(hours=hours)),
)
events = st.lists(
    st.one_of(
        waits,
        st.sampled_from(["due", "delete", "edit", "rotate", "revoke", "lose", "lose", "remove"]),
    ),
    max_size=12,
)


class Life(Directories):
    """One registration's life: passes, and what people and the weather do in between."""

    def __init__(self, lifetime):
        super().__init__(desired("Service", credential={"clientSecret": lifetime}))
        self.losing = 0
        self.in_use = {}
        """Until when what the Secret once held may be used, by key id."""

    @property
    def own(self):
        app = self.observed.application
        return ours(self.wanted, app.passwords) if app else []

    def live(self):
        """Run a pass as far as it gets."""
        for _ in range(40):
            try:
                actions = plan(self.wanted, self.observed, self.now, POLICY)
            except Waiting as waiting:
                assert waiting.reason == "CredentialRateLimited"
                assert waiting.retry_after > 0
                return
            if not actions:
                return
            for action in actions:
                self.take(action)
                if isinstance(action, IssueCredential) and self.losing:
                    self.losing -= 1
                    return
        raise AssertionError(f"it does not converge: {self.log[-9:]}")

    def take(self, action):
        before = self.observed
        if isinstance(action, RevokeCredential):
            end = next(p.end for p in self.own if p.key_id == action.key_id)
            edited = before.secret is None or not before.secret.credential_intact
            held = before.secret is not None and before.secret.key_id == action.key_id
            assert not held or (edited and end <= self.now)
            until = self.in_use.get(action.key_id, self.now)
            asked = action.reason == "RevocationRequested"
            crowded = action.reason == CROWDED_OUT and self.makes_room(action.key_id)
            assert asked or crowded or until <= self.now, f"{action} is in use until {until}"
        if isinstance(action, RecordIntent | IssueCredential):
            assert len(self.own) < MOST
        self.apply(action)
        assert len(self.own) <= MOST
        if isinstance(action, IssueCredential):
            self.publish(before)

    def makes_room(self, key_id):
        """Whether it is neither oldest nor newest, was in the Secret briefly, and is out."""
        secret, middle = self.observed.secret, {p.key_id: p.start for p in self.own[1:-1]}
        lost = secret is None or not secret.credential_intact
        left = self.observed.retired[key_id]
        brief = key_id in middle and left - middle[key_id] <= SHORT_WHILE
        return lost and brief and left + LAST_MERCY <= self.now

    def publish(self, before):
        """The credential is in the Secret, or its answer was lost: then the intent stays."""
        intent = replace(self.observed.intent, fresh=False) if self.losing else None
        self.observed = replace(self.observed, intent=intent)
        if self.losing:
            self.observed = replace(self.observed, secret=before.secret)
        self.note()

    def note(self):
        """Status remembers since when a credential is not in the Secret."""
        held = self.observed.secret.key_id if self.observed.secret else None
        ends = {p.key_id: p.end for p in self.own}
        retired = {key: self.observed.retired.get(key, self.now) for key in ends if key != held}
        self.observed = replace(self.observed, retired=retired)
        length = overlap(self.wanted.credential)
        if held in ends and self.observed.secret.credential_intact:
            self.in_use[held] = ends[held]
        for key, since in retired.items():
            if key in self.in_use:
                self.in_use[key] = min(ends[key], since + length)

    def happen(self, event):
        secret = self.observed.secret
        stamp = (self.now + SECOND).replace(microsecond=0)
        match event:
            case timedelta():
                self.now += event
            case "due":
                due = next_due(self.wanted, self.observed, self.now, POLICY)
                self.now = max(self.now, due) if due else self.now
            case "delete":
                self.observed = replace(self.observed, secret=None)
            case "edit" if secret:
                edited = replace(secret, credential_intact=False)
                self.observed = replace(self.observed, secret=edited)
            case "rotate":
                asked = replace(self.wanted.requests, rotate_at=stamp)
                self.wanted, self.now = replace(self.wanted, requests=asked), self.now + SECOND
            case "revoke":
                asked = Requests(rotate_at=self.wanted.requests.rotate_at, revoke_previous_at=stamp)
                self.wanted, self.now = replace(self.wanted, requests=asked), self.now + SECOND
            case "lose":
                self.losing += 1
            case "remove" if secret and self.own:
                left = tuple(p for p in self.own if p.key_id != secret.key_id)
                app = replace(self.observed.application, passwords=left)
                self.observed = replace(self.observed, application=app)
        self.note()

    def drift(self, end):
        """Live on without further events, at each moment at which something is due."""
        while self.now < end:
            self.live()
            due = next_due(self.wanted, self.observed, self.now, POLICY)
            self.now = min(end, max(self.now + SECOND, due)) if due else end


def test_a_secret_that_is_deleted_again_and_again_is_never_away_for_longer_than_an_hour():
    life = Life({"duration": "4320h"})
    life.live()
    life.now += timedelta(days=9)
    for _ in range(30):
        life.now += timedelta(minutes=10)
        life.happen("delete")
        lost_at = life.now
        life.live()
        while life.observed.secret is None:
            life.note()
            due = next_due(life.wanted, life.observed, life.now, POLICY)
            life.now = max(life.now + SECOND, due)
            life.live()
        assert life.now - lost_at <= HOUR
    issued = [action for action in life.log if isinstance(action, IssueCredential)]
    assert len(issued) == 31
    assert life.now - NOW > timedelta(days=9, hours=24)


@given(st.sampled_from(LIFETIMES), events)
@settings(max_examples=400, deadline=None)
def test_a_life_never_has_more_than_three_credentials_and_loses_none_in_use(lifetime, happening):
    life = Life(lifetime)
    life.live()
    for event in happening:
        life.happen(event)
        life.live()
    # Then the weather clears up, and all must come right by itself.
    life.losing = 0
    life.drift(life.now + 48 * HOUR)
    life.live()
    secret = life.observed.secret
    current = published(secret, life.observed.application.passwords)
    assert current is not None
    assert life.now < current.end
    assert life.now >= NOW
