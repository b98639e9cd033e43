# The image of every process of the Procfile.

FROM python:3.13-slim AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /build
COPY requirements.txt .
RUN python -m venv /opt/venv && /opt/venv/bin/pip install --requirement requirements.txt

# A list of all packages of the image, in the format of CycloneDX.
FROM build AS sbom
COPY requirements-local.txt requirements-dev.txt ./
RUN grep --no-filename == requirements*.txt | sed 's/\[[^]]*\]//' > pinned.txt \
    && python -m venv /opt/sbom && /opt/sbom/bin/pip install --constraint pinned.txt cyclonedx-bom \
    && /opt/sbom/bin/cyclonedx-py environment --output-reproducible --no-validate --output-file /sbom.cdx.json /opt/venv/bin/python

FROM python:3.13-slim
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HOST=0.0.0.0 \
    PORT=8000
RUN useradd --system --uid 10001 --home-dir /app --shell /usr/sbin/nologin oms
WORKDIR /app
COPY --from=build /opt/venv /opt/venv
COPY --from=sbom /sbom.cdx.json /usr/share/doc/oms/sbom.cdx.json
COPY . .
# The processes may not write to /app, so without this they would compile everything at each start.
RUN python -m compileall -q .
# The static files are part of the image; these secrets are used by this command alone.
RUN SECRET_KEY=only-while-building JWT_SIGNING_KEY=only-while-building-the-static-files \
    SANDBOX_API_KEY=only-while-building SANDBOX_WEBHOOK_SECRET=only-while-building \
    DATABASE_URL=postgresql://nobody@127.0.0.1/none REDIS_URL=redis://127.0.0.1/0 \
    python manage.py collectstatic --noinput --verbosity 0 \
    && mkdir -p var/archive var/mail var/metrics var/run var/sandbox \
    && chown -R 10001 var
USER 10001
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "deploy/healthcheck.py", "--http"]
ENTRYPOINT ["deploy/entrypoint"]
CMD ["web"]
