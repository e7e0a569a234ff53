# One image for the code server, the runs, the webserver and the daemon (docs/deploy.md).
ARG PYTHON=python:3.11-slim-bookworm

FROM ${PYTHON} AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /app
# Packages first: this layer is rebuilt only when their versions change. Every one has a wheel, so there is no compiler.
COPY deploy/image/requirements.txt deploy/image/
RUN python -m venv /opt/venv \
    && /opt/venv/bin/python -m pip install --only-binary :all: --no-deps --require-hashes -r deploy/image/requirements.txt
ENV PATH=/opt/venv/bin:$PATH NETFLIX_HOME=/var/lib/netflix
COPY pyproject.toml README.md LICENSE ./
COPY netflix_assets netflix_assets
COPY dbt dbt
RUN python -m pip install --no-deps --no-build-isolation --editable . \
    && python -m pip check \
    && python -m compileall -q netflix_assets
# dbt's manifests: a code location that had to parse would need 10 s of a core to start.
COPY deploy/image/build.env deploy/image/
RUN set -a && . deploy/image/build.env && set +a \
    && python -m netflix_assets.dev.manifests \
    && python -m pip uninstall --yes --quiet pip

FROM ${PYTHON}
# DAGSTER_HOME is where Dagster+'s agents set it; compose uses the last folder. All are writable; the code is not.
RUN useradd --uid 10001 --create-home netflix \
    && install -d -o netflix -g netflix /opt/dagster/dagster_home /var/lib/netflix /var/lib/netflix/dagster
COPY --from=build /opt/venv /opt/venv
COPY --from=build /app /app
COPY --from=build --chown=10001:10001 /var/lib/netflix /var/lib/netflix
COPY deploy/dagster /app/deploy/dagster
COPY --chown=10001:10001 deploy/dagster/dagster.yaml /opt/dagster/dagster_home/dagster.yaml
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    NETFLIX_HOME=/var/lib/netflix \
    DAGSTER_HOME=/opt/dagster/dagster_home
WORKDIR /app
USER 10001
EXPOSE 4000
# Asks the code server by gRPC, which takes 1.2 s of CPU. The webserver and the daemon replace it (deploy/compose/compose.yaml).
HEALTHCHECK --interval=60s --timeout=20s --start-period=120s --start-interval=5s --retries=3 \
    CMD ["dagster", "api", "grpc-health-check", "-p", "4000"]
# Not `dagster code-server`: it gives up on its runs 30 s after SIGTERM, and does not end when the definitions in it do.
CMD ["dagster", "api", "grpc", "-h", "0.0.0.0", "-p", "4000", "-m", "netflix_assets.definitions"]
