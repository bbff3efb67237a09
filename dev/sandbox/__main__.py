"""`python -m dev.sandbox`: an environment in the foreground, for people and their own tests.

Not here: anything a test of ours would call.
"""

import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import click

from dev.cluster.errors import ControlPlaneError, StoppedError
from dev.sandbox.environment import Environment, Options, running_environment
from dev.sandbox.errors import SandboxError
from dev.sandbox.operator_process import OperatorProcess
from dev.sandbox.publication import Publication, claimed

_WATCH_SECONDS = 0.2
_QUICK_SECONDS = 5.0
_LONGEST_PAUSE_SECONDS = 10.0

_HOW_TO_PLAY = """\
The sandbox is ready. In another terminal, in this folder:

  . {env}                          # KUBECONFIG, and where Entra is
  kubectl apply -k examples/clinic
  kubectl get fhirapp -A -w
  kubectl get secret -n clinic portal-entra -o yaml
  sandbox consent clinic/ingest             # be an administrator of the tenant
  sandbox sign-in clinic/ingest             # be the client, with nothing but its Secret
  fhir-app-operator explain clinic/ingest --sign-in   # does it get in, and if not, why
  curl -s --cacert "$ENTRA_CA" "$ENTRA_ADMIN_URL/requests"   # what Entra was asked, by whom
  curl -s "$METRICS_URL"
  tail -f {log}

Ctrl-C ends it, and nothing of it stays.
"""


@click.command()
@click.option(
    "--dir",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(".sandbox"),
    show_default=True,
    help="Where kubeconfig, ca.pem, env, two commands, operator.pid, operator.log and, last, "
    "ready go.",
)
def main(folder: Path) -> None:
    """Run a cluster, an emulated Entra and the operator until Ctrl-C or SIGTERM."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: stop.set())
    try:
        _run(folder, stop)
    except StoppedError:
        sys.exit(130)
    except (ControlPlaneError, SandboxError, OSError, subprocess.CalledProcessError) as error:
        if stop.is_set():  # Ctrl-C in a terminal reaches a kubectl of ours, too
            sys.exit(130)
        raise click.ClickException(str(error)) from error


def _run(folder: Path, stop: threading.Event) -> None:
    with claimed(folder) as publication:
        options = Options(
            operator_log=publication.operator_log, operator_pid=publication.operator_pid
        )
        with running_environment(options, log=_tell, stop=stop) as environment:
            publication.write(environment)
            click.echo(_how_to_play(publication))
            _keep_running(environment, stop)
        _tell("stopped")


def _how_to_play(publication: Publication) -> str:
    here = Path.cwd()
    env, log = (
        file.relative_to(here) if file.is_relative_to(here) else file
        for file in (publication.env, publication.operator_log)
    )
    return _HOW_TO_PLAY.format(env=f"./{env}" if not env.is_absolute() else env, log=log)


def _keep_running(environment: Environment, stop: threading.Event) -> None:
    """Start the operator again whenever it ends; after growing pauses if again and again."""
    quick, started = 0, time.monotonic()
    while not stop.wait(_WATCH_SECONDS):
        ended = environment.ended_programs()
        if ended:
            raise SandboxError(f"ended by itself, with exit code: {ended}")
        code = environment.operator.exit_code
        if code is None:
            continue
        quick = quick + 1 if time.monotonic() - started < _QUICK_SECONDS else 0
        pause = min(2.0 ** (quick - 2), _LONGEST_PAUSE_SECONDS) if quick > 1 else 0.0
        _tell(f"the operator ended with exit code {code}; starting it again in {pause:.0f} s")
        if stop.wait(pause):
            return
        started = time.monotonic()
        _start(environment.operator)


def _start(operator: OperatorProcess) -> None:
    try:
        operator.start()
    except StoppedError:
        return
    except SandboxError as error:
        _tell(str(error))


def _tell(line: str) -> None:
    click.echo(line, err=True)


if __name__ == "__main__":
    main(prog_name="python -m dev.sandbox")
