package metadata

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/test/browser"
	"github.com/hlsorigin/hlsorigin/test/rig"
)

// listen is what each player's page does to note the metadata that the player finds, with the wall time at which it is shown, ms.
var listen = map[string]string{
	"hls.js": `window.tags = [], hls.on(Hls.Events.FRAG_PARSING_METADATA, (_, d) => d.samples.forEach((s) =>
		tags.push({Says: new TextDecoder().decode(s.data), At: d.frag.programDateTime + (s.pts - d.frag.start) * 1000}))), true`,
	"shaka": `window.tags = [], ["metadata", "metadataadded"].forEach((name) => player.addEventListener(name, (e) =>
		tags.push({Says: e.payload.description + "\0" + e.payload.data, At: player.getPresentationStartTimeAsDate().getTime() + e.startTime * 1000}))), true`,
	"dash.js": `window.tags = [], player.on("https://aomedia.org/emsg/ID3", (e) =>
		tags.push({Says: new TextDecoder().decode(e.event.messageData), At: new Date(player.getDashAdapter().getMpd().manifest.availabilityStartTime).getTime() + e.event.calculatedPresentationTime * 1000})), true`,
}

// off is by how much a player's time may differ from the server's. Shaka takes the time at which a segment begins to be decoded for
// that at which it begins to be shown: with reordered pictures it is late by their composition offset, here 80 ms.
var off = map[string]time.Duration{"hls.js": 50 * time.Millisecond, "shaka": 150 * time.Millisecond, "dash.js": 50 * time.Millisecond}

// tag is one that a player has found.
type tag struct {
	Says string
	At   float64 // wall time, ms
}

// post sends a text, and returns the answer; false where it came too fast.
func post(t *testing.T, p *rig.Process, says string) (at time.Time, deferred, ok bool) {
	t.Helper()
	body := fmt.Sprintf(`{"text":[{"description":"test","value":%q}]}`, says)
	res, err := http.Post("http://"+p.Admin+"/v1/streams/live/cam/metadata", "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var answer struct {
		At       time.Time `json:"program_date_time"`
		Deferred bool
	}
	switch told, err := io.ReadAll(res.Body); {
	case err != nil:
		t.Fatal(err)
	case res.StatusCode == http.StatusTooManyRequests:
		return at, false, false
	case res.StatusCode != http.StatusOK || json.Unmarshal(told, &answer) != nil:
		t.Fatalf("%s %s", res.Status, told)
	}
	return answer.At, answer.Deferred, true
}

// TestPlayersFindMetadata sends metadata while players watch. They go on over the change of the program, and find each tag at the
// program date-time of the answer.
func TestPlayersFindMetadata(t *testing.T) {
	t.Parallel()
	findMetadata(t, [2]string{"hls.js", "cam.m3u8"}, [2]string{"shaka", "cam.m3u8"})
}

// TestPlayersFindMetadataInCMAF is the same of what is made of the transport stream, where it is in event messages.
func TestPlayersFindMetadataInCMAF(t *testing.T) {
	t.Parallel()
	for _, w := range [][2]string{{"dash.js", "cam.mpd"}, {"hls.js", "cam_cmaf.m3u8"}, {"shaka", "cam.mpd"}} {
		t.Run(w[0]+" "+w[1], func(t *testing.T) {
			if rig.Scale() < 1 && w[0] != "dash.js" {
				t.Skip("tried by `make soak`")
			}
			findMetadata(t, w)
		})
	}
}

func findMetadata(t *testing.T, watched ...[2]string) {
	b := browser.Start(t, "hls.js", "shaka-player", "dashjs")
	p := rig.Serve(t, t.TempDir(), rig.Brisk)
	rig.Shoot(t, p, "cam")
	rig.Eventually(t, 30*time.Second, "the stream is there", func() bool { return p.Status(p.URL("live/streams/cam.m3u8")) == 200 })
	pages := map[[2]string]*browser.Page{}
	for _, w := range watched {
		page, err := b.Play(w[0], "", false)
		if err != nil {
			t.Fatal(err)
		}
		if err := page.Go(p.URL("live/streams/" + w[1])); err != nil {
			t.Fatal(err)
		}
		pages[w] = page
	}
	for w, page := range pages {
		rig.Eventually(t, time.Minute, fmt.Sprint(w, " plays"), func() bool {
			s, err := page.Seen()
			return err == nil && s.Started
		})
		if err := page.Eval(listen[w[0]], nil); err != nil {
			t.Fatal(err)
		}
	}
	want := map[string]time.Time{} // zero: it is deferred
	rig.Eventually(t, time.Minute, "metadata comes at once", func() bool {
		says := fmt.Sprintf("tag %d.", len(want))
		at, deferred, ok := post(t, p, says)
		if ok {
			want[says] = at
		}
		return ok && !deferred
	})
	if at, ok := want["tag 0."]; !ok || !at.IsZero() {
		t.Errorf("the first was not deferred: %v", at)
	}
	for w, page := range pages {
		player := fmt.Sprint(w)
		var found []tag
		at := func(says string) (time.Time, bool) {
			for _, f := range found {
				if strings.HasSuffix(f.Says, "test\x00"+says) {
					return time.UnixMicro(int64(f.At * 1000)), true
				}
			}
			return time.Time{}, false
		}
		rig.Eventually(t, time.Minute, player+" finds all tags", func() bool {
			if err := page.Eval("tags", &found); err != nil {
				t.Fatal(err)
			}
			for says := range want {
				if _, ok := at(says); !ok {
					return false
				}
			}
			return true
		})
		for says, answered := range want {
			if got, _ := at(says); !answered.IsZero() && got.Sub(answered).Abs() > off[w[0]] {
				t.Errorf("%s shows %q at %v, answered was %v", player, says, got.UTC(), answered)
			}
		}
		s, err := page.Seen()
		if err != nil {
			t.Fatal(err)
		}
		if len(s.Fatal) > 0 {
			t.Errorf("%s: fatal: %v", player, s.Fatal)
		}
		t.Logf("%s %s: %d tags, %d stalls, errors %v", player, s.Version, len(want), len(s.Stalls), s.Errors)
	}
}
