# syntax=docker/dockerfile:1

FROM rust:1.95-slim-bookworm AS build
WORKDIR /build
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

# glibc, libgcc and CA certificates, and no shell.
FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /usr/local/bin/stoa /usr/local/bin/stoa
COPY --from=build --chown=10001:10001 /data /data
USER 10001:10001
ENV STOA_DATA=/data
VOLUME /data
EXPOSE 3003
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 \
    CMD ["/usr/local/bin/stoa", "healthcheck"]
ENTRYPOINT ["/usr/local/bin/stoa"]
CMD ["serve"]
