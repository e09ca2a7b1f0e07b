# syntax=docker/dockerfile:1

FROM rust:1.95-slim-bookworm AS build
WORKDIR /build
# What jemalloc is built with, beside the compiler.
RUN apt-get update \
    && apt-get install -y --no-install-recommends make \
    && rm -rf /var/lib/apt/lists/*
COPY . .
# The caches keep the compiled dependencies from one build to the next; what lies in a cache is not
# in the image, so the binary is copied out of it. Function names stay for backtraces, line tables
# go for size. The empty folder becomes /data below, since the last image has no mkdir.
ENV CARGO_PROFILE_RELEASE_DEBUG=0
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/build/target \
    cargo build --release --locked --bin stoa \
    && cp target/release/stoa /usr/local/bin/stoa \
    && mkdir /data

# What pages load as /socket.io/socket.io.js, and how it goes to who takes it compressed.
FROM node:22-slim AS client
ARG CLIENT_VERSION=4.8.4
WORKDIR /client
RUN npm pack "socket.io-client@${CLIENT_VERSION}" \
    && tar -xzf "socket.io-client-${CLIENT_VERSION}.tgz" \
    && mkdir dist \
    && cp package/dist/socket.io*.js package/dist/socket.io*.js.map dist/ \
    && gzip -9 --keep dist/*

# glibc, libgcc and CA certificates, and no shell.
FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /usr/local/bin/stoa /usr/local/bin/stoa
COPY --from=build --chown=10001:10001 /data /data
COPY --from=client /client/dist /usr/local/share/stoa/client
USER 10001:10001
ENV STOA_DATA=/data STOA_REALTIME__CLIENT_DIR=/usr/local/share/stoa/client
VOLUME /data
EXPOSE 3003
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 \
    CMD ["/usr/local/bin/stoa", "healthcheck"]
ENTRYPOINT ["/usr/local/bin/stoa"]
CMD ["serve"]
