// Package ingest holds what enters the house: the frame, its track, and the two interfaces through which a protocol
// server hands them on. It speaks no protocol itself, keeps no state, and refuses to know what becomes of a frame.
package ingest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest/codec"
)

// Codec is the coding of one elementary stream.
type Codec = codec.Codec

// The codecs a transport stream of ours can carry.
const (
	H264 = codec.H264
	H265 = codec.H265
	AAC  = codec.AAC
	MP3  = codec.MP3
)

// Clock is the frequency of PTS and DTS: 90 kHz ticks, as in MPEG-TS.
const Clock = codec.Clock

// Track is the immutable configuration of one elementary stream. A frame points to the track it was coded with; a frame
// that points to another Track of the same kind announces a new configuration, which the segmenter turns into a
// discontinuity only where the two differ (see Same).
type Track struct {
	Codec Codec

	// Parameter sets without start codes. VPS is for H.265 only.
	VPS, SPS, PPS [][]byte
	Width, Height int
	FrameRate     float64 // frames per second; 0 where neither the SPS nor the encoder says it

	// ASC is the AudioSpecificConfig (ISO/IEC 14496-3 1.6.2.1), AAC only.
	ASC        []byte
	SampleRate int // Hz, of the core coder: 22050 for an HE-AAC stream that plays at 44100
	Channels   int

	Bitrate          int           // bits per second as the encoder announced it; 0 unknown
	KeyframeInterval time.Duration // as the encoder announced it; 0 unknown
	Alone            bool          // the encoder announced that no track of the other kind will come
	Both             bool          // the encoder announced that one will
}

// Frame is one access unit on its way in: a coded picture, or one audio frame. The whole struct and all it points to,
// the Track excepted, is borrowed: the receiver copies what it needs before WriteFrame returns.
type Frame struct {
	Track    *Track
	PTS, DTS int64     // 90 kHz ticks on the encoder's own time line, unwrapped: they do not overflow at 32 or 33 bits
	Key      bool      // the encoder marked a random access point; always true for audio
	Units    [][]byte  // video: NAL units without start code or length; audio: exactly one raw AAC or MP3 frame
	Arrival  time.Time // when the last byte of it was read from the socket
}

// Announce is a publisher's wish to send one stream. App and Stream are public names: a secret key has been resolved
// by an Authorizer before.
type Announce struct {
	App, Stream string
	Protocol    string // "rtmp", "rtsp"
	Remote      string // address of the encoder, for logs
	Identity    string // whose credentials these are (D11): equal identities may take over from one another
	Right       any    // of the Grant
	Derived     bool   // the server itself makes it of another publisher's pictures, and it comes and goes with that one

	// Cancel ends the publisher's connection from the other side, with the reason. Never nil, safe to call from any
	// goroutine and more than once; it does not wait.
	Cancel context.CancelCauseFunc

	// Ledger accounts for the publisher's frames: the protocol notes what it receives and cannot use, the segmenter what it
	// writes and drops. nil where nobody asks.
	Ledger *Ledger
}

// Publisher accepts publishers. An error that is a *Refusal carries the words the encoder is shown.
type Publisher interface {
	Publish(ctx context.Context, a Announce) (Session, error)
}

// Session is one publisher's connection to its stream. Both methods are called from the one goroutine that reads the
// socket.
type Session interface {
	// WriteFrame carries a frame to the timeline and never waits for disk, bucket or viewer. A frame it cannot use is
	// dropped and counted, without an error; an error means that the session is over and why.
	WriteFrame(f *Frame) error
	// Close ends the session. ErrUnpublished says that the encoder took its leave; any other cause is a drop, after
	// which the stream waits longer for it to return.
	Close(cause error)
}

// ErrUnpublished is the cause of a session that the encoder closed by the book (FCUnpublish, deleteStream, TEARDOWN).
var ErrUnpublished = errors.New("unpublished by the encoder")

// ErrReplaced is the cause with which a silent incumbent is ended when its encoder is back on a new connection (D11).
var ErrReplaced = errors.New("replaced by a newer connection of the same publisher")

// ErrShutdown is the cause with which sessions end when the server stops.
var ErrShutdown = errors.New("server is shutting down")

// Request asks whether somebody may publish. Name is what the encoder sent as stream name: a public name or a secret
// key; the path and query of the URL are already apart.
type Request struct {
	Protocol string
	App      string
	Name     string
	User     string // RTSP user name or the query's "user"; may be empty
	Password string // RTSP password or the query's "key" / "pass"; may be empty
	Token    string // the query's "token" / "jwt"; may be empty
	Query    string // of the URL, as it was sent; it may hold any of the secrets above
	Remote   string // host:port of the peer
}

// Grant is the answer to a Request that may publish.
type Grant struct {
	Stream   string // public name
	Identity string // see Announce
	Right    any    // by which the Authorizer knows later what this was granted for; handed on in Announce. It may hold secrets
}

// Authorizer decides who may publish what. A refusal is a *Refusal.
type Authorizer interface {
	Authorize(ctx context.Context, r Request) (Grant, error)
}

// RefusalKind is what a protocol needs to pick its status code.
type RefusalKind uint8

// The kinds of refusal, with their RTMP and RTSP answers.
const (
	BadName      RefusalKind = iota + 1 // NetStream.Publish.Denied; 400
	NameTaken                           // NetStream.Publish.BadName; 409 as 455
	Unauthorized                        // NetStream.Publish.Denied; 401 and 403
	UnknownApp                          // NetStream.Publish.Denied; 404
	Unsupported                         // NetStream.Publish.Rejected; 415
	Overloaded                          // NetStream.Publish.Rejected; 503
	TooMany                             // NetStream.Publish.Denied; 403: wrong credentials came too often
)

// Refusal is an error in words meant for the person at the encoder: what was wrong, and what to do.
type Refusal struct {
	Kind   RefusalKind
	Reason string
}

func (r *Refusal) Error() string { return r.Reason }

// Refuse makes a Refusal as fmt.Sprintf would.
func Refuse(kind RefusalKind, format string, args ...any) *Refusal {
	return &Refusal{Kind: kind, Reason: fmt.Sprintf(format, args...)}
}
