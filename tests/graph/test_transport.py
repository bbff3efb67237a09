"""The way out: trust, and threads that never hold a process."""

import ssl
import subprocess
import sys
import threading
from concurrent.futures import wait

import pytest
import trustme

from fhir_app_operator.graph.transport import DaemonThreads, Outbound, UnreadableBundle

PEM = trustme.CA().cert_pem.bytes().decode()
OTHER = trustme.CA().cert_pem.bytes().decode()
HANGS_AT_EXIT = """
import threading
from fhir_app_operator.graph.transport import DaemonThreads
threads, started = DaemonThreads(2, "t"), threading.Event()
threads.submit(lambda: started.set() or threading.Event().wait())
started.wait()
threads.shutdown(wait=False, cancel_futures=True)
print("done")
"""


def trusted(bundle):
    return Outbound(ca_bundle=bundle).tls().cert_store_stats()["x509_ca"]


def test_all_certificates_of_a_bundle_are_trusted_whatever_stands_between_them():
    system = trusted(None)
    assert trusted(f"{PEM}{OTHER}") == system + 2
    assert trusted(f"Főtanúsítvány\n{PEM}\n予備: {OTHER}ende") == system + 2


@pytest.mark.parametrize("bundle", ["é", "nothing", PEM + PEM[:200], PEM.replace("M", "é")])
def test_an_unreadable_bundle_is_one_kind_of_error(bundle):
    with pytest.raises(UnreadableBundle):
        Outbound(ca_bundle=bundle).tls()


def test_the_systems_roots_stay_verified():
    assert Outbound(ca_bundle=PEM).tls().verify_mode is ssl.CERT_REQUIRED


def test_a_process_ends_although_a_call_hangs():
    ended = subprocess.run(
        [sys.executable, "-c", HANGS_AT_EXIT], capture_output=True, timeout=30, check=True
    )
    assert ended.stdout == b"done\n"


def test_calls_run_at_once_up_to_the_limit():
    threads, gate = DaemonThreads(3, "t"), threading.Event()
    barrier = threading.Barrier(4, timeout=10)
    running = [threads.submit(barrier.wait) for _ in range(3)]
    barrier.wait()
    wait(running, timeout=10)
    blocked = [threads.submit(gate.wait) for _ in range(3)]
    late = threads.submit(threading.get_ident)
    assert not late.done()
    gate.set()
    assert late.result(timeout=10)
    assert all(future.result(timeout=10) for future in blocked)
    threads.shutdown()


def test_an_idle_thread_is_used_again():
    threads = DaemonThreads(8, "t")
    first = threads.submit(threading.get_ident)
    used = {first.result(timeout=10)}
    # A thread counts as idle a moment after its call is done.
    used |= {threads.submit(threading.get_ident).result(timeout=10) for _ in range(100)}
    assert len(used) < 8
    threads.shutdown()


def test_an_error_belongs_to_the_caller():
    threads = DaemonThreads(1, "t")
    with pytest.raises(ZeroDivisionError):
        threads.submit(divmod, 1, 0).result(timeout=10)
    assert threads.submit(divmod, 7, 2).result(timeout=10) == (3, 1)
    threads.shutdown()


def test_shutdown_drops_what_waits_and_takes_nothing_more():
    threads, gate, started = DaemonThreads(1, "t"), threading.Event(), threading.Event()
    running = threads.submit(lambda: started.set() or gate.wait())
    assert started.wait(10)
    waiting = threads.submit(gate.wait)
    threads.shutdown(wait=False, cancel_futures=True)
    assert waiting.cancelled()
    with pytest.raises(RuntimeError, match="after shutdown"):
        threads.submit(gate.wait)
    gate.set()
    assert running.result(timeout=10)
    threads.shutdown()
