"""Settings that are wrong are named, with what they must be."""

from datetime import timedelta
from pathlib import Path

import pytest

from fhir_app_operator.settings import WrongSettings, load


def test_defaults_need_no_environment():
    settings = load({})
    assert settings.resync_interval == timedelta(hours=1)
    assert settings.watch_secrets is False
    assert settings.kubeconfig is None
    assert settings.host_and_port == ("127.0.0.1", 8080)


def test_values_come_from_the_environment():
    settings = load(
        {
            "FHIR_APP_OPERATOR_RESYNC_INTERVAL": "30s",
            "FHIR_APP_OPERATOR_WATCH_SECRETS": "true",
            "FHIR_APP_OPERATOR_LISTEN_ADDRESS": "[::1]:9",
            "KUBECONFIG": "kube/config",
            "AZURE_FEDERATED_TOKEN_FILE": "token",
            "HTTPS_PROXY": "http://proxy:1",
            "NO_PROXY": ".svc, 10.0.0.1",
            "UNRELATED": "x",
        }
    )
    assert settings.resync_interval == timedelta(seconds=30)
    assert settings.host_and_port == ("::1", 9)
    assert settings.kubeconfig == Path("kube/config")
    assert settings.token_file == Path("token")
    assert settings.direct_hosts == (".svc", "10.0.0.1")


def test_the_lease_is_renewed_well_before_others_may_take_it():
    settings = load({})
    margin = settings.lease_duration - settings.renew_deadline
    assert margin >= timedelta(seconds=3)
    assert settings.lease_duration + settings.retry_period < timedelta(seconds=15)


@pytest.mark.parametrize(
    ("variable", "value"), [("RENEW_DEADLINE", "10s"), ("RENEW_DEADLINE", "3s"),
                            ("RETRY_PERIOD", "4s"), ("LEASE_DURATION", "7s")],
)  # fmt: skip
def test_lease_timings_that_do_not_fit_together_are_refused(variable, value):
    with pytest.raises(WrongSettings, match=r"RENEW_DEADLINE: must be at least twice the retry"):
        load({f"FHIR_APP_OPERATOR_{variable}": value})


@pytest.mark.parametrize(
    ("variable", "value", "remedy"),
    [
        ("RESYNC_INTERVAL", "soon", "must be a duration such as 4320h"),
        ("RESYNC_INTERVAL", "0s", "longer than 0s"),
        ("WORKERS", "0", "greater than or equal to 1"),
        ("WORKERS", "many", "valid integer"),
        ("WATCH_SECRETS", "perhaps", "boolean"),
        ("LISTEN_ADDRESS", "8080", "address and a port"),
        ("LOG_LEVEL", "LOUD", "DEBUG"),
        ("CLUSTER_ID", "Not A Name", "pattern"),
        ("WACTH_SECRETS", "true", "not a setting of this version"),
    ],
)
def test_a_wrong_value_is_named(variable, value, remedy):
    with pytest.raises(WrongSettings) as caught:
        load({f"FHIR_APP_OPERATOR_{variable}": value})
    assert f"FHIR_APP_OPERATOR_{variable}" in str(caught.value)
    assert remedy in str(caught.value)


@pytest.mark.parametrize(
    "proxy",
    ["proxy.corp:3128", "http://", "socks5://proxy:1", "http://proxy:port", "//proxy:1", "http:/p"],
)
def test_a_proxy_that_no_request_could_use_is_named(proxy):
    with pytest.raises(WrongSettings) as caught:
        load({"HTTPS_PROXY": proxy})
    assert str(caught.value).startswith("HTTPS_PROXY: must be an http:// or https:// URL")


def test_a_wrong_proxys_password_is_not_shown():
    with pytest.raises(WrongSettings) as caught:
        load({"HTTPS_PROXY": "socks5://me:hunter2@proxy:1080"})
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("proxy", ["http://proxy:1", "https://me:pw@[::1]:3128", "http://proxy/"])
def test_a_proxy_url_is_taken_as_it_is(proxy):
    assert load({"HTTPS_PROXY": proxy}).https_proxy == proxy


def test_all_wrong_values_are_named_at_once():
    with pytest.raises(WrongSettings) as caught:
        load({"FHIR_APP_OPERATOR_WORKERS": "0", "FHIR_APP_OPERATOR_LOG_LEVEL": "x"})
    assert "WORKERS" in str(caught.value)
    assert "LOG_LEVEL" in str(caught.value)
