# The small image: one binary on distroless, not root, the store in /data.
FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
RUN cargo build --release --locked --bin spotter

FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /src/target/release/spotter /usr/local/bin/spotter
# A volume of the operator's; the binary writes nowhere else.
VOLUME /data
WORKDIR /data
USER nonroot
EXPOSE 8080
ENV SPOTTER_LISTEN__ADDRESS=0.0.0.0:8080 \
    SPOTTER_STORE__URL=sqlite:/data/spotter.db
# SIGTERM drains: sessions are told to move, batches are flushed.
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/local/bin/spotter"]
CMD ["serve"]
