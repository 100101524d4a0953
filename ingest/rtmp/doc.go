// Package rtmp is the RTMP ingest server: it accepts publishers (OBS, ffmpeg, GStreamer, hardware encoders) and passes their frames to an
// ingest.Publisher. It plays nothing back, relays nothing, and knows no stream but the one that a connection publishes.
//
// # How a connection is read
//
// go-rtmp speaks the command layer: handshake, connect, createStream, publish and their answers. It never sees the socket: a guard takes
// the socket's place, on the one goroutine that go-rtmp reads with. The same goroutine carries a frame through demuxer, normaliser and
// session, with no queue and no copy between the reassembled message and WriteFrame.
//
// # Why go-rtmp is guarded
//
// Everything that protects go-rtmp from its input is in guard.go, marked with these numbers.
//
//  1. It calls Accept forever after an error, and does not keep track of its connections.
//  2. It accepts any version of the handshake, and fails if the digest, which it does not make, is not echoed.
//  3. A message for a stream that was not created ends the connection.
//  4. Its chunk reader panics on an empty message, takes the extended timestamp of a continued chunk for media, does not
//     know abort, and allocates what a header promises. The guard reassembles messages, within limits.
//  5. It passes media on through a reader for each message, allocated and copied: half of all CPU. The guard handles media
//     itself; since go-rtmp then does not see it, the guard acknowledges the bytes as well.
//  6. It assumes that arguments exist and are strings or objects, panics on AMF3, and does not know undefined, long string
//     or strict array. The guard decodes each command within limits and writes it anew.
//  7. deleteStream of an unknown stream is an error.
//  8. It writes the handshake in seven packets.
//  9. It waits seconds for an answer to be written, and then the connection is dead. It is told that every write succeeded.
//
// # What it costs
//
// Media that bypasses go-rtmp costs half of what go-rtmp alone needs for it, and no allocation: BenchmarkIngest measures both. Most of the
// rest is waking up for a few kilobytes; Options.Coalesce of 40 ms reduces the whole to a quarter.
//
// # Limits
//
// Every peer is a stranger until its publish command is granted. Until then its messages are limited to 64 KiB and its whole set-up to
// Options.SetupTimeout. Afterwards Options.IdleTimeout, MaxMessage and MaxHeld apply. The nesting, number of values and array lengths of
// AMF are always bounded, and a panic on hostile input ends only that connection.
package rtmp
