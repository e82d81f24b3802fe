# An image for `ggcam serve` on a CPU, for research use. See docs/guides/pacs.md.
#
#     docker build --tag ggcam --build-arg TORCH_INDEX=ADDRESS .
FROM python:3.11.11-slim-bookworm

# The address of PyTorch's CPU builds, which pytorch.org shows under "Get started". Without it the image has the build for
# GPUs, which is larger by gigabytes.
ARG TORCH_INDEX=""

RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin ggcam \
    && install -d --owner ggcam --mode 700 /state

WORKDIR /opt/ggcam
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY src src
RUN if [ -n "$TORCH_INDEX" ]; then \
        pip install --no-cache-dir --index-url "$TORCH_INDEX" "$(grep '^torch==' constraints.txt)"; \
    fi \
    && pip install --no-cache-dir --constraint constraints.txt ".[serve,dicom,onnx]"

USER 10001
# What is written: the state file of DICOMweb. Caches of libraries go to a temporary file system.
WORKDIR /state
ENV HOME=/tmp MPLCONFIGDIR=/tmp PYTHONUNBUFFERED=1
EXPOSE 8080
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080/health', timeout=4)"]
ENTRYPOINT ["ggcam"]
CMD ["serve", "--help"]
