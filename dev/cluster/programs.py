"""The programs of the control plane as command lines, and the files those name.

Not here: running them (`supervisor.py`), waiting for them (`control_plane.py`).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dev.cluster.binaries import Binaries
from dev.cluster.certificates import Authority, KeyPair, signing_key
from dev.cluster.kubeconfig import write_certificate_kubeconfig, write_private
from dev.cluster.ports import LOOPBACK, Ports

ETCD = "etcd"
API_SERVER = "kube-apiserver"
CONTROLLER_MANAGER = "kube-controller-manager"

_SERVICE_RANGE = "10.96.0.0/16"
_SERVICE_ADDRESS = "10.96.0.1"
_API_SERVER_NAMES = (
    LOOPBACK,
    "localhost",
    _SERVICE_ADDRESS,
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
)

# Nothing for nodes, volumes and devices, which are not here; the volume controllers would also
# make kubelet's plugin folder, outside of our own.
_CONTROLLERS = (
    "clusterrole-aggregation-controller",
    "cronjob-controller",
    "daemonset-controller",
    "deployment-controller",
    "disruption-controller",
    "endpoints-controller",
    "endpointslice-controller",
    "garbage-collector-controller",
    "job-controller",
    "namespace-controller",
    "replicaset-controller",
    "resourcequota-controller",
    "root-ca-certificate-publisher-controller",
    "serviceaccount-controller",
    "serviceaccount-token-controller",
    "statefulset-controller",
    "ttl-after-finished-controller",
    "validatingadmissionpolicy-status-controller",
)


@dataclass(frozen=True, slots=True)
class Launch:
    """How one program is started; on stopping it has `grace` seconds between the two signals."""

    name: str
    command: tuple[str, ...]
    grace: float


@dataclass(frozen=True, slots=True)
class Files:
    """The control plane's folder with the keys, certificates and kubeconfigs in it."""

    folder: Path
    url: str
    etcd_url: str
    ca_pem: bytes
    service_account_public_key: bytes

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig."""
        return self.folder / "kubeconfig"

    def log(self, program: str) -> Path:
        """Where the program's output goes."""
        return self.folder / f"{program}.log"

    def pki(self, name: str) -> Path:
        """A file among the keys and certificates."""
        return self.folder / "pki" / name


def write_files(folder: Path, ports: Ports) -> Files:
    """Make new keys and certificates, and write what the programs and the administrator read."""
    authority, accounts = Authority(), signing_key()
    url = f"https://{LOOPBACK}:{ports.api_server}"
    etcd_url = f"https://{LOOPBACK}:{ports.etcd_client}"
    files = Files(folder, url, etcd_url, authority.pem, accounts.public)
    for part in ("pki", "etcd"):
        (folder / part).mkdir(mode=0o700)
    files.pki("ca.crt").write_bytes(authority.pem)
    _write_pair(files, "etcd", authority.issue("etcd", hosts=[LOOPBACK]))
    _write_pair(files, "apiserver", authority.issue(API_SERVER, hosts=_API_SERVER_NAMES))
    _write_pair(files, "service-account", accounts, suffix="pub")
    admin = authority.issue("kubernetes-admin", groups=["system:masters"])
    _write_pair(files, "admin", admin)
    write_certificate_kubeconfig(files.kubeconfig, url, authority.pem, admin)
    manager = authority.issue(f"system:{CONTROLLER_MANAGER}")
    write_certificate_kubeconfig(
        folder / f"{CONTROLLER_MANAGER}.kubeconfig", url, authority.pem, manager
    )
    return files


def launches(binaries: Binaries, files: Files, ports: Ports) -> Iterator[Launch]:
    """The three programs in the order in which they are started."""
    yield Launch(ETCD, (str(binaries.etcd), *_etcd(files, ports)), grace=1)
    # kube-apiserver lets long requests, such as watches, run on for 20 s after SIGTERM.
    yield Launch(API_SERVER, (str(binaries.kube_apiserver), *_api_server(files, ports)), grace=2)
    manager = (str(binaries.kube_controller_manager), *_controller_manager(files))
    yield Launch(CONTROLLER_MANAGER, manager, grace=1)


def _etcd(files: Files, ports: Ports) -> tuple[str, ...]:
    client = f"https://{LOOPBACK}:{ports.etcd_client}"
    peer = f"https://{LOOPBACK}:{ports.etcd_peer}"
    ca, certificate, key = files.pki("ca.crt"), files.pki("etcd.crt"), files.pki("etcd.key")
    return (
        f"--data-dir={files.folder / 'etcd'}",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=default={peer}",
        f"--trusted-ca-file={ca}",
        f"--cert-file={certificate}",
        f"--key-file={key}",
        "--client-cert-auth=true",
        f"--peer-trusted-ca-file={ca}",
        f"--peer-cert-file={certificate}",
        f"--peer-key-file={key}",
        "--peer-client-cert-auth=true",
        "--socket-reuse-port=true",
        "--unsafe-no-fsync=true",
        "--log-level=warn",
    )


def _api_server(files: Files, ports: Ports) -> tuple[str, ...]:
    ca = files.pki("ca.crt")
    certificate, key = files.pki("apiserver.crt"), files.pki("apiserver.key")
    return (
        f"--bind-address={LOOPBACK}",
        f"--advertise-address={LOOPBACK}",
        f"--secure-port={ports.api_server}",
        "--permit-port-sharing=true",
        f"--tls-cert-file={certificate}",
        f"--tls-private-key-file={key}",
        f"--client-ca-file={ca}",
        f"--etcd-servers=https://{LOOPBACK}:{ports.etcd_client}",
        f"--etcd-cafile={ca}",
        f"--etcd-certfile={certificate}",
        f"--etcd-keyfile={key}",
        "--authorization-mode=RBAC",
        f"--service-account-issuer={files.url}",
        f"--service-account-key-file={files.pki('service-account.pub')}",
        f"--service-account-signing-key-file={files.pki('service-account.key')}",
        f"--service-cluster-ip-range={_SERVICE_RANGE}",
        "--endpoint-reconciler-type=none",  # the others refuse a loopback address
        "--allow-privileged=true",  # as kubeadm does: what may be privileged is Pod Security's
        "--profiling=false",
    )


def _controller_manager(files: Files) -> tuple[str, ...]:
    kubeconfig = files.folder / f"{CONTROLLER_MANAGER}.kubeconfig"
    return (
        f"--kubeconfig={kubeconfig}",
        f"--authentication-kubeconfig={kubeconfig}",
        f"--authorization-kubeconfig={kubeconfig}",
        f"--controllers={','.join(_CONTROLLERS)}",
        "--kube-api-qps=500",  # the default, 20, would make the start wait for its own tokens
        "--kube-api-burst=1000",
        "--use-service-account-credentials=true",
        "--leader-elect=false",
        "--secure-port=0",
        f"--root-ca-file={files.pki('ca.crt')}",
        f"--service-account-private-key-file={files.pki('service-account.key')}",
    )


def _write_pair(files: Files, name: str, pair: KeyPair, suffix: str = "crt") -> None:
    files.pki(f"{name}.{suffix}").write_bytes(pair.public)
    write_private(files.pki(f"{name}.key"), pair.private)
