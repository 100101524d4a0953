package origin

import (
	"errors"
	"path"
	"strings"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
)

// keep puts the playlist of some rows of the stream's recording into the archive, under a name.
func (r *rig) keep(t *testing.T, stream, as string, id segmenter.RecordingID, first, last int) {
	t.Helper()
	all := tableOf(r.snapshot(stream))
	p, err := all.render(cutout{first: first, last: last, kind: m3u8.VOD, final: true}, all.dir)
	if err != nil {
		t.Fatal(err)
	}
	r.archive.put(t, segmenter.Name{Kind: segmenter.KindArchive, App: "live", Stream: as, Recording: id}.String(), p.Body)
	for _, row := range all.entries[first:last] {
		s := r.segment(stream, row.Sequence)
		r.archive.put(t, s[1:], r.get(s).body)
	}
}

// A clip of a recording that has been removed, and a split that has not its beginning, are CMAF and DASH by what is left: their own
// playlist, and the segments. An origin that has not rendered the playlist itself finds what it names.
func TestCMAFOfPartsOfARecording(t *testing.T) {
	r := newRig(t, Options{})
	r.serve()
	e := r.speak("cam", ingest.AAC)
	e.run(22 * time.Second) // the first segment has 2 s, the others 4 s
	track := *e.track
	track.PPS = [][]byte{{0x68, 0xeb, 0xe3, 0xcb, 0x22, 0xc0}}
	e.track = &track
	e.run(21 * time.Second)
	e.end()
	rows := r.snapshot("cam").Rows
	clip, split := r.snapshot("cam").Recording, segmenter.NewRecordingID(rows[7].Start)
	r.keep(t, "cam", "goal", clip, 3, 7)
	r.keep(t, "cam", "cam", split, 7, len(rows))
	for part, view := range map[string]string{
		"goal-" + string(clip): "", "cam-" + string(split): "",
		"goal-" + string(clip) + " later": "?start=" + rows[4].Start.UTC().Format("2006-01-02T15:04:05.000Z"),
	} {
		part, _, _ := strings.Cut(part, " ")
		cold := func() *rig {
			c := newRig(t, Options{Archive: r.archive})
			c.forgetful.Store(true)
			c.serve()
			return c
		}
		player := cold()
		var inits []string
		for p := range player.watch(t, "/live/streams/"+part+"_cmaf.m3u8"+view) {
			if strings.Contains(p, "/init-") {
				inits = append(inits, p)
			}
		}
		_, fetched := player.play(t, "/live/streams/"+part+".mpd"+view)
		if len(inits) < 2 || len(fetched) < 6 {
			t.Errorf("%s%s: %d init segments, %d objects of DASH", part, view, len(inits), len(fetched))
		}
		other := cold()
		for _, p := range append(inits, fetched...) {
			other.get(p).want(t, 200)
		}
		wrong := path.Dir(inits[0]) + "/init-00000000.mp4"
		other.get(wrong).want(t, 404)
		fail := errors.New("the archive is away")
		r.archive.fail.Store(&fail)
		other.get(path.Dir(inits[0])+"/init-00000001.mp4").want(t, 404) // which asks the archive for nothing
		r.archive.fail.Store(nil)
	}
}
