package hooks

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/configs"
	"github.com/hlsorigin/hlsorigin/origin/webhook"
	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/segmenter/variant"
	"github.com/hlsorigin/hlsorigin/segmenter/watch"
	"github.com/hlsorigin/hlsorigin/storage/claim"
	"github.com/hlsorigin/hlsorigin/storage/gate"
	"github.com/hlsorigin/hlsorigin/storage/library"
	"github.com/hlsorigin/hlsorigin/storage/mirror"
	"github.com/hlsorigin/hlsorigin/test/docs"
)

var updateDocs = flag.Bool("update", false, "rewrite what is generated")

// example is one event as documented: its description, and what causes it.
type example struct {
	typ, says string
	happen    func(h *Hooks)
}

// examples returns all events in the order of the documentation.
func examples() []example {
	key, id := segmenter.Key{App: "live", Stream: "cam"}, segmenter.RecordingID("2026-11-28_18-00-00.000")
	snapshot := func(state segmenter.State) *segmenter.Snapshot {
		return &segmenter.Snapshot{Key: key, Recording: id, State: state, Variant: variant.Variant{Codecs: "avc1.64001f,mp4a.40.2", Width: 1280, Height: 720}}
	}
	publisher := &segmenter.Publisher{Protocol: "rtmp", Remote: "192.0.2.7:51234"}
	change := func(kind watch.Kind, state segmenter.State, p *segmenter.Publisher) func(*Hooks) {
		return func(h *Hooks) { h.stream(watch.Change{Kind: kind, Snapshot: snapshot(state), Publisher: p}) }
	}
	notice := func(n mirror.Notice) func(*Hooks) {
		return func(h *Hooks) {
			if n.Kind <= mirror.SegmentsLost {
				n.Key, n.Recording = key, id
			}
			h.Archive(n)
		}
	}
	over := func(typ, state, status string, more func(*webhook.Job)) func(*Hooks) {
		return func(h *Hooks) {
			j := webhook.Job{
				ID: "4-20261128180000000-k3q5vh7w", State: state, Status: status, Kind: "adaptive_video", Input: "s3://media/uploads/lecture.mov", Output: "s3://media/vod/lecture/", Tries: 1,
				Metadata: map[string]string{"course": "42"}, Created: time.Date(2026, 11, 28, 18, 0, 0, 0, time.UTC),
			}
			if typ != webhook.JobStarted {
				j.Finished = j.Created.Add(20 * time.Minute)
			}
			if more != nil {
				more(&j)
			}
			if err := h.Keep(context.Background(), "evt_example", typ, time.Now(), j); err != nil {
				panic(err)
			}
		}
	}
	row := segmenter.Row{Sequence: 42, Duration: 4 * segmenter.Clock, Size: 1503248}
	return []example{
		{webhook.StreamStarted, "The first segment is complete: viewers can watch. `play` is the path of the stable entry on the origin; `started` is when the first frame " +
			"came. A ladder has events of its own, with `ladder` true and no publisher, beside those of its rungs.", change(watch.Started, segmenter.Live, publisher)},
		{webhook.StreamStalled, "Nothing comes for three seconds, or the publisher is gone; it may return within its grace. After a restart of the server each stream that it " +
			"took up is stalled until its publisher is back, whether it was stalled before or not.", change(watch.Stalled, segmenter.Stalled, nil)},
		{webhook.StreamResumed, "Input comes again, in the same recording.", change(watch.Resumed, segmenter.Live, publisher)},
		{webhook.StreamEnded, "The recording is over. Whatever comes under the name later is another, with another `stream.started`.", change(watch.Ended, segmenter.Ended, nil)},
		{webhook.RecordingStarted, "The first segment is on its way to the bucket. The numbers are still 0.", notice(mirror.Notice{Kind: mirror.RecordingStarted, Archive: id})},
		{webhook.RecordingCompleted, "The timestamped playlist at `archive` is final, and every store (bucket and replica) has it and all that it names. " +
			"A channel that never ends has one of these for each `hls.archive_split`. `gaps` of its `segments` are lost; `duration` is in seconds.",
			notice(mirror.Notice{Kind: mirror.RecordingCompleted, Archive: id, Segments: 900, Gaps: 1, Duration: 3600 * segmenter.Clock, Bytes: 1352923200})},
		{webhook.RecordingGap, "Segments are lost: the archive has EXT-X-GAP in their place. `sequence` is the first; where more follow within ten seconds, the next event counts them in `segments`. " +
			"With `target`, that store alone lacks them.", notice(mirror.Notice{Kind: mirror.SegmentsLost, Row: row, Lost: 1, Reason: "the spool is full"})},
		{webhook.RecordingStoodDown, "Another server has the stream in the store `target`: the playlists of this recording are not written there any more. See [operations.md](operations.md#two-servers-on-one-bucket).",
			notice(mirror.Notice{Kind: mirror.StoodDown, Key: key, Recording: id, Target: "bucket", Reason: "the server origin2-qk3v5h7w2m has the stream"})},
		{webhook.SegmentUploaded, "A store confirmed a segment. `path` is its name on the origin and, below the prefix, in the bucket. There are very many of these: only those get them " +
			"who name the type in full.", notice(mirror.Notice{Kind: mirror.SegmentUploaded, Target: "bucket", Row: row})},
		{webhook.ClipReady, "A [clip](api.md#clips) is in the bucket. `start` and `end` are its own: it is cut at segments, and begins and ends no later and no earlier than was asked for. " +
			"`stream` and `recording` are what it is of; `name` is what the API calls it, `playlist` its path.", func(h *Hooks) {
			began := time.Date(2026, 11, 28, 18, 0, 2, 0, time.UTC)
			h.Clip(&library.Clip{App: "live", Title: "goal", Stream: "cam", Recording: id, Start: began, End: began.Add(24 * time.Second), Duration: library.Seconds(24 * time.Second), Segments: 6, Bytes: 9019488})
		}},
		{webhook.UploadFailing, "A store takes nothing; all is kept and tried again. With `act` true it refuses for good (no such bucket, no permission), and somebody has to do something. " +
			"`segments` and `bytes` are what it does not have yet.", notice(mirror.Notice{Kind: mirror.UploadsFailing, Target: "bucket", Reason: "put live/streams/cam/…: AccessDenied", Permanent: true, Segments: 12, Bytes: 18038976})},
		{webhook.UploadHealed, "It takes everything again; `segments` and `bytes` are still to come.", notice(mirror.Notice{Kind: mirror.UploadsHealed, Target: "bucket", Segments: 12, Bytes: 18038976})},
		{webhook.NodeTakeover, "In a cluster, this server goes on with a recording that the server `from` had: that one is not reached, or has lost its publisher, as `reason` says. `sequence` is the number of the first segment from here, which follows a discontinuity. See [cluster.md](cluster.md).",
			func(h *Hooks) {
				h.Took(gate.Taken{Key: key, Recording: id, From: claim.Claim{Epoch: 3, Node: "a", Address: "http://10.0.0.1:5083"}, Next: 1042, Why: "no server answers there", Lasted: 180 * time.Millisecond})
			}},
		{webhook.JobStarted, "A try at a [job](vod.md) begins on some server. `status` is what AWS Elemental MediaConvert calls its states: `SUBMITTED`, `PROGRESSING`, `COMPLETE`, `CANCELED`, `ERROR`. " +
			"The events of one job come in order where one server sends them; `metadata` is what it was ordered with.", over(webhook.JobStarted, "running", "PROGRESSING", nil)},
		{webhook.JobSucceeded, "The package is whole: `playlist` can be played. `duration` of the media is in seconds, `rungs` are the best first, `notes` say what was decided and may surprise. " +
			"Of one job's end the `id` is always the same, however often it is sent, and by whichever server.", over(webhook.JobSucceeded, "succeeded", "COMPLETE", func(j *webhook.Job) {
			j.Playlist, j.Duration, j.Rungs, j.Bytes = j.Output+"master.m3u8", 3600.04, []string{"1080p", "720p", "480p"}, 3382308000
		})},
		{webhook.JobFailed, "There is no package, nothing of it is left, and there will be no other try. `code` is one of a fixed set (see [vod.md](vod.md)), `reason` is for people.",
			over(webhook.JobFailed, "failed", "ERROR", func(j *webhook.Job) { j.Code, j.Reason = "not_media", "it is no media file that is known" })},
		{webhook.JobCanceled, "Somebody wanted it to end: there is no package, and nothing of it is left.", over(webhook.JobCanceled, "canceled", "CANCELED", nil)},
		{webhook.DiskLow, "The spool's disk fails, or what no store has takes 80 % of `spool.max_bytes`: when it is full the oldest is given up.",
			notice(mirror.Notice{Kind: mirror.SpoolLow, Reason: "what no bucket has fills the spool: when it is full the oldest is given up", Bytes: 17179869184})},
	}
}

