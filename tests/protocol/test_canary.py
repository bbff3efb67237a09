"""No secret is anywhere but in its Secret, whatever fails, however loudly (design.md §12).

Every call in the life of each type of credential ends, in turn, in an exception or a refusal that
quotes the request, its headers and the answer. (`python -m tests.protocol.soak --kinds canary` lets
each call end in each of them.)
"""

import base64
import json
from urllib.parse import quote_plus

import pytest

from tests.protocol import plans
from tests.protocol.calls import Babble
from tests.protocol.canary import Careless, Overheard, listen
from tests.protocol.cloud import make_key_pair
from tests.protocol.lives import LIVES
from tests.protocol.world import CLOCK


@pytest.mark.parametrize("name", LIVES)
def test_no_secret_is_told_whatever_call_fails(name):
    clean, history = listen(LIVES[name])
    assert clean.leaks() == set()
    played = 0
    for plan in plans.babbles(history, turn=list(LIVES).index(name)):
        heard, _ = listen(LIVES[name], plan)
        assert heard.leaks() == set(), f"{name} {plan}"
        assert heard.struck == 1, plan
        assert len(heard.secrets) >= 3
        played += 1
    assert played == len(history) >= 20


# --- the test itself can fail ---------------------------------------------------------------
def struck(name, method, target, parts=Careless, *, redacted=True):
    """What is heard of a story whose call of that kind fails with an error nobody expects."""
    _, history = listen(LIVES[name])
    number = next(
        e.number for e in history
        if e.call.writes and e.call.method == method and e.call.target.endswith(target)
    )  # fmt: skip
    heard, _ = listen(LIVES[name], {number: Babble.UNFORESEEN}, parts, redacted=redacted)
    return heard


def kinds_of(leaks):
    return {"token" if leak.startswith("ey") else "secret" for leak in leaks}


def test_an_operator_that_logs_what_fails_is_caught():
    assert kinds_of(struck("create service", "POST", "/addPassword").leaks()) == {"secret"}
    assert kinds_of(struck("create service", "POST", "/secrets").leaks()) == {"secret"}
    keys = struck("create with certificate", "POST", "/secrets").leaks()
    assert [leak[:5] for leak in keys] == ["-----"]


def test_without_redaction_it_would_tell_its_tokens_too():
    heard = struck("create service", "POST", "/addPassword", redacted=False)
    assert kinds_of(heard.leaks()) == {"secret", "token"}


def encoded(text):
    return base64.b64encode(text.encode()).decode()


KEY = make_key_pair("canary", 0, CLOCK.now(), CLOCK.now()).private_key.get_secret_value()
TOKEN = f"eyJh.{'b' * 50}.{'c' * 50}"


@pytest.mark.parametrize(
    ("secret", "form"),
    [
        ("s~/ +", str), ("s~/ +", quote_plus), ("s~/ +", encoded), (KEY, json.dumps),
        (KEY, encoded), (KEY, lambda key: encoded(key + "more")), (TOKEN, str),
        (TOKEN, lambda token: token.rpartition(".")[2]),
    ],
)  # fmt: skip
def test_a_secret_is_recognised_in_each_form_but_not_where_it_belongs(secret, form):
    overheard = Overheard(secrets={secret})
    overheard.note_object(None, None, {"metadata": {}, "data": {"key": form(secret)}})
    assert overheard.leaks() == set()
    note = {"metadata": {"annotations": {"note": f"x{form(secret)}x"}}}
    overheard.note_object(None, None, note)
    assert overheard.leaks() != set()


def test_an_error_is_heard_with_what_it_came_from():
    overheard, error = Overheard(secrets={"canary"}), ValueError("no")
    error.__context__, error.__suppress_context__ = KeyError("canary"), True
    overheard.note_error(error)
    assert overheard.leaks() == set()
    error.__suppress_context__ = False
    overheard.note_error(error)
    assert overheard.leaks() != set()
