# The operator's image.
#
#   docker build --tag fhir-app-operator:0.1.0 .
#   docker build --build-arg BASE=registry.example/python:3.13-slim --tag fhir-app-operator:0.1.0 .
#
# BASE is any image with Python 3.11 or newer, its pip and a POSIX shell; name it by digest for
# builds that can be repeated. What of this file is tested, and what is not: docs/image.md.
ARG BASE=python:3.13-slim

FROM ${BASE} AS build
WORKDIR /build

# What the operator depends on: exactly the locked files, none of which is built here.
COPY requirements/ requirements/
RUN python -m venv --without-pip /opt/fhir-app-operator
RUN python -m pip --python /opt/fhir-app-operator/bin/python install \
        --no-cache-dir --no-compile --only-binary :all: \
        --require-hashes --requirement requirements/run.txt

# The operator itself, with the build backend from the lock of the development tools.
COPY pyproject.toml README.md LICENSE ./
COPY operator/ operator/
RUN awk '/^[a-z]/ { wanted = /^uv-build==/ } wanted' requirements/dev.txt > backend.txt
RUN python -m venv backend
RUN backend/bin/python -m pip install \
        --no-cache-dir --only-binary :all: --require-hashes --requirement backend.txt
RUN PATH="$PWD/backend/bin:$PATH" python -m pip wheel \
        --no-cache-dir --no-deps --no-build-isolation --wheel-dir dist .
RUN python -m pip --python /opt/fhir-app-operator/bin/python install \
        --no-cache-dir --no-compile --no-deps --no-index dist/*.whl

# Nothing can be compiled later: the Pod's root is read-only. Without time stamps in the files, they
# stay valid however the layer is copied.
RUN /opt/fhir-app-operator/bin/python -m compileall -q \
        --invalidation-mode unchecked-hash /opt/fhir-app-operator/lib

FROM ${BASE}
LABEL org.opencontainers.image.title="fhir-app-operator" \
      org.opencontainers.image.licenses="Apache-2.0"

# The base's own pip and the copy of it that ensurepip carries.
RUN folder="$(python -c 'import ensurepip; print(ensurepip.__path__[0])')" \
 && python -m pip uninstall --yes pip \
 && rm -r "$folder"

COPY --from=build /opt/fhir-app-operator /opt/fhir-app-operator
# The user is in no /etc/passwd: the Kubernetes client must find a home all the same, which may be
# one that cannot be written.
ENV PATH=/opt/fhir-app-operator/bin:/usr/local/bin:/usr/bin:/bin \
    HOME=/ \
    PYTHONDONTWRITEBYTECODE=1
WORKDIR /
# By number: with `runAsNonRoot` the kubelet cannot check a name.
USER 65532:65532
EXPOSE 8080
ENTRYPOINT ["fhir-app-operator"]
CMD ["run"]
