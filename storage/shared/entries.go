package shared

import "github.com/hlsorigin/hlsorigin/segmenter"

// Entries are the names of a stream's stable entry, that of its low-latency entry the last.
func Entries(k segmenter.Key) []segmenter.Name {
	return []segmenter.Name{
		{Kind: segmenter.KindEntry, App: k.App, Stream: k.Stream}, {Kind: segmenter.KindEntry, App: k.App, Stream: k.Stream, Adaptive: true},
		{Kind: segmenter.KindLowLatencyEntry, App: k.App, Stream: k.Stream},
	}
}

// TrackEntry is the name of a stream's stable entry over tracks.
func TrackEntry(k segmenter.Key) segmenter.Name {
	return segmenter.Name{Kind: segmenter.KindCMAFEntry, App: k.App, Stream: k.Stream}
}

// TrackEntries are the names of a stream's entries over tracks: the multivariant playlist, and the manifest.
func TrackEntries(k segmenter.Key) []segmenter.Name {
	return []segmenter.Name{TrackEntry(k), {Kind: segmenter.KindDASHEntry, App: k.App, Stream: k.Stream}}
}
