# certiseg on a CPU: docker build -t certiseg . && docker run --rm -v "$PWD:/work" certiseg certify street.png ...
FROM python:3.11-slim
COPY constraints.txt pyproject.toml README.md LICENSE /source/
COPY src /source/src
RUN pip install --no-cache-dir -c /source/constraints.txt '/source[demo,onnx,report]' \
    && useradd --create-home --uid 1000 certiseg
USER 1000
WORKDIR /work
ENTRYPOINT ["certiseg"]
CMD ["--help"]
