package scale

import "math"

// Bucket is what one stream, with all its rungs, asks of the bucket in a month.
type Bucket struct {
	Segments float64 `json:"segment_puts"` // with CMAF also fragments
	Live     float64 `json:"live_puts"`    // live.m3u8, once for each segment; with CMAF also those of its tracks, and the manifest
	Growing  float64 `json:"growing_puts"` // timestamped playlists
	Other    float64 `json:"other_puts"`   // entries, and the last write of each recording
	Gets     float64 `json:"gets"`         // of replays
	Claims   float64 `json:"claim_gets"`   // of servers that do not have the stream, to find out which has
	Others   float64 `json:"others_gets"`  // of segments, by those

	GB     float64 `json:"gb"`        // written
	Stored float64 `json:"stored_gb"` // when as much goes as comes

	PutPrice     float64 `json:"put_price"`     // dollars a month
	GetPrice     float64 `json:"get_price"`     // dollars a month
	StoragePrice float64 `json:"storage_price"` // dollars a month, as the share of all streams' storage
	PutsASecond  float64 `json:"puts_a_second"` // while it is on the air
}

// Puts is all of them.
func (b *Bucket) Puts() float64 { return b.Segments + b.Live + b.Growing + b.Other }

// Price is all of it, dollars a month.
func (b *Bucket) Price() float64 { return b.PutPrice + b.GetPrice + b.StoragePrice }

// tracks is how many of them CMAF is stored as: video and audio.
const tracks = 2

// bucket computes a stream's month. A day on the air is one recording, or the part of one that a timestamped playlist is for.
func (in *Input) bucket() (b Bucket) {
	d := float64(in.Segment)
	daily := in.Hours * 3600 / d // segments of a rung in a day
	playlists, fragments, entries := 1.0, 0.0, 2.0
	if in.Part > 0 {
		playlists, entries = playlists+1, entries+1 // live.m3u8 again under the name that low latency has
	}
	if in.CMAF {
		fragments, playlists = tracks, playlists+tracks+1 // and the manifest
	}
	for _, r := range in.Rates {
		size := r * 1e6 / 8 * d
		b.Segments += monthDays * daily * (1 + fragments)
		b.Live += monthDays * daily * playlists
		grown := float64(Growing(int(daily), size, d, 1))
		if in.CMAF {
			grown += (tracks + 2) * float64(Growing(int(daily), size, d, tracks))
		}
		b.Growing += monthDays * grown
		b.Other += monthDays * (entries + playlists)
	}
	if len(in.Rates) > 1 {
		b.Other += monthDays * (entries + 1) // the ladder's own
	}
	if in.CMAF {
		b.Other += monthDays * in.rungs() // the entry
	}
	b.GB = in.all() * in.month() / 8000
	if in.CMAF {
		b.GB *= 2
	}
	b.Stored = b.GB / monthDays * in.Kept
	b.Gets = in.Replays * monthDays * daily * in.rungs()
	b.Claims, b.Others = in.elsewhere()
	b.PutPrice, b.GetPrice = b.Puts()/1000*in.Prices.Put, (b.Gets+b.Claims+b.Others)/1000*in.Prices.Get
	b.StoragePrice = cost(in.Prices.Storage, b.Stored*in.Streams) / in.Streams
	b.PutsASecond = b.Puts() / in.month()
	return b
}

// Claims returns how often a server that does not have a stream reads whose it is in a second, where it is asked for media of it so often: each
// time, and once a second at most. Playlists need no more than that: one request at the server that has the stream waits for the next.
func Claims(asked float64) float64 { return min(asked, 1) }

// elsewhere is what a month of a stream makes servers read that do not have it: claims, of each rung its own, and segments. Parts come from the
// server that has the stream.
func (in *Input) elsewhere() (claims, segments float64) {
	levels := in.levels()
	media := levels[len(levels)-1].Media / in.Streams / in.rungs() / in.Servers // that one server is asked for of one rung in a second
	of := (in.Servers - 1) * in.rungs() * in.month()
	if claims = of * Claims(media); in.Part == 0 {
		segments = of * media
	}
	return claims, segments
}

// A growing timestamped playlist is written again when media of growShare times its size has come in since, or when a segment has waited for
// growLag seconds. Beyond growPlain bytes it is stored compressed, and without sizes and checksums. The mirror decides so; a test holds
// these to it.
const (
	growShare = 400
	growLag   = 270
	growPlain = 64 << 10

	growHead  = 160 // bytes before the first row
	growRow   = 138 // of a row with size and checksum
	growSmall = 5.7 // of a row without, compressed, of the most regular media: others are written less often
)

// Growing returns how often the timestamped playlist of n segments is written, of bytes and d seconds each, the last time included, where
// lists of them are written together, whose sizes add up.
func Growing(n int, bytes, d float64, lists float64) (writes int) {
	size, fresh, waited, listed := 0.0, 0.0, math.Inf(1), 0
	write := func(upTo int) {
		writes++
		size = lists * (growHead + growRow*float64(upTo))
		if size > lists*growPlain {
			size = lists * (growHead + growSmall*float64(upTo))
		}
		fresh, waited, listed = 0, math.Inf(1), upTo
	}
	for i := 1; i <= n; i++ {
		now := float64(i) * d
		if waited+growLag <= now {
			write(i - 1)
		}
		fresh, waited = fresh+bytes, math.Min(waited, now)
		if listed == 0 || fresh >= growShare*size {
			write(i)
		}
	}
	return writes + 1 // with ENDLIST
}
