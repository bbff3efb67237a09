"""`python -m dev.cluster`: a control plane in the foreground, or only its binaries.

Not here: anything a test would call.
"""

import os
import signal
import sys
import threading
from pathlib import Path

import click

from dev.cluster.binaries import locate
from dev.cluster.build import build as build_binaries
from dev.cluster.control_plane import running_control_plane
from dev.cluster.errors import ControlPlaneError, StoppedError

_WATCH_SECONDS = 1.0


@click.group(invoke_without_command=True)
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where its files go: absent or empty. The default is a new temporary folder.",
)
@click.pass_context
def main(context: click.Context, folder: Path | None) -> None:
    """Run a local Kubernetes control plane until Ctrl-C or SIGTERM.

    It has an API server, etcd and the controllers, but no nodes: Pods stay Pending. Everything is
    on loopback, and gone when this command ends.
    """
    if context.invoked_subcommand is None:
        _run(_stop_on_signal(), folder)


@main.command()
@click.option("--force", is_flag=True, help="Build even if a build is in the cache; replaces it.")
def build(*, force: bool) -> None:
    """Only see to it that the binaries are there."""
    stop = _stop_on_signal()
    try:
        if force:
            click.echo(build_binaries(os.environ, log=_tell, stop=stop, force=True))
        else:
            found = locate(os.environ, log=_tell, stop=stop)
            click.echo(found.kube_apiserver.parent)
    except StoppedError:
        sys.exit(130)
    except ControlPlaneError as error:
        raise click.ClickException(str(error)) from error


def _run(stop: threading.Event, folder: Path | None) -> None:
    try:
        with running_control_plane(folder, log=_tell, stop=stop) as cluster:
            click.echo(f"export KUBECONFIG={cluster.kubeconfig}")
            _tell(f"ready at {cluster.url}; Ctrl-C ends it")
            while not stop.wait(_WATCH_SECONDS):
                ended = cluster.ended_programs()
                if ended:
                    raise click.ClickException(f"ended by itself, with exit code: {ended}")
    except StoppedError:
        sys.exit(130)
    except ControlPlaneError as error:
        raise click.ClickException(str(error)) from error


def _stop_on_signal() -> threading.Event:
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    return stop


def _tell(line: str) -> None:
    click.echo(line, err=True)


if __name__ == "__main__":
    main(prog_name="python -m dev.cluster")
