package admin

import (
	"net/http"
	"slices"
	"strings"
	"time"
)

// Streams lists what is on the air and what has just ended.
type Streams interface{ Streams() []Stream }

// Stream is the state of one stream. Names and paths only: no secret is ever in it.
type Stream struct {
	App       string    `json:"app"`
	Name      string    `json:"name"`
	State     string    `json:"state" doc:"One of starting, live, stalled, ended; standby: another server has the stream, and this one stands by."`
	Recording string    `json:"recording" doc:"Empty while nothing could be written."`
	Started   time.Time `json:"started" doc:"Of the recording, or of the publisher where there is none."`
	LastFrame time.Time `json:"last_frame" doc:"When the newest frame came."`

	Play    string `json:"play" doc:"Path of the stable entry on the public origin: live/streams/cam.m3u8."`
	Archive string `json:"archive" doc:"Path of the timestamped playlist."`
	// PlayLowLatency is the low-latency entry's path.
	PlayLowLatency string `json:"play_low_latency" doc:"Path of the low-latency entry; empty: the recording has none."`

	Protocol string `json:"protocol" doc:"Of the publisher: rtmp, rtsp, http; empty while it is away."`
	Remote   string `json:"remote" doc:"Its address."`

	Codecs         string  `json:"codecs" doc:"RFC 6381."`
	Width          int     `json:"width" doc:"Pixels; 0 without video."`
	Height         int     `json:"height"`
	FrameRate      float64 `json:"frame_rate"`
	Bitrate        int     `json:"bitrate" doc:"Bits per second, measured."`
	TargetDuration int     `json:"target_duration" doc:"Seconds."`

	Segments uint64 `json:"segments" doc:"Made since the recording began."`
	Gaps     uint64 `json:"gaps" doc:"Of them, lost."`
	Unlisted int    `json:"unlisted,omitempty" doc:"Of them, those that viewers are not shown yet: in a cluster they wait for the bucket."`
	Unsent   int64  `json:"unsent" doc:"Bytes that the bucket has not confirmed."`

	// Standby is what stands by here; nil: the stream is this server's.
	Standby *Standby `json:"standby,omitempty" doc:"Of one that stands by: how far it is."`
	Backed  bool     `json:"backed,omitempty" doc:"Another server makes the same, and goes on without a break where this one cannot."`

	Ladder string `json:"ladder" doc:"The ladder that it is a rung of; empty: none."`
	Input  Input  `json:"input" doc:"What came in the newest whole second."`

	Tracks  []Track `json:"tracks" nullable:"false" doc:"That the publisher sends."`
	Problem string  `json:"problem" doc:"What is wrong with the publisher, and what to do; empty: nothing is."`

	Rungs []Rung `json:"rungs,omitempty" doc:"Of a ladder, best first: it is no stream of its own, and has neither publisher nor segments."`
}

// Standby is a publisher that feeds what another server is fed, too.
type Standby struct {
	State string `json:"state" doc:"One of waiting (no server has the stream yet), seeking (where what comes is what that one is fed), in step (the same is made of it), silent (nothing comes from the encoder: it protects from nothing)."`
	// SilentSince is nil where it is not silent.
	SilentSince *time.Time `json:"silent_since,omitempty" doc:"When the newest frame came, of one that is silent; missing: it is not."`
	Node        string     `json:"node" doc:"The server that has the stream; empty: none is known."`
	From        uint64     `json:"from" doc:"The number of the first segment that was made here."`
	Same        uint64     `json:"same" doc:"How many segments were compared since, all of them the same on both."`
}

// Rung is a ladder's rung.
type Rung struct {
	Stream  string `json:"stream"`
	State   string `json:"state" doc:"One of in (viewers are offered it), away (it was in), waiting (nothing of it was listed yet), outside (it is a stream on its own)."`
	Outside string `json:"outside" doc:"Why it stands outside; empty: it does not."`
	Absent  string `json:"absent" doc:"Why the server does not make it now, where it makes the ladder; empty: it does."`
	Usual   bool   `json:"-"` // nothing is wrong where it is absent
}

// Input is what came of a stream in one second. What does not change from one second to the next is that of the newest frame.
type Input struct {
	At               int64   `json:"at" doc:"Its begin, seconds since 1970; 0: nothing was measured."`
	Bitrate          int     `json:"bitrate" doc:"Bits that came in it, without what transports add."`
	Pictures         int     `json:"pictures"`
	Sounds           int     `json:"sounds" doc:"Frames of audio."`
	KeyframeInterval float64 `json:"keyframe_interval" doc:"Seconds between the newest two; 0: not known."`
	Skew             float64 `json:"skew" doc:"Seconds by which sound is sent ahead of the picture; negative: behind it."`
	Jitter           float64 `json:"jitter" doc:"Seconds by which frames come unevenly, the mean of RFC 3550."`
	Behind           float64 `json:"behind" doc:"Seconds by which the media came later than its time stamps say since the publisher connected: it rises where the uplink or the encoder's clock is too slow."`
}

// Track says what became of the frames of one of a publisher's tracks, since it connected.
type Track struct {
	Kind     string           `json:"kind" doc:"One of video, audio."`
	Codec    string           `json:"codec,omitempty" doc:"One of h264, h265, aac, mp3; empty while none is known."`
	Received int64            `json:"received" doc:"Frames, and what should have been frames."`
	Written  int64            `json:"written" doc:"Of them, in segments."`
	Dropped  map[string]int64 `json:"dropped" doc:"Of them, by reason."`
}

// streams lists them by name.
func (s *Server) streams(w http.ResponseWriter, _ *http.Request) {
	list := []Stream{}
	if s.o.Streams != nil {
		list = append(list, s.o.Streams.Streams()...)
	}
	for i := range list {
		if list[i].Tracks == nil {
			list[i].Tracks = []Track{} // a list always, for those who read it
		}
	}
	slices.SortFunc(list, func(a, b Stream) int {
		if c := strings.Compare(a.App, b.App); c != 0 {
			return c
		}
		return strings.Compare(a.Name, b.Name)
	})
	answer := map[string]any{"streams": list}
	if s.o.Memory != nil {
		answer["memory"] = s.o.Memory.Memory()
	}
	writeJSON(w, http.StatusOK, answer)
}
