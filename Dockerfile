# A static binary, certificates, and nothing else: no shell, no package, no root.
FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
# What `hlsorigin version` says: here is no git to ask. `make image` sets them.
ARG VERSION=dev
ARG COMMIT=
ARG DATE=
RUN CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=$VERSION -X main.commit=$COMMIT -X main.date=$DATE" -o /out/hlsorigin ./cmd/hlsorigin \
	&& mkdir /out/data

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /out/hlsorigin /hlsorigin
# The spool, and the bucket where no other is named: data/spool and data/bucket below the working directory.
COPY --from=build --chown=65532:65532 /out/data /data
WORKDIR /
VOLUME /data
USER 65532:65532
# Viewers; RTMP and RTMPS; RTSP, RTSPS and RTP over UDP. The admin side stays on the container's loopback.
EXPOSE 5080 1935 1936 8554 8322 8000/udp 8001/udp
# It follows the environment and, where the server was started with one, -config.
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s CMD ["/hlsorigin", "healthcheck"]
# SIGTERM holds recordings over for the next start. Give it longer than shutdown.timeout: docker stop -t 30.
STOPSIGNAL SIGTERM
ENTRYPOINT ["/hlsorigin"]
