# One target per service: `make images`, or `docker build --target api .`. With BuildKit and without it.
# PYTHON_IMAGE is any image with Python 3.11 or newer, pip and a shell. Where the folder .run/wheels is filled (by
# `make images`) nothing is downloaded here; where not, pip fetches the same files and compares the same hashes.
ARG PYTHON_IMAGE=python:3.11-slim

FROM ${PYTHON_IMAGE} AS packages
COPY requirements/runtime.txt .run/wheel[s] /packages/
RUN python3 -m venv --without-pip /opt/draftstream \
    && if [ -f /packages/complete ]; then set -- --no-index --find-links=/packages; fi \
    && python3 -m pip --python /opt/draftstream/bin/python install --quiet --no-cache-dir --no-deps \
        --disable-pip-version-check --only-binary=:all: --require-hashes "$@" -r /packages/runtime.txt

FROM ${PYTHON_IMAGE} AS service
RUN echo 'draftstream:x:10001:10001::/tmp:/bin/sh' >>/etc/passwd \
    && echo 'draftstream:x:10001:' >>/etc/group \
    && mkdir -p /keys/private /keys/public \
    && chown -R 10001:10001 /keys
COPY --from=packages /opt/draftstream /opt/draftstream
COPY deploy/containers/health.py /app/health.py
COPY contracts /app/contracts
WORKDIR /app
ENV PATH=/opt/draftstream/bin:/usr/local/bin:/usr/bin:/bin PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
STOPSIGNAL SIGTERM
ENTRYPOINT ["python", "-m"]

FROM service AS topics
COPY deploy/__init__.py deploy/topics.py deploy/
COPY deploy/containers/__init__.py deploy/containers/keys.py deploy/containers/
COPY deploy/local/__init__.py deploy/local/keys.py deploy/local/
RUN python -m compileall -q .
USER 10001:10001
CMD ["deploy.topics", "--bootstrap", "kafka:9092"]

FROM service AS simulator
COPY deploy/__init__.py deploy/
COPY deploy/model_simulator deploy/model_simulator
RUN python -m compileall -q .
USER 10001:10001
ENV SIMULATOR_HOST=0.0.0.0 SIMULATOR_PORT=8002
EXPOSE 8002
HEALTHCHECK --interval=5s --timeout=10s --start-period=60s --retries=3 \
    CMD ["python", "-I", "-S", "/app/health.py", "http://127.0.0.1:8002/healthz"]
CMD ["deploy.model_simulator"]

FROM service AS processors
COPY student_records student_records
COPY stream_processors stream_processors
RUN python -m compileall -q .
USER 10001:10001
EXPOSE 9000
HEALTHCHECK --interval=5s --timeout=10s --start-period=60s --retries=3 \
    CMD ["python", "-I", "-S", "/app/health.py", "http://127.0.0.1:9000/readyz"]

FROM processors AS worker
ENV WORKER_BOOTSTRAP=kafka:9092 WORKER_HEALTH_HOST=0.0.0.0 WORKER_HEALTH_PORT=9000
CMD ["stream_processors"]

FROM processors AS projector
ENV PROJECTOR_BOOTSTRAP=kafka:9092 PROJECTOR_HEALTH_HOST=0.0.0.0 PROJECTOR_HEALTH_PORT=9000
CMD ["stream_processors.projector"]

FROM service AS relay
COPY sse_relay sse_relay
RUN python -m compileall -q .
USER 10001:10001
ENV RELAY_BOOTSTRAP=kafka:9092 RELAY_HOST=0.0.0.0 RELAY_PORT=8001 \
    RELAY_TICKET_PUBLIC_KEY_FILE=/keys/public/ticket.pub.pem
EXPOSE 8001
HEALTHCHECK --interval=5s --timeout=10s --start-period=60s --retries=3 \
    CMD ["python", "-I", "-S", "/app/health.py", "http://127.0.0.1:8001/readyz"]
CMD ["sse_relay"]

FROM service AS api
COPY student_records student_records
COPY web web
COPY producer_api producer_api
RUN python -m compileall -q .
USER 10001:10001
ENV API_BOOTSTRAP=kafka:9092 API_HOST=0.0.0.0 API_PORT=8000 \
    API_TICKET_KEY_FILE=/keys/private/ticket.pem API_SECRET_FILE=/keys/private/secret
EXPOSE 8000
HEALTHCHECK --interval=5s --timeout=10s --start-period=60s --retries=3 \
    CMD ["python", "-I", "-S", "/app/health.py", "http://127.0.0.1:8000/readyz"]
CMD ["producer_api"]
