# The image for every architecture: `make image`. The base is an argument, pinned by digest, and gives Python 3.11 or
# newer with its standard library; what ends up in the image is copied out of it file by file, so that there is no
# shell, no package manager and no pip. Needs a builder that knows `RUN --mount` (BuildKit, buildah, podman).
ARG BASE=python:3.13.14-slim-bookworm@sha256:67a1e1f215ccda113cfc024e8639049257e88f273898f595b61476d128d387e8

FROM ${BASE} AS build
# Times in the image; git's of the commit from `make image`.
ARG SOURCE_DATE_EPOCH=0
ENV SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH} PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /source
# Both secrets are optional: pip's settings and the authorities to trust, where packages come through a mirror.
COPY requirements/build.txt requirements/runtime.txt requirements/
RUN --mount=type=secret,id=pip.conf,target=/run/secrets/pip.conf \
    --mount=type=secret,id=authorities,target=/run/secrets/authorities.pem \
    if [ -s /run/secrets/pip.conf ]; then export PIP_CONFIG_FILE=/run/secrets/pip.conf; fi; \
    if [ -s /run/secrets/authorities.pem ]; then export PIP_CERT=/run/secrets/authorities.pem; fi; \
    python3 -m venv /build \
    && python3 -m venv --without-pip /opt/schemagate \
    && /build/bin/python -m pip install --require-hashes --only-binary=:all: -r requirements/build.txt \
    && /build/bin/python -m pip --python /opt/schemagate/bin/python install \
       --no-compile --require-hashes --only-binary=:all: -r requirements/runtime.txt
COPY pyproject.toml README.md LICENSE ./
COPY certs certs
COPY webhook webhook
RUN /build/bin/python -m pip wheel --no-index --no-deps --no-build-isolation --wheel-dir /wheels . \
    && /build/bin/python -m pip --python /opt/schemagate/bin/python install \
       --no-compile --no-index --no-deps /wheels/schemagate-*.whl
COPY image/root_filesystem.py image/
RUN python3 image/root_filesystem.py /opt/schemagate /image

FROM scratch
ARG BASE
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="schemagate" \
      org.opencontainers.image.description="Admission gate that lets a Layer7 API Gateway roll out only after its database migration is complete" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.base.name="${BASE}"
COPY --from=build /image /
ENV PATH=/opt/schemagate/bin PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
USER 65532:65532
ENTRYPOINT ["schemagate"]
