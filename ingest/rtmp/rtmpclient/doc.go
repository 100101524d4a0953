// Package rtmpclient publishes to an RTMP server, cheaply enough for hundreds of publishers in one process: the demo,
// benches and tests live on it. It plays nothing, reconnects never, and encodes nothing: it sends FLV tags that exist.
package rtmpclient
