package clips

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/origin/admin/api"
	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
	"github.com/hlsorigin/hlsorigin/test/rig"
)

// ranges are the date ranges of a playlist, in their order.
func ranges(body string) (list []string) {
	for line := range strings.Lines(body) {
		if strings.HasPrefix(line, "#EXT-X-DATERANGE:") && !slices.Contains(list, line) {
			list = append(list, line)
		}
	}
	return list
}

// TestAdBreak begins an ad break, kills the server in the middle of it, and finds both of its ends in live, time-shifted, stored and
// clipped playlists.
func TestAdBreak(t *testing.T) {
	t.Parallel()
	rig.Need(t, "ffmpeg")
	v := rig.NewVault(t)
	p := rig.Serve(t, t.TempDir(), rig.Brisk+v.YAML())
	camera := rig.Shoot(t, p, "cam")
	rig.Eventually(t, 60*time.Second, "the show is on", func() bool { return p.Streams()["cam"].Segments >= 2 })
	id := p.RecordingOf("cam")
	var ordered struct {
		ID       string
		Sequence uint64
	}
	order := map[string]float64{"duration_seconds": 9}
	if status, says := ask(t, p, "POST", "/v1/streams/live/cam/cue", order, &ordered); status != 200 || ordered.ID == "" {
		t.Fatalf("%d %s", status, says)
	}
	if status, says := ask(t, p, "POST", "/v1/streams/live/cam/cue", order, nil); status != 409 {
		t.Errorf("a second one: %d %s", status, says)
	}
	live := p.URL(rig.LiveKey("cam", id))
	rig.Eventually(t, 30*time.Second, "it has gone out", func() bool { return len(ranges(rig.TryGet(live))) == 1 })
	out := ranges(rig.TryGet(live))
	rig.Eventually(t, 30*time.Second, "it is in the bucket", func() bool {
		body, _, _ := v.Get(rig.LiveKey("cam", id))
		return slices.Equal(ranges(string(body)), out)
	})
	p.Kill()
	p.Start()
	rig.Eventually(t, 60*time.Second, "the programme is back", func() bool {
		return strings.Contains(rig.TryGet(live), "SCTE35-IN")
	})
	camera.Stop()
	rig.Eventually(t, 40*time.Second, "it is over", func() bool { return p.Streams()["cam"].State == "ended" })
	v.WaitFinished("cam", id, 40*time.Second)

	body, _, _ := v.Get(rig.ArchiveKey("cam", id))
	both := ranges(string(body))
	if len(both) != 2 || both[0] != out[0] {
		t.Fatalf("in the bucket: %q, live %q", both, out)
	}
	begin, err := m3u8.ParseDateRange(both[0])
	if err != nil || begin.ID != ordered.ID || begin.Planned != 9*time.Second || begin.Out == nil {
		t.Errorf("%+v, %v", begin, err)
	}
	end, err := m3u8.ParseDateRange(both[1])
	if err != nil || end.ID != ordered.ID || !end.Start.Equal(begin.Start) || end.Duration < 8900*time.Millisecond || end.In == nil {
		t.Errorf("%+v, %v", end, err)
	}
	if got := ranges(p.Get(p.URL(rig.ArchiveKey("cam", id)))); !slices.Equal(got, both) {
		t.Errorf("the timestamped playlist of the origin: %q", got)
	}
	within := begin.Start.Add(1500 * time.Millisecond)
	if got := ranges(p.Get(p.URL(rig.EntryKey("cam") + "?start=" + within.Format("2006-01-02T15:04:05Z")))); len(got) != 0 {
		t.Errorf("a multivariant playlist has %q", got)
	}
	if got := ranges(p.Get(p.URL(rig.ArchiveKey("cam", id) + "?start=" + within.Format("2006-01-02T15:04:05Z")))); !slices.Equal(got, both) {
		t.Errorf("time-shifted into it: %q, wanted %q", got, both)
	}
	var c api.Clip
	o := api.ClipOrder{App: "live", Stream: "cam", Start: within, End: begin.Start.Add(3 * time.Second), Name: "ad"}
	if status, says := ask(t, p, "POST", "/v1/clips", o, &c); status != 200 {
		t.Fatalf("%d %s", status, says)
	}
	if got := ranges(p.Get(p.URL(c.Playlist))); !slices.Equal(got, out) {
		t.Errorf("a clip of it: %q", got)
	}
	v.Verify("cam", id, strings.Count(string(body), "#EXT-X-GAP")) // a server that is killed may lose a segment
}
