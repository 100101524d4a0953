// Package rtmpclient publishes to an RTMP server, cheaply enough for hundreds of publishers in one process: the demo, benchmarks and tests
// use it. It plays nothing, never reconnects, and encodes nothing: it sends existing FLV tags.
package rtmpclient
