package metadata

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"math"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
	"github.com/hlsorigin/hlsorigin/test/browser"
	"github.com/hlsorigin/hlsorigin/test/rig"
)

// splices is what each player's page does to note the messages of SCTE 35 that the player tells of: when they are due, in seconds of the
// presentation, and how long they last.
var splices = map[string]string{
	"shaka": `window.events = [], player.addEventListener("timelineregionadded", ({ detail: r }) => r.schemeIdUri.includes("scte35") &&
		events.push({At: r.startTime, Lasts: r.endTime - r.startTime, Signal: r.eventNode.children[0].children[0].children[0]})), true`,
	"dash.js": `window.events = [], player.on("urn:scte:scte35:2014:xml+bin", (e) =>
		events.push({At: e.event.calculatedPresentationTime, Lasts: e.event.duration || 0, Signal: btoa(String.fromCharCode(...e.event.messageData))})), true`,
}

// TestPlayersOfDASHFindAdBreaks orders an ad break while players of DASH watch: each tells of both of its ends, when they are, with the
// messages that HLS has.
func TestPlayersOfDASHFindAdBreaks(t *testing.T) {
	t.Parallel()
	b := browser.Start(t, "shaka-player", "dashjs")
	p := rig.Serve(t, t.TempDir(), rig.Brisk)
	rig.Shoot(t, p, "cam")
	entry := p.URL("live/streams/cam.mpd")
	rig.Eventually(t, 30*time.Second, "the stream is there", func() bool { return p.Status(entry) == 200 })
	id := p.RecordingOf("cam")
	begun, _ := segmenter.RecordingID(id).Time()
	pages := map[string]*browser.Page{}
	for player := range splices {
		if player == "shaka" && rig.Scale() < 1 {
			continue // tried by `make soak`
		}
		page, err := b.Play(player, "", false)
		if err != nil {
			t.Fatal(err)
		}
		if err := page.Go(entry); err != nil {
			t.Fatal(err)
		}
		pages[player] = page
	}
	for player, page := range pages {
		rig.Eventually(t, time.Minute, player+" plays", func() bool {
			s, err := page.Seen()
			return err == nil && s.Started
		})
		if err := page.Eval(splices[player], nil); err != nil {
			t.Fatal(err)
		}
	}
	res, err := http.Post("http://"+p.Admin+"/v1/streams/live/cam/cue", "application/json", strings.NewReader(`{"duration_seconds":5}`))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if says, err := io.ReadAll(res.Body); err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("%s %s, %v", res.Status, says, err)
	}
	var ends []m3u8.DateRange // where the break goes out, and where the programme comes back
	rig.Eventually(t, time.Minute, "the break is over", func() bool {
		ends = nil
		for line := range strings.Lines(rig.TryGet(p.URL("live/streams/cam-" + id + ".m3u8"))) {
			if d, err := m3u8.ParseDateRange(line); err == nil {
				ends = append(ends, d)
			}
		}
		return len(ends) == 2
	})
	type event struct {
		At, Lasts float64
		Signal    string
	}
	for player, page := range pages {
		var found []event
		tells := func(at time.Time, signal []byte) *event {
			for i := range found {
				if sent, err := base64.StdEncoding.DecodeString(strings.TrimSpace(found[i].Signal)); err == nil && string(sent) == string(signal) && math.Abs(found[i].At-at.Sub(begun).Seconds()) < 0.05 {
					return &found[i]
				}
			}
			return nil
		}
		var out *event
		rig.Eventually(t, time.Minute, player+" tells of both ends", func() bool {
			if err := page.Eval("events", &found); err != nil {
				t.Fatal(err)
			}
			out = tells(ends[0].Start, ends[0].Out)
			return out != nil && tells(ends[1].Start.Add(ends[1].Duration), ends[1].In) != nil
		})
		s, err := page.Seen()
		if err != nil {
			t.Fatal(err)
		}
		if math.Abs(out.Lasts-5) > 0.01 || len(found) != 2 || len(s.Fatal) > 0 {
			all, _ := json.Marshal(found)
			t.Errorf("%s: %s, fatal: %v", player, all, s.Fatal)
		}
		t.Logf("%s %s: %d events, %d stalls, errors %v", player, s.Version, len(found), len(s.Stalls), s.Errors)
	}
}
