package cmaf

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/Eyevinn/dash-mpd/mpd"

	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/segmenter/cue"
	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
)

// broken is n rows of four seconds with a break of so long, ordered with the third.
func broken(t *testing.T, n int, lasts time.Duration) []segmenter.Row {
	t.Helper()
	all := rows(n)
	var b cue.Book
	if err := b.Order(cue.Break{ID: "ad", Number: all[2].Sequence, Duration: lasts}); err != nil {
		t.Fatal(err)
	}
	for i := range all {
		all[i].Cues, all[i].Running = b.Place(all[i].Sequence, all[i].Start)
	}
	return all
}

// message is the one of a row's cues.
func message(t *testing.T, row *segmenter.Row) []byte {
	t.Helper()
	d, err := m3u8.ParseDateRange(row.Cues)
	if err != nil {
		t.Fatal(err)
	}
	if d.Out != nil {
		return d.Out
	}
	return d.In
}

// A break goes out and comes back in the period where its rows are; it is told of as long as it runs, though they have left the window, from
// its own time on, or from that of the first period.
func TestBreaks(t *testing.T) {
	all := broken(t, 10, 12*time.Second) // out at 8 s, in at 20 s
	out, in := message(t, &all[2]), message(t, &all[5])
	begin := all[0].Start
	type event struct {
		at, lasts time.Duration
		signal    []byte
	}
	whole, back := event{8 * time.Second, 12 * time.Second, out}, event{20 * time.Second, 0, in}
	for name, c := range map[string]struct {
		rows  []segmenter.Row
		begin time.Time
		first bool
		want  []event
	}{
		"all of it":                       {all, begin, true, []event{whole, back}},
		"before it":                       {all[:2], begin, true, nil},
		"until it runs":                   {all[:4], begin, true, []event{whole}},
		"where its beginning has left":    {all[4:], begin, true, []event{whole, back}},
		"the same in a later period":      {all[4:], all[4].Start, false, []event{{4 * time.Second, 0, in}}},
		"from the first period's begin":   {all[4:], all[4].Start, true, []event{{0, 4 * time.Second, out}, {4 * time.Second, 0, in}}},
		"where it has come back":          {all[5:], all[5].Start, true, []event{{0, 0, in}}},
		"after it":                        {all[6:], begin, true, nil},
		"back a moment before the period": {all[5:], all[5].Start.Add(time.Millisecond), false, []event{{0, 0, in}}},
	} {
		got := breaks(c.rows, c.begin, c.first)
		if len(got) != len(c.want) {
			t.Errorf("%s: %+v", name, got)
			continue
		}
		for i, w := range c.want {
			if g := got[i]; g.At != w.at || g.Duration != w.lasts || !bytes.Equal(g.Signal, w.signal) || g.ID != eventID(map[bool]string{true: "out", false: "in"}[bytes.Equal(w.signal, out)], "ad") {
				t.Errorf("%s: event %d is %+v, want %+v", name, i, g, w)
			}
		}
	}
	other := rows(1)
	other[0].Cues = "#EXT-X-DATERANGE:ID=\"a\",START-DATE=\"2023-08-24T16:02:52.970Z\",DURATION=3.000\n#EXT-X-DATERANGE:broken\n"
	if got := breaks(other, begin, true); len(got) != 0 {
		t.Errorf("a date range without a message is %+v", got)
	}
}

// In a manifest the events stand in their periods, whatever else a period has, and the same event says the same in every manifest.
func TestManifestOfBreaks(t *testing.T) {
	all := broken(t, 10, 12*time.Second)
	all[4].Discontinuity = true
	for i := 5; i < len(all); i++ {
		all[i].DiscontinuitySequence = 1
	}
	manifest := func(from, to int, kind m3u8.Type) *mpd.MPD {
		t.Helper()
		var s []Stretch
		for _, run := range Split(all[from:to]) {
			c := coded()
			of := run[len(run)-1]
			c.Head.PTS = of.Start.UnixMilli() * 90 & (1<<33 - 1)
			s = append(s, Stretch{Rows: run, Config: c, Of: of, Begun: all[0].Start})
			if run[0].Sequence >= all[4].Sequence {
				s[len(s)-1].Begun = all[4].Start
			}
		}
		doc := Manifest{Begun: all[0].Start, Type: kind, TargetDuration: 4, EndList: kind == m3u8.VOD, Modified: all[to-1].End()}
		text := string(doc.Append(nil, []Line{{Variant: &m3u8.Variant{Codecs: "mp4a.40.2"}, Audio: true, Name: "cam", Stretches: s}}))
		m, err := mpd.ReadFromString(text)
		if err != nil {
			t.Fatalf("%v in %s", err, text)
		}
		if strings.Contains(text, "<EventStream") && strings.Index(text, "<EventStream") > strings.Index(text, "<AdaptationSet") && len(m.Periods) == 1 {
			t.Errorf("%s", text)
		}
		return m
	}
	at := func(m *mpd.MPD, period int) (list []uint64) {
		for _, s := range m.Periods[period].EventStreams {
			for _, e := range s.Events {
				list = append(list, e.PresentationTime, e.Duration)
			}
		}
		return list
	}
	for _, c := range []struct {
		from, to int
		kind     m3u8.Type
		want     [][]uint64
	}{
		{0, 10, m3u8.Sliding, [][]uint64{{8000, 12000}, {4000, 0}}},
		{3, 9, m3u8.Sliding, [][]uint64{{8000, 12000}, {4000, 0}}},
		{4, 9, m3u8.Sliding, [][]uint64{{0, 4000, 4000, 0}}},
		{3, 9, m3u8.VOD, [][]uint64{{0, 8000}, {4000, 0}}},
		{6, 9, m3u8.VOD, [][]uint64{nil}},
	} {
		m := manifest(c.from, c.to, c.kind)
		if len(m.Periods) != len(c.want) {
			t.Fatalf("%d periods", len(m.Periods))
		}
		for i, want := range c.want {
			if got := at(m, i); !slices.Equal(got, want) {
				t.Errorf("rows %d to %d, period %d: %v, want %v", c.from, c.to, i, got, want)
			}
		}
	}
}
