// Package chunk reads and writes the RTMP chunk stream (Adobe RTMP 1.0, section 5.3): it turns bytes into whole messages within stated
// bounds of memory. It does not look at messages, except for the two that control the chunk stream itself (Set Chunk Size and Abort), and
// it refuses to guess where a peer has left the protocol.
package chunk

// Message types (sections 5.4 and 7.1). Only those that are used have a name.
const (
	TypeSetChunkSize = 1
	TypeAbort        = 2
	TypeAck          = 3
	TypeUserControl  = 4
	TypeWindowAck    = 5
	TypeBandwidth    = 6
	TypeAudio        = 8
	TypeVideo        = 9
	TypeDataAMF3     = 15
	TypeCommandAMF3  = 17
	TypeDataAMF0     = 18
	TypeCommandAMF0  = 20
	TypeAggregate    = 22
)

// DefaultSize is the chunk size of both directions until a peer sets another (section 5.4.1).
const DefaultSize = 128

// MaxSize is the largest meaningful chunk size: no message is longer (section 5.4.1).
const MaxSize = 0xffffff

// Message is one RTMP message.
type Message struct {
	Type      uint8
	StreamID  uint32
	Timestamp uint32 // milliseconds, modulo 2^32
	Payload   []byte
}
