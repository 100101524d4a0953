// Package mpegts writes HLS segments as MPEG transport streams (ISO/IEC 13818-1): one program with at most one video and
// one audio stream, from access units whose NAL units are already apart. It does no I/O, looks at no clock, starts no
// goroutine, and refuses to re-time anything: the encoder's PTS and DTS go out as they came, plus one constant.
//
// A Muxer belongs to one goroutine and allocates nothing per access unit. Input is not trusted: whatever arrives, the
// output is whole packets with right continuity counters, and what cannot be carried is dropped and counted.
package mpegts