// sent returns what an example sends, with the ID and the time of the documentation.
func sent(t *testing.T, x *example) []byte {
	t.Helper()
	h, err := New(configs.Default(), "test", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	events := h.Subscribe(ctx, "")
	x.happen(h)
	for e := range events {
		if e.Type != x.typ || time.Since(e.Time) > time.Minute {
			t.Errorf("%s sends %s of %v", x.typ, e.Type, e.Time)
		}
		body := bytes.Replace(e.Body, []byte(e.ID), []byte("evt_K7QFZ5M2W4XJ6T3B9RHCNDYPAL"), 1)
		at, err := json.Marshal(e.Time)
		if err != nil {
			t.Fatal(err)
		}
		body = bytes.Replace(body, at, []byte(`"2026-11-28T18:00:04.12Z"`), 1)
		var out bytes.Buffer
		if err := json.Indent(&out, body, "", "  "); err != nil {
			t.Fatal(err)
		}
		return out.Bytes()
	}
	t.Fatalf("%s sends nothing", x.typ)
	return nil
}

// TestDocumentationShowsEveryEvent keeps the events in docs/hooks.md equal to what is sent; -update rewrites them.
func TestDocumentationShowsEveryEvent(t *testing.T) {
	var b strings.Builder
	var types []string
	for _, x := range examples() {
		types = append(types, x.typ)
		fmt.Fprintf(&b, "### %s\n\n%s\n\n```json\n%s\n```\n\n", x.typ, x.says, sent(t, &x))
	}
	for _, typ := range webhook.Types() {
		if !slices.Contains(types, typ) {
			t.Errorf("%s has no example", typ)
		}
	}
	docs.Section(t, "../../../docs/hooks.md", "<!-- events -->", "<!-- end of events -->", "\n"+b.String(), *updateDocs)
}

// The configuration knows the types that are sent, and no others.
func TestConfigurationKnowsEveryType(t *testing.T) {
	a, b := slices.Sorted(slices.Values(webhook.Types())), slices.Sorted(slices.Values(configs.Events()))
	if !slices.Equal(a, b) {
		t.Errorf("sent are %q, the configuration knows %q", a, b)
	}
}
