"""Where the control plane's programs come from, in order.

1. The folder `$KUBEBUILDER_ASSETS`, if it holds all of them. The envtest archive does not: it
   lacks kube-controller-manager.
2. The user's cache, where an earlier run put them.
3. A build from the pinned Go modules in `dev/controlplane/` (`build.py`), into that cache.

kubectl comes from the same place as the rest, so that its version never differs from the API
server's; only `$KUBEBUILDER_ASSETS` may leave it to PATH. Not here: how a build works, how the
programs are run.
"""

import shutil
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from dev.cluster.build import build, built_folder, is_complete
from dev.cluster.cache import is_program

SERVERS = ("etcd", "kube-apiserver", "kube-controller-manager")
KUBECTL = "kubectl"


@dataclass(frozen=True, slots=True)
class Binaries:
    """The four programs, as absolute paths, and where they were found (for people)."""

    etcd: Path
    kube_apiserver: Path
    kube_controller_manager: Path
    kubectl: Path
    origin: str


def locate(
    environment: Mapping[str, str], *, log: Callable[[str], None], stop: threading.Event
) -> Binaries:
    """The programs from the first source that has them all; builds them when none does.

    `log` gets one line for each thing a person should know: an incomplete source, progress of a
    build. Raises BinariesNotFoundError or BuildError with the remedy, StoppedError when `stop`
    is set meanwhile.
    """
    found = from_assets(environment, log=log) or from_cache(environment)
    if found is not None:
        return found
    folder = build(environment, log=log, stop=stop)
    return _in_folder(folder, folder / KUBECTL, "a new build")


def from_assets(environment: Mapping[str, str], *, log: Callable[[str], None]) -> Binaries | None:
    """The programs in `$KUBEBUILDER_ASSETS`, or None if unset or, after a line to `log`, unfit."""
    assets = environment.get("KUBEBUILDER_ASSETS")
    if not assets:
        return None
    folder = Path(assets).absolute()
    missing = [name for name in SERVERS if not is_program(folder / name)]
    kubectl = _kubectl(folder, environment)
    if kubectl is None:
        missing.append(KUBECTL)
    if missing or kubectl is None:
        log(f"KUBEBUILDER_ASSETS is not used: {folder} lacks {', '.join(missing)}")
        return None
    return _in_folder(folder, kubectl, "KUBEBUILDER_ASSETS")


def from_cache(environment: Mapping[str, str]) -> Binaries | None:
    """The programs an earlier run built for this machine and these pins, or None."""
    folder = built_folder(environment)
    return _in_folder(folder, folder / KUBECTL, "the cache") if is_complete(folder) else None


def _in_folder(folder: Path, kubectl: Path, origin: str) -> Binaries:
    etcd, api_server, controller_manager = (folder / name for name in SERVERS)
    return Binaries(etcd, api_server, controller_manager, kubectl, origin)


def _kubectl(folder: Path, environment: Mapping[str, str]) -> Path | None:
    if is_program(folder / KUBECTL):
        return folder / KUBECTL
    found = shutil.which(KUBECTL, path=environment.get("PATH", ""))
    return Path(found).absolute() if found else None
