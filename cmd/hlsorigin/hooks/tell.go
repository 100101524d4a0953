package hooks

import (
	"time"

	"github.com/hlsorigin/hlsorigin/origin/webhook"
	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/segmenter/watch"
	"github.com/hlsorigin/hlsorigin/storage/gate"
	"github.com/hlsorigin/hlsorigin/storage/library"
	"github.com/hlsorigin/hlsorigin/storage/mirror"
)

// stream emits a change of a stream or a ladder.
func (h *Hooks) stream(c watch.Change) {
	s := c.Snapshot
	d := webhook.Stream{
		Of: of(s.Key, s.Recording), Ladder: c.Ladder, Play: segmenter.Name{Kind: segmenter.KindEntry, App: s.App, Stream: s.Stream}.String(),
		Codecs: s.Variant.Codecs, Width: s.Variant.Width, Height: s.Variant.Height,
	}
	d.Started, _ = s.Recording.Time()
	if c.Publisher != nil {
		d.Protocol, d.Remote = c.Publisher.Protocol, c.Publisher.Remote
	}
	typ := webhook.StreamStarted
	switch c.Kind {
	case watch.Started:
	case watch.Stalled:
		typ, d.Reason = webhook.StreamStalled, silence(c)
	case watch.Resumed:
		typ = webhook.StreamResumed
	case watch.Ended:
		typ = webhook.StreamEnded
	}
	h.Emit(typ, d)
}

// silence says why there is no input.
func silence(c watch.Change) string {
	switch {
	case c.Restored:
		return "the server started again and waits for the publisher"
	case c.Ladder:
		return "no rung has input"
	case c.Publisher == nil:
		return "the publisher is gone"
	}
	return "the publisher sends nothing"
}

func of(k segmenter.Key, id segmenter.RecordingID) webhook.Of {
	return webhook.Of{App: k.App, Stream: k.Stream, Recording: string(id)}
}

// Clip tells that a clip is in the bucket.
func (h *Hooks) Clip(c *library.Clip) {
	h.Emit(webhook.ClipReady, webhook.Clip{
		Of: webhook.Of{App: c.App, Stream: c.Stream, Recording: string(c.Recording)}, Name: c.Title + "-" + string(c.Recording), Playlist: c.Key(),
		Start: c.Start, End: c.End, Duration: time.Duration(c.Duration).Seconds(), Segments: c.Segments, Gaps: c.Gaps, Bytes: c.Bytes,
	})
}

// Archive emits an event from the way to the bucket. It never waits.
func (h *Hooks) Archive(n mirror.Notice) {
	switch r := of(n.Key, n.Recording); n.Kind {
	case mirror.RecordingStarted:
		h.Emit(webhook.RecordingStarted, recording(r, &n))
	case mirror.RecordingCompleted:
		h.Emit(webhook.RecordingCompleted, recording(r, &n))
	case mirror.SegmentUploaded:
		if !h.Wanted(webhook.SegmentUploaded) {
			return
		}
		h.Emit(webhook.SegmentUploaded, webhook.Segment{
			Of: r, Target: n.Target, Sequence: n.Row.Sequence, Duration: seconds(n.Row.Duration), Bytes: n.Row.Size,
			Path: segmenter.Name{Kind: segmenter.KindSegment, App: r.App, Stream: r.Stream, Recording: n.Recording, Sequence: n.Row.Sequence}.String(),
		})
	case mirror.SegmentsLost:
		h.Emit(webhook.RecordingGap, webhook.Gap{Of: r, Sequence: n.Row.Sequence, Segments: n.Lost, Target: n.Target, Reason: n.Reason})
	case mirror.StoodDown:
		h.Emit(webhook.RecordingStoodDown, webhook.StoodDown{Of: r, Target: n.Target, Reason: n.Reason})
	case mirror.UploadsFailing:
		h.Emit(webhook.UploadFailing, webhook.Upload{Target: n.Target, Error: n.Reason, Act: n.Permanent, Segments: n.Segments, Bytes: n.Bytes})
	case mirror.UploadsHealed:
		h.Emit(webhook.UploadHealed, webhook.Upload{Target: n.Target, Segments: n.Segments, Bytes: n.Bytes})
	case mirror.SpoolLow:
		h.Emit(webhook.DiskLow, webhook.Disk{Reason: n.Reason, Unsent: n.Bytes, MaxBytes: int64(h.spool.MaxBytes.Bytes())})
	}
}

// Took emits an event about a recording that another server had. It never waits.
func (h *Hooks) Took(t gate.Taken) {
	h.Emit(webhook.NodeTakeover, webhook.Takeover{
		Of: of(t.Key, t.Recording), From: t.From.Node, Address: t.From.Address, Sequence: t.Next, Took: t.Lasted.Seconds(), Reason: t.Why,
	})
}

func recording(r webhook.Of, n *mirror.Notice) webhook.Recording {
	return webhook.Recording{
		Of: r, Archive: segmenter.Name{Kind: segmenter.KindArchive, App: r.App, Stream: r.Stream, Recording: n.Archive}.String(),
		Segments: n.Segments, Gaps: n.Gaps, Duration: seconds(n.Duration), Bytes: n.Bytes,
	}
}

// seconds converts 90 kHz ticks to seconds.
func seconds(ticks int64) float64 { return float64(ticks) / segmenter.Clock }
