# Both processes in one image, for amd64 and arm64 alike. Every dependency comes as a wheel: nothing is compiled, so
# `docker buildx build --platform linux/amd64,linux/arm64 .` needs no compiler and no emulated one.
ARG PYTHON=3.13-slim-trixie

FROM python:${PYTHON} AS build
RUN python -m venv --without-pip /opt/rightarch
WORKDIR /source
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY operator operator
RUN pip wheel --no-cache-dir --no-deps --wheel-dir=/wheels .
RUN pip --python=/opt/rightarch/bin/python install --no-cache-dir --only-binary=:all: --constraint=constraints.txt /wheels/*.whl

FROM python:${PYTHON}
# What installs software has no use here, unless for an intruder.
RUN pip uninstall --yes pip && rm -r /usr/local/lib/python3*/ensurepip
COPY --from=build /opt/rightarch /opt/rightarch
# HOME and USER, since the number below has no entry in /etc/passwd, where libraries would look for them.
ENV PATH=/opt/rightarch/bin:$PATH HOME=/ USER=rightarch PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
LABEL org.opencontainers.image.title="Rightarch" \
      org.opencontainers.image.description="Pods land only on nodes whose architecture all of their images support." \
      org.opencontainers.image.source="https://github.com/rightarch/rightarch" \
      org.opencontainers.image.licenses="Apache-2.0"
# A number, so that the kubelet can tell that it is not root.
USER 65532:65532
ENTRYPOINT ["rightarch"]
