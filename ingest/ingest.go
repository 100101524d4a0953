// Package ingest defines what enters the server: the frame, its track, and the two interfaces through which a protocol server passes them
// on. It speaks no protocol itself, keeps no state, and refuses to know what becomes of a frame.
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

// The codecs that our transport streams can carry.
const (
	H264 = codec.H264
	H265 = codec.H265
	AAC  = codec.AAC
	MP3  = codec.MP3
)

// Clock is the frequency of PTS and DTS: 90 kHz ticks, as in MPEG-TS.
const Clock = codec.Clock

// Track is the immutable configuration of one elementary stream. A frame points to the track it was coded with. A frame that points to
// another Track of the same kind announces a new configuration; the segmenter writes a discontinuity only if the two differ (see Same).
type Track struct {
	Codec Codec

	// Parameter sets without start codes. VPS is for H.265 only.
	VPS, SPS, PPS [][]byte
	Width, Height int
	FrameRate     float64 // frames per second; 0 if neither the SPS nor the encoder says it

	// ASC is the AudioSpecificConfig (ISO/IEC 14496-3 1.6.2.1), AAC only.
	ASC        []byte
	SampleRate int // Hz, of the core coder: 22050 for an HE-AAC stream that plays at 44100
	Channels   int

	Bitrate          int           // bits per second as announced by the encoder; 0 if unknown
	KeyframeInterval time.Duration // as announced by the encoder; 0 if unknown
	Alone            bool          // the encoder announced that no track of the other kind will come
	Both             bool          // the encoder announced that a track of the other kind will come
}

// Frame is one incoming access unit: a coded picture or one audio frame. The struct and everything it points to, except the Track, is
// borrowed: the receiver copies what it needs before WriteFrame returns.
type Frame struct {
	Track    *Track
	PTS, DTS int64     // 90 kHz ticks on the encoder's own timeline, unwrapped: they do not overflow at 32 or 33 bits
	Sent     int64     // of audio whose PTS was evened out by counting samples: the PTS before that; else 0
	Key      bool      // the encoder marked a random access point; always true for audio
	Units    [][]byte  // video: NAL units without start code or length; audio: exactly one raw AAC or MP3 frame
	Arrival  time.Time // when its last byte was read from the socket

	Whole *Whole // it stands for all frames of a segment that came as such; nil: it is a frame
}

// Announce is a publisher's request to send one stream. App and Stream are public names: an Authorizer has already resolved a secret key.
type Announce struct {
	App, Stream string
	Protocol    string // "rtmp", "rtsp"
	Remote      string // address of the encoder, for logs
	Identity    string // the owner of the credentials (D11): equal identities may take over from one another
	Right       any    // from the Grant
	Backup      bool   // the encoder says that another of its connections feeds the same to another server, and which may come first
	Granted     string // the public name that was granted, where Stream is a rung of it; empty: Stream
	Derived     bool   // the server itself makes it of another publisher's pictures, and it comes and goes with that one

	// Cancel ends the publisher's connection from the other side, with the reason. It is never nil, does not wait, and may be called from
	// any goroutine and more than once.
	Cancel context.CancelCauseFunc

	// Ledger counts the publisher's frames: the protocol notes what it receives and cannot use, the segmenter what it writes and drops. It
	// may be nil.
	Ledger *Ledger
}

// Publisher accepts publishers. If the error is a *Refusal, the encoder is shown its words.
type Publisher interface {
	Publish(ctx context.Context, a Announce) (Session, error)
}

// Session is one publisher's connection to its stream. Both methods are called from the goroutine that reads the socket.
type Session interface {
	// WriteFrame passes a frame to the timeline and never waits for a disk, a bucket or a viewer. A frame that cannot be used is dropped
	// and counted, without an error. An error means that the session is over, and says why; but for a *NotWhole, the answer to a frame with
	// a Whole that was not taken.
	WriteFrame(f *Frame) error
	// Close ends the session. ErrUnpublished means that the encoder said goodbye. Any other cause is a drop: the stream then waits longer
	// for the encoder to return.
	Close(cause error)
}

// Awaiting is an optional interface of a Session: it knows for which frame its viewers wait. The others may come a little later.
type Awaiting interface {
	// Awaited is by how much the frame that is waited for decodes later than the newest that was written; 0: none is waited for. It is called
	// from the goroutine that reads the socket.
	Awaited() time.Duration
}

// Awaited is what a session says if it is Awaiting, and else 0. s may be nil.
func Awaited(s Session) time.Duration {
	if a, ok := s.(Awaiting); ok {
		return a.Awaited()
	}
	return 0
}

// ErrUnpublished is the cause of a session that the encoder closed properly (FCUnpublish, deleteStream, TEARDOWN).
var ErrUnpublished = errors.New("unpublished by the encoder")

// ErrReplaced is the cause that ends a silent session whose encoder is back on a new connection (D11).
var ErrReplaced = errors.New("replaced by a newer connection of the same publisher")

// ErrShutdown is the cause that ends sessions when the server stops.
var ErrShutdown = errors.New("server is shutting down")

// Request asks whether somebody may publish. Name is what the encoder sent as the stream name: a public name or a secret key. The URL's
// path and query have already been split off.
type Request struct {
	Protocol string
	App      string
	Name     string
	User     string // RTSP user name or the query's "user"; may be empty
	Password string // RTSP password or the query's "key" / "pass"; may be empty
	Token    string // the query's "token" / "jwt"; may be empty
	Backup   bool   // the query's "backup" is "1"
	Query    string // of the URL, as sent; it may hold any of the secrets above
	Remote   string // host:port of the peer
}

// Grant permits the publishing that a Request asked for.
type Grant struct {
	Stream   string // public name
	Identity string // see Announce
	Right    any    // how the Authorizer later knows what this was granted for; passed on in Announce. It may hold secrets
}

// Authorizer decides who may publish what. It refuses with a *Refusal.
type Authorizer interface {
	Authorize(ctx context.Context, r Request) (Grant, error)
}

// RefusalKind selects a protocol's status code.
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

// Refusal is an error written for the person at the encoder: what was wrong, and what to do.
type Refusal struct {
	Kind   RefusalKind
	Reason string
	Soon   bool // it may be over in a moment: who can hold what comes meanwhile tries again, and refuses nobody
}

func (r *Refusal) Error() string { return r.Reason }

// Refuse returns a Refusal, formatted like fmt.Sprintf.
func Refuse(kind RefusalKind, format string, args ...any) *Refusal {
	return &Refusal{Kind: kind, Reason: fmt.Sprintf(format, args...)}
}
