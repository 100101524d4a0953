// Package rtmp is the RTMP ingest server: it takes publishers (OBS, ffmpeg, GStreamer, hardware encoders) and carries
// their frames to an ingest.Publisher. It plays nothing back, relays nothing, and knows no stream but the one that a
// connection publishes.
//
// # How a connection is read
//
// go-rtmp speaks the command layer: handshake, connect, createStream, publish and their answers. It never sees the
// socket: a guard stands in its place, on the one goroutine that go-rtmp reads with. It is this goroutine that carries a
// frame through demuxer, normaliser and session, with no queue and no copy between the reassembled message and WriteFrame.
//
// # Why go-rtmp is guarded
//
// All that protects it from its own input is in guard.go, marked with these numbers.
//
//  1. It calls Accept for ever after an error, and keeps no account of its connections.
//  2. It takes any version of the handshake, and fails where the digest that it does not make is not echoed.
//  3. A message for a stream that was not created ends the connection.
//  4. Its chunk reader panics on a message of no length, takes the extended time stamp of a continued chunk for media, knows
//     no abort, and allocates what a header promises. The guard reassembles messages, within limits.
//  5. It hands media on through a reader for each message, allocated and copied: half of all CPU. The guard takes media for
//     itself; since go-rtmp then does not see it, the guard acknowledges the bytes as well.
//  6. It asserts that arguments are there and strings or objects, panics on AMF3, and knows no undefined, long string or
//     strict array. Each command is decoded within limits and written anew.
//  7. deleteStream of an unknown stream is an error.
//  8. It writes the handshake in seven packets.
//  9. It waits seconds for an answer to be written, after which the connection is dead: it is told that each is.
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
