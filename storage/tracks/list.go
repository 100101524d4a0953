package tracks

import (
	"strings"

	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/segmenter/cmaf"
	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
)

// List is what the playlists of a recording's tracks are made of.
type List struct {
	segmenter.Key
	Recording      segmenter.RecordingID
	Rows           []segmenter.Row // at least one; what the store does not have is a gap
	Codings        []Coding        // of each row
	TargetDuration int             // seconds
	EndList        bool
	Origin         Origin // of the first stretch, where that matters: to a manifest
}

// Live is the rolling playlist of a track.
func (l *List) Live(t segmenter.Track) Object {
	m := cmaf.Media{TargetDuration: l.TargetDuration, EndList: l.EndList, Track: t}
	n := segmenter.Name{Kind: segmenter.KindTrackLive, App: l.App, Stream: l.Stream, Recording: l.Recording, Track: t}
	return Object{n, m.Append(nil, l.stretches()), attributes(n, l.TargetDuration, l.EndList)}
}

// Archive is the timestamped playlist of a track. It is in the folder of the recording, also where it is that of a later split.
func (l *List) Archive(id segmenter.RecordingID, t segmenter.Track) Object {
	m := cmaf.Media{Type: m3u8.Event, TargetDuration: l.TargetDuration, EndList: l.EndList, Track: t}
	if l.EndList {
		m.Type = m3u8.VOD
	}
	n := segmenter.Name{Kind: segmenter.KindTrackArchive, App: l.App, Stream: l.Stream, Recording: l.Recording, Track: t, Archive: id}
	return Object{n, m.Append(nil, l.stretches()), attributes(n, l.TargetDuration, l.EndList)}
}

// Has reports whether any row has something of a track.
func (l *List) Has(t segmenter.Track) bool {
	for i := range l.Codings {
		if l.Codings[i].Of(t) != 0 && !l.Rows[i].Gap {
			return true
		}
	}
	return false
}

// Config is how the newest row is coded of which there is anything, with head, which reads the head of a row's segment. What it lacks of a
// track, as the last before a break may, is that of the last row that lacks nothing. It is nil where there is no row.
func (l *List) Config(head func(row *segmenter.Row) (*cmaf.Config, error)) (c *cmaf.Config, err error) {
	for i := len(l.Rows) - 1; i >= 0; i-- {
		if l.Rows[i].Gap || c != nil && (l.Codings[i].Video == Hollow || l.Codings[i].Audio == Hollow) {
			continue
		}
		of, err := head(&l.Rows[i])
		if err != nil {
			return nil, err
		}
		filled := c != nil
		if c = c.Fill(of); filled || c == nil || !c.Head.Lacks {
			break
		}
	}
	return c, nil
}

// Master is the multivariant playlist over the timestamped playlists of the tracks; c is how the newest row is coded. The error is a
// *cmaf.NoForm.
func (l *List) Master(id segmenter.RecordingID, c *cmaf.Config) (Object, error) {
	n := segmenter.Name{Kind: segmenter.KindCMAFArchive, App: l.App, Stream: l.Stream, Recording: id}
	m := cmaf.Measured(l.Stream+"-"+string(id)+".m3u8", l.Rows, c)
	err := Tracks(m, l.App, l.Recording)
	return Object{n, m.Append(nil), attributes(n, l.TargetDuration, l.EndList)}, err
}

// Tracks is cmaf.Tracks for a store, where the timestamped playlists of a recording's tracks are in its folder, also those of later splits.
func Tracks(m *m3u8.Master, app string, id segmenter.RecordingID) error {
	if err := cmaf.Tracks(m, app); err != nil {
		return err
	}
	home := func(uri *string) {
		prefix := app + "/streams/"
		if n, ok := segmenter.ParseName(prefix + *uri); ok && n.Kind == segmenter.KindTrackArchive {
			n.Recording = id
			*uri = strings.TrimPrefix(n.String(), prefix)
		}
	}
	for i := range m.Variants {
		home(&m.Variants[i].URI)
	}
	for i := range m.Renditions {
		home(&m.Renditions[i].URI)
	}
	return nil
}

// stretches divides the rows where a discontinuity is, where an init segment changes, and where a track comes or goes. A fragment with
// nothing in it changes nothing, but where it is the last: it ends its track.
func (l *List) stretches() (all []cmaf.Stretch) {
	for from := 0; from < len(l.Rows); {
		to := from + 1
		for to < len(l.Rows) && !l.Rows[to].Discontinuity {
			to++
		}
		all = append(all, divide(l.Rows[from:to], l.Codings[from:to])...)
		from = to
	}
	return all
}

// divide divides rows without a discontinuity.
func divide(rows []segmenter.Row, codings []Coding) (all []cmaf.Stretch) {
	shown := known(rows, codings)
	from := 0
	for i := 1; i <= len(rows); i++ {
		if i == len(rows) || shown[i] != shown[from] {
			all = append(all, cmaf.Stretch{Rows: rows[from:i], Config: cmaf.Named(shown[from].Video, shown[from].Audio)})
			from = i
		}
	}
	if last := len(rows) - 1; !rows[last].Gap {
		c := codings[last]
		all[len(all)-1].Last = cmaf.Named(c.shown())
	}
	return all
}

// shown are the init segments that the segment itself has.
func (c Coding) shown() (video, audio uint32) {
	if video = c.Video; video == Hollow {
		video = 0
	}
	if audio = c.Audio; audio == Hollow {
		audio = 0
	}
	return video, audio
}

// known is what the rows are listed with: gaps and hollow fragments as what stands beside them, before them where that is known.
func known(rows []segmenter.Row, codings []Coding) []Coding {
	out := make([]Coding, len(rows))
	track := func(of func(*Coding) *uint32) {
		var last uint32
		begun := false
		for i := range rows {
			c := *of(&codings[i])
			if !rows[i].Gap && c != Hollow {
				if last = c; !begun {
					for j := range i { // nothing was known before it
						*of(&out[j]) = c
					}
				}
				begun = true
			}
			*of(&out[i]) = last
		}
	}
	track(func(c *Coding) *uint32 { return &c.Video })
	track(func(c *Coding) *uint32 { return &c.Audio })
	return out
}
