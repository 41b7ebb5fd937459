# Valar in a container, with CUDA:
#   docker build -t valar .
#   docker run --rm --gpus all --user "$(id -u):$(id -g)" -v "$PWD:/data" valar run
# A much smaller image for CPUs only: --build-arg TORCH_INDEX=URL, the index that pytorch.org names for its CPU builds.

FROM python:3.11-slim-bookworm AS build
# Debian keeps no old versions, so a pinned version would soon not exist any more.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends gcc libc6-dev \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /source
COPY pyproject.toml setup.py MANIFEST.in requirements.txt tasks.cfg demo.cfg luigid.cfg README.md LICENSE CITATION.cff ./
COPY valar valar
COPY store store
COPY models models
COPY pipeline pipeline
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .

FROM python:3.11-slim-bookworm
ARG TORCH_INDEX=
COPY --from=build /wheels /wheels
COPY requirements.txt /wheels/requirements.txt
RUN if [ -n "$TORCH_INDEX" ]; then \
        pip install --no-cache-dir --index-url "$TORCH_INDEX" "$(grep -o '^torch==[^ ]*' /wheels/requirements.txt)"; \
    fi \
    && pip install --no-cache-dir /wheels/*.whl \
    && useradd --create-home --uid 1000 valar
USER 1000
WORKDIR /data
ENTRYPOINT ["valar"]
