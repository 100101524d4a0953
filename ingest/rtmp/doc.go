// Package rtmp is the RTMP ingest server: it takes publishers (OBS, ffmpeg, GStreamer, hardware encoders) and carries
// their frames to an ingest.Publisher. It plays nothing back, relays nothing, and knows no stream but the one that a
// connection publishes.
//
// # How a connection is read
//
// go-rtmp speaks the command layer: handshake, connect, createStream, publish and their answers. It never sees the
// socket. A guard stands in its place: it reassembles the peer's chunk stream within stated limits, takes what is media
// for itself, rewrites each command with values of the types that go-rtmp expects, and hands it on as one clean chunk.
// All of that happens inside the Read that go-rtmp calls, on the connection's one goroutine: it is this goroutine that
// carries a frame through demuxer and session, with no queue and no copy between the reassembled message and WriteFrame.
// Since go-rtmp does not see the media, the guard counts bytes and acknowledges them itself.
//
// # What it costs
//
// Media that goes past go-rtmp costs half of what go-rtmp alone takes for it, and no allocation: BenchmarkIngest has both.
// Most of the rest is waking up for a few kilobytes; Options.Coalesce of 40 ms brings the whole to a quarter.
//
// # Limits
//
// Every peer is a stranger until its publish command is granted. Until then its messages are limited to 64 KiB, its
// whole set-up to Options.SetupTimeout. Afterwards Options.IdleTimeout, MaxMessage and MaxHeld apply. Nesting, number of
// values and array lengths of AMF are bounded always, and a panic on hostile input ends that connection alone.
package rtmp
