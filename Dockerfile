# spacedsl on a CPU: search, export, evaluate and measure. Build it in a clone:
#   docker build -t spacedsl . && docker run --rm spacedsl show vnni --target vnni
# Your files: docker run --rm -v "$PWD:/work" spacedsl check page.space
FROM debian:bookworm-slim
RUN apt-get update \
 && apt-get install --yes --no-install-recommends python3 python3-venv \
 && rm -rf /var/lib/apt/lists/*
COPY . /opt/spacedsl
# More extras: --build-arg EXTRAS=cpu,tflite,train (PyTorch, whose usual package is large)
ARG EXTRAS=cpu,tflite
RUN python3 -m venv /opt/venv \
 && /opt/venv/bin/pip install --no-cache-dir -c /opt/spacedsl/constraints.txt \
    "/opt/spacedsl[$EXTRAS]" \
 && mkdir /work
ENV PATH=/opt/venv/bin:$PATH OMP_NUM_THREADS=1
WORKDIR /work
ENTRYPOINT ["spacedsl"]
CMD ["--help"]
