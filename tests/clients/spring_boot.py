"""A Spring Boot application as its own process: built by Maven, configured by a Secret alone.

No test lives here.
"""

import re
import shutil
import subprocess
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

SOURCES = Path(__file__).parent / "spring"
PASSWORD = "changeit"
_BUILD_SECONDS = 1200
_START_SECONDS = 180
_STARTED = re.compile(r"Tomcat started on port (\d+)")
_TOKEN = re.compile(r"^token=(\S+)$", re.MULTILINE)


def missing():
    """What has to be installed for it; empty if nothing."""
    return [tool for tool in ("java", "javac", "keytool", "mvn") if shutil.which(tool) is None]


@dataclass(frozen=True)
class SpringBoot:
    """The built application, and the trust store that stands for the system's roots."""

    jar: Path
    trust_store: Path

    @classmethod
    def build(cls, folder, ca_pem):
        """Build it in `folder`; whom to trust is `ca_pem`."""
        _run("mvn", "-q", "-B", "-f", SOURCES / "pom.xml", f"-Dbuilt={folder / 'built'}", "package")
        authority, store = folder / "ca.pem", folder / "trust.p12"
        authority.write_bytes(ca_pem)
        _run("keytool", "-importcert", "-noprompt", "-alias", "emulator", "-file", authority,
             "-keystore", store, "-storetype", "PKCS12", "-storepass", PASSWORD)  # fmt: skip
        return cls(folder / "built" / "consumer.jar", store)

    def token(self, environment, registration="entra", *options):
        """The access token that the application gets for itself."""
        command = self._command(*options, "-jar", self.jar, f"--token={registration}")
        output = subprocess.run(
            [*command, "--server.port=0"], env=_environment(environment), check=False,
            capture_output=True, text=True, timeout=_START_SECONDS,
        ).stdout  # fmt: skip
        found = _TOKEN.search(output)
        assert found, output[-4000:]
        return found[1]

    @contextmanager
    def running(self, environment, port=0):
        """Serve the application; yields its origin."""
        command = [*self._command(), "-jar", self.jar, f"--server.port={port}"]
        process = subprocess.Popen(
            command, env=_environment(environment), stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        lines, started = [], threading.Event()
        reader = threading.Thread(target=_read, args=(process.stdout, lines, started))
        reader.start()
        try:
            assert started.wait(_START_SECONDS), "".join(lines[-60:])
            found = _STARTED.search("".join(lines))
            assert found, "".join(lines[-60:])
            yield f"http://localhost:{found[1]}"
        finally:
            process.terminate()
            process.wait(60)
            reader.join()
            process.stdout.close()

    def _command(self, *options):
        trust = f"-Djavax.net.ssl.trustStore={self.trust_store}"
        return ["java", trust, f"-Djavax.net.ssl.trustStorePassword={PASSWORD}", *options]


def _read(stream, lines, started):
    """Keep reading, so that the program never waits for us; its end counts as started."""
    for line in stream:
        lines.append(line)
        if _STARTED.search(line):
            started.set()
    started.set()


def _environment(secret):
    """Nothing but the Secret, and what a program needs to be found."""
    return {"PATH": "/usr/local/bin:/usr/bin:/bin", **secret}


def _run(*command):
    done = subprocess.run(
        [str(part) for part in command], check=False, capture_output=True, text=True,
        timeout=_BUILD_SECONDS,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
