package scale

import "math"

// Level is what passes between two places on the way from the origin to the viewers.
type Level struct {
	From      string  `json:"from"`
	To        string  `json:"to"`
	Playlists float64 `json:"playlists"` // requests a second
	Media     float64 `json:"media"`     // requests a second: segments, or parts
	Gbps      float64 `json:"gbps"`      // of media
}

// Requests is all of a second, playlists and media.
func (l *Level) Requests() float64 { return l.Playlists + l.Media }

// rates are what one viewer asks for in a second: playlists, and segments or parts.
func (in *Input) rates() (playlists, media float64) {
	if in.Part > 0 {
		return 1 / float64(in.Part), 1 / float64(in.Part)
	}
	return 1 / in.target(), 1 / float64(in.Segment)
}

// levels go from the viewers to the origin.
//
// A cache asks for what is missing: a segment once, if anybody behind it watches; a playlist when the copy is older than its age, which is
// λ ÷ (1 + λ·H) a second for λ requests a second. A playlist of low latency has a name of its own for each part, and is like a segment.
func (in *Input) levels() []Level {
	playlists, media := in.rates()
	all := []Level{{"viewers", "CDN", in.Viewers * playlists, in.Viewers * media, in.Viewers * in.mean() / 1000}}
	objects := in.Streams * in.rungs()
	viewers := in.Viewers / objects
	asked := viewers * playlists // requests a second for one playlist, all caches together
	ask := func(from, to string, caches float64) {
		watched := caches * (1 - math.Exp(-viewers/caches)) // caches that have a viewer of it behind them
		each := asked / caches
		if in.Part > 0 {
			asked = watched * playlists
		} else {
			asked = caches * each / (1 + each*in.age())
		}
		all = append(all, Level{from, to, objects * asked, objects * watched * media, in.Streams * in.all() * watched / 1000})
	}
	next := "origin"
	if in.Shield {
		next = "shield"
	}
	if in.Regions > 0 {
		ask("locations", "regional caches", in.Edges)
		ask("regional caches", next, in.Regions)
	} else {
		ask("locations", next, in.Edges)
	}
	if in.Shield {
		ask("shield", "origin", 1)
	}
	return all
}
