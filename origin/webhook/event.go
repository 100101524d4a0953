package webhook

import (
	"encoding/json"
	"slices"
	"time"
)

// The types of event.
const (
	StreamStarted      = "stream.started"       // viewers can watch it
	StreamStalled      = "stream.stalled"       // its publisher is away or silent, within its grace period
	StreamResumed      = "stream.resumed"       // input arrives again
	StreamEnded        = "stream.ended"         // final: every playlist has ENDLIST
	SegmentUploaded    = "segment.uploaded"     // a store confirmed a segment; only for targets that request it by name
	RecordingStarted   = "recording.started"    // its first segment was accepted for the archive
	RecordingCompleted = "recording.completed"  // every store has all of it, and its playlists are final
	RecordingGap       = "recording.gap"        // segments are lost to the archive
	RecordingStoodDown = "recording.stood_down" // another server has the stream: its playlists are not written any more
	UploadFailing      = "upload.failing"       // a store accepts nothing
	UploadHealed       = "upload.healed"        // it accepts everything again
	ClipReady          = "clip.ready"           // a clip's playlist is in the bucket
	DiskLow            = "disk.low"             // the spool fails, or has little room left for what no store has
	NodeTakeover       = "node.takeover"        // this server goes on with a recording that another had
	JobStarted         = "job.started"          // a try at a job begins
	JobSucceeded       = "job.succeeded"        // its package is whole, and can be played
	JobFailed          = "job.failed"           // there is no package, and there will be no other try
	JobCanceled        = "job.canceled"         // somebody wanted it to end: there is no package
	Test               = "webhook.test"         // somebody is testing the target
)

// Types returns the types that a target may request.
func Types() []string {
	return []string{
		StreamStarted, StreamStalled, StreamResumed, StreamEnded, SegmentUploaded, RecordingStarted, RecordingCompleted, RecordingGap, RecordingStoodDown,
		UploadFailing, UploadHealed, ClipReady, DiskLow, NodeTakeover, JobStarted, JobSucceeded, JobFailed, JobCanceled,
	}
}

// optional reports whether a type is sent only to targets that request it by name, because there are very many of its events.
func optional(typ string) bool { return typ == SegmentUploaded }

// Data is the data of an event: one of the structs of this package.
type Data interface {
	// lane returns the name of the sequence that keeps its order: the stream, or "" for the whole server.
	lane() string
}

// Of identifies a recording. It is part of every event about one.
type Of struct {
	App       string `json:"app"`
	Stream    string `json:"stream"`
	Recording string `json:"recording"`
}

func (o Of) lane() string { return o.App + "/" + o.Stream }

// Stream is the data of stream.started, .stalled, .resumed and .ended.
type Stream struct {
	Of
	Ladder   bool      `json:"ladder"`             // a multivariant playlist over several streams, not a stream of its own
	Play     string    `json:"play"`               // path of the stable entry on the origin
	Reason   string    `json:"reason,omitempty"`   // of a stall
	Protocol string    `json:"protocol,omitempty"` // of the publisher
	Remote   string    `json:"remote,omitempty"`   // the publisher's address
	Codecs   string    `json:"codecs,omitempty"`   // in RFC 6381 form
	Width    int       `json:"width,omitempty"`    // pixels
	Height   int       `json:"height,omitempty"`   // pixels
	Started  time.Time `json:"started"`            // when the recording's first frame came
}

// Segment is the data of segment.uploaded.
type Segment struct {
	Of
	Target   string  `json:"target"` // "bucket" or "replica"
	Sequence uint64  `json:"sequence"`
	Path     string  `json:"path"`     // on the origin, and below the prefix in the bucket
	Duration float64 `json:"duration"` // seconds
	Bytes    int64   `json:"bytes"`
}

// Recording is the data of recording.started and .completed.
type Recording struct {
	Of
	Archive  string  `json:"archive"`  // path of the timestamped playlist
	Segments int64   `json:"segments"` // including gaps
	Gaps     int64   `json:"gaps"`     // lost segments
	Duration float64 `json:"duration"` // seconds
	Bytes    int64   `json:"bytes"`
}

