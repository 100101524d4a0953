package main

import (
	"github.com/hlsorigin/hlsorigin/origin/admin"
	"github.com/hlsorigin/hlsorigin/segmenter"
)

// status shows the registry to the admin side.
type status struct {
	reg    *segmenter.Registry
	unsent func(segmenter.Key, segmenter.RecordingID) int64 // bytes that the bucket has not confirmed
}

// Streams implements admin.Streams: the newest recording of each stream.
func (s status) Streams() []admin.Stream {
	var list []admin.Stream
	for _, t := range s.reg.Timelines() {
		if s.reg.Timeline(t.Key().App, t.Key().Stream) != t {
			continue
		}
		list = append(list, s.stream(t.Snapshot()))
	}
	return list
}

func (s status) stream(snap *segmenter.Snapshot) admin.Stream {
	started, _ := snap.Recording.Time()
	v := admin.Stream{
		App: snap.App, Name: snap.Stream, State: snap.State.String(), Recording: string(snap.Recording),
		Started: started, LastFrame: snap.LastFrame,
		Play:    segmenter.Name{Kind: segmenter.KindEntry, App: snap.App, Stream: snap.Stream}.String(),
		Archive: segmenter.Name{Kind: segmenter.KindArchive, App: snap.App, Stream: snap.Stream, Recording: snap.Recording}.String(),
		Codecs:  snap.Variant.Codecs, Width: snap.Variant.Width, Height: snap.Variant.Height, FrameRate: snap.Variant.FrameRate,
		Bitrate: snap.Variant.AverageBandwidth, TargetDuration: snap.TargetDuration, Segments: snap.Next(),
	}
	if p, ok := s.reg.Publisher(snap.Key); ok {
		v.Protocol, v.Remote, v.LastFrame = p.Protocol, p.Remote, p.LastFrame
	}
	if s.unsent != nil {
		v.Unsent = s.unsent(snap.Key, snap.Recording)
	}
	for i := range snap.Entries {
		if snap.Entries[i].Gap {
			v.Gaps++
		}
	}
	return v
}
