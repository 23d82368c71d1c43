# One image for every role: `serve` (the default), `worker`, `migrate`.
FROM python:3.11-slim AS build
WORKDIR /build
COPY requirements.lock pyproject.toml README.md LICENSE ./
RUN python -m venv /opt/allot \
    && /opt/allot/bin/pip install --no-cache-dir --require-hashes -r requirements.lock
COPY api api
COPY benchmarks benchmarks
COPY engine engine
COPY scenarios scenarios
COPY simulation simulation
COPY solver solver
# Kernels are compiled here. Who loads them must be able to write beside them: they are copied to /tmp at the start.
ENV NUMBA_CACHE_DIR=/opt/allot/kernels
RUN /opt/allot/bin/pip install --no-cache-dir --no-deps --no-build-isolation . \
    && /opt/allot/bin/python -m solver.kernels

FROM python:3.11-slim
RUN useradd --system --uid 10001 --create-home --home-dir /data allot
COPY --from=build /opt/allot /opt/allot
ENV PATH=/opt/allot/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    NUMBA_CACHE_DIR=/tmp/kernels \
    ALLOT_HOST=0.0.0.0 \
    ALLOT_PORT=8000
USER 10001
WORKDIR /data
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/readyz', timeout=2)"]
ENTRYPOINT ["sh", "-c", "cp -rpn /opt/allot/kernels /tmp/; exec allot \"$@\"", "allot"]
CMD ["serve"]
