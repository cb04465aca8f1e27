# clothseg in a container. docs/install.md explains how to use it.
#
#   docker build --tag clothseg .                                                           # with CUDA
#   docker build --tag clothseg --build-arg TORCH=cpu --build-arg TORCH_INDEX=ADDRESS .     # for the CPU
#   docker build --tag clothseg --build-arg TORCH=none .                                    # only exported networks
ARG PYTHON=3.13

FROM python:${PYTHON}-slim AS build
WORKDIR /source
COPY pyproject.toml MANIFEST.in README.md LICENSE ./
COPY src src
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .

FROM python:${PYTHON}-slim
# cuda: PyTorch for NVIDIA GPUs. cpu: the smaller one from TORCH_INDEX, the address after --index-url on the page
# "Get Started" of pytorch.org with CPU chosen. none: no PyTorch.
ARG TORCH=cuda
ARG TORCH_INDEX=""
COPY constraints.txt requirements-onnx.txt docker/install.sh /install/
COPY --from=build /wheels /install/wheels
RUN sh /install/install.sh "$TORCH" "$TORCH_INDEX" /install && rm -r /install

RUN useradd --create-home --uid 1000 clothseg
# Caches where every user can write, because --user may name another.
ENV NUMBA_CACHE_DIR=/tmp/numba MPLCONFIGDIR=/tmp/matplotlib XDG_CACHE_HOME=/tmp/cache
USER clothseg
WORKDIR /work
ENTRYPOINT ["clothseg"]
CMD ["--help"]