// Gap is the data of recording.gap.
type Gap struct {
	Of
	Sequence uint64 `json:"sequence"`         // of the first
	Segments int    `json:"segments"`         // lost since the last such event; they need not be contiguous
	Target   string `json:"target,omitempty"` // the store that lacks it; empty: all do
	Reason   string `json:"reason"`
}

// StoodDown is the data of recording.stood_down.
type StoodDown struct {
	Of
	Target string `json:"target"` // the store in which another server has the stream
	Reason string `json:"reason"`
}

// Takeover is the data of node.takeover.
type Takeover struct {
	Of
	From     string  `json:"from"`              // the server that had it
	Address  string  `json:"address,omitempty"` // where that one was asked
	Sequence uint64  `json:"sequence"`          // of the first segment from here
	Took     float64 `json:"took"`              // seconds, from the publisher's coming
	Reason   string  `json:"reason"`            // what the other server answered, in words
}

// Clip is the data of clip.ready.
type Clip struct {
	Of
	Name     string    `json:"name"`     // as the API takes it
	Playlist string    `json:"playlist"` // path on the origin, and below the prefix in the bucket
	Start    time.Time `json:"start"`    // of its first frame, which is not later than what was asked for
	End      time.Time `json:"end"`      // after its last
	Duration float64   `json:"duration"` // seconds
	Segments int       `json:"segments"`
	Gaps     int       `json:"gaps"`
	Bytes    int64     `json:"bytes"`
}

// Upload is the data of upload.failing and .healed.
type Upload struct {
	Target   string `json:"target"`          // "bucket" or "replica"
	Error    string `json:"error,omitempty"` // the store's answer
	Act      bool   `json:"act"`             // the store refuses for good: somebody has to act
	Segments int64  `json:"segments"`        // that it does not have yet
	Bytes    int64  `json:"bytes"`           // of those
}

func (Upload) lane() string { return "" }

// Disk is the data of disk.low.
type Disk struct {
	Reason   string `json:"reason"`
	Unsent   int64  `json:"unsent"`    // bytes in the spool that no store has
	MaxBytes int64  `json:"max_bytes"` // the spool's cap
}

func (Disk) lane() string { return "" }

// Trial is the data of webhook.test.
type Trial struct {
	Message string `json:"message"`
}

func (Trial) lane() string { return "" }

// Event is something that happened, as targets and subscribers receive it.
type Event struct {
	ID   string // globally unique; an event that is sent twice keeps it
	Type string
	Time time.Time // UTC
	Lane string    // the stream as "app/stream", or "" for the whole server
	Body []byte    // the JSON that is sent: id, type, timestamp, data; must not be changed
}

// maxText bounds an external text in an event, in bytes.
const maxText = 1000

// cut shortens a text to maxText.
func cut(s string) string {
	if len(s) > maxText {
		return s[:maxText] + "…"
	}
	return s
}

// body returns the JSON of an event. It bounds what the producer cannot bound.
func body(id, typ string, at time.Time, d Data) []byte {
	switch v := d.(type) {
	case Upload:
		v.Error = cut(v.Error)
		d = v
	case Disk:
		v.Reason = cut(v.Reason)
		d = v
	case Gap:
		v.Reason = cut(v.Reason)
		d = v
	case Job:
		v.Reason = cut(v.Reason)
		d = v
	case Takeover:
		v.Reason = cut(v.Reason)
		d = v
	}
	b, _ := json.Marshal(struct { // plain fields: it cannot fail
		ID   string    `json:"id"`
		Type string    `json:"type"`
		Time time.Time `json:"timestamp"`
		Data Data      `json:"data"`
	}{id, typ, at, d})
	return b
}

// wants reports whether a list of types includes one. An empty list includes all that are not optional; "stream.*" includes a group.
func wants(list []string, typ string) bool {
	if len(list) == 0 {
		return !optional(typ)
	}
	return slices.ContainsFunc(list, func(s string) bool { return matches(s, typ) })
}

// matches reports whether a type is the one named, or is in the group named by "group.*" and not optional.
func matches(pattern, typ string) bool {
	if n := len(pattern); n > 2 && pattern[n-2:] == ".*" {
		return len(typ) >= n && typ[:n-1] == pattern[:n-1] && !optional(typ)
	}
	return pattern == typ
}
