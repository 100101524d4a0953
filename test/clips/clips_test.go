package clips

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/origin/admin/api"
	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
	"github.com/hlsorigin/hlsorigin/test/rig"
)

// ask asks the API, and gives the status; the answer is read into to, or as what it says where to is nil.
func ask(t *testing.T, p *rig.Process, method, path string, body, to any) (status int, says string) {
	t.Helper()
	b, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(t.Context(), method, "http://"+p.Admin+path, bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	said, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	if to != nil && res.StatusCode == http.StatusOK {
		if err := json.Unmarshal(said, to); err != nil {
			t.Fatalf("%v in %s", err, said)
		}
	}
	return res.StatusCode, string(said)
}

// TestClipOfShow makes clips of a ladder while it is on the air. They play from the origin and from the bucket, before and after the
// recording is removed, and leave nothing behind.
func TestClipOfShow(t *testing.T) {
	t.Parallel()
	rig.Need(t, "ffmpeg")
	v := rig.NewVault(t)
	var mu sync.Mutex
	var told []string
	hook := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var e struct {
			Type string
			Data struct{ Playlist string }
		}
		_ = json.NewDecoder(r.Body).Decode(&e) // what is none tells nothing
		mu.Lock()
		defer mu.Unlock()
		told = append(told, e.Type+" "+e.Data.Playlist)
	}))
	defer hook.Close()
	p := rig.Serve(t, t.TempDir(), rig.Brisk+"apps: {live: {groups: {show: [show_hi, show_lo], other: [reserved, reserved_lo]}}}\n"+v.YAML()+
		"webhooks: [{url: \""+hook.URL+"\", secret: whsec_"+strings.Repeat("QUJD", 8)+", events: [clip.ready]}]\n")
	// One encoder sends both rungs, in step, as encoders do.
	out := func(stream string) []string {
		return []string{"-map", "0", "-c", "copy", "-f", "flv", "rtmp://" + p.RTMP + "/live/" + stream}
	}
	encoder := rig.Launch(t, "ffmpeg", slices.Concat([]string{"-v", "error", "-re", "-stream_loop", "-1", "-i", rig.SourceNamed("gop_1s").Clip(t, 10*time.Second)}, out("show_hi"), out("show_lo"))...)
	rig.Eventually(t, 60*time.Second, "both rungs are in the ladder and have something to show", func() bool {
		s := p.Streams()
		m, err := m3u8.ParseMaster([]byte(p.Get(p.URL("live/streams/show.m3u8"))))
		return err == nil && len(m.Variants) == 2 && s["show_hi"].Segments >= 5 && s["show_lo"].Segments >= 5
	})
	id := p.RecordingOf("show_hi")
	began, ok := segmenter.RecordingID(id).Time()
	if !ok {
		t.Fatalf("the recording is %q", id)
	}
	type onAir struct {
		Name      string
		LastFrame time.Time `json:"last_frame"`
		Rungs     []struct{ Stream, State string }
	}
	var list struct{ Streams []onAir }
	if status, says := ask(t, p, "GET", "/v1/streams", nil, &list); status != 200 || len(list.Streams) != 3 {
		t.Fatalf("streams: %d %s", status, says)
	}
	for _, s := range list.Streams {
		if s.Name == "show" && fmt.Sprint(s.Rungs) != "[{show_hi in} {show_lo in}]" || s.Name != "show" && len(s.Rungs) > 0 {
			t.Errorf("%+v", s)
		}
		if i := slices.IndexFunc(list.Streams, func(l onAir) bool { return l.Name == "show" }); list.Streams[i].LastFrame.Before(s.LastFrame.Add(-500 * time.Millisecond)) {
			t.Errorf("the newest frame of %s came at %v, that of its ladder at %v", s.Name, s.LastFrame, list.Streams[i].LastFrame)
		}
	}

	// Up to now, which is within a segment that is being written.
	var goal api.Clip
	o := api.ClipOrder{App: "live", Stream: "show", Start: began.Add(1500 * time.Millisecond), End: time.Now(), Name: "goal"}
	if p.Get(p.URL("live/streams/show.m3u8")); p.Status(p.URL("live/streams/goal-"+id+".m3u8")) != 404 { // which the server remembers
		t.Error("the clip is there before it is made")
	}
	if status, says := ask(t, p, "POST", "/v1/clips", o, &goal); status != 200 {
		t.Fatalf("%d %s", status, says)
	}
	if goal.Playlist != "live/streams/goal-"+id+".m3u8" || len(goal.Rungs) != 2 || len(goal.LeftOut) != 0 || goal.Gaps != 0 || goal.Segments < 3 || goal.Warning != "" ||
		goal.Start.After(o.Start) || goal.Start.Before(began) || goal.End.Before(o.End) || !goal.AskedFrom.Equal(o.Start) {
		t.Errorf("%+v", goal)
	}
	var cam api.Clip
	o = api.ClipOrder{App: "live", Stream: "show_hi", Start: began.Add(-time.Minute).In(time.FixedZone("", 5*3600+1800)), End: began.Add(2500 * time.Millisecond), Name: "begin"}
	if status, says := ask(t, p, "POST", "/v1/clips", o, &cam); status != 200 || !cam.Start.Equal(began) || cam.Segments < 2 {
		t.Errorf("%d %s %+v", status, says, cam)
	}
	for name, want := range map[string]int{"show": 422, "show_lo": 422, "show_720p": 200, "reserved": 422, "live": 422, "goal": 409, "../x": 422, "x.m3u8": 422} {
		o := api.ClipOrder{App: "live", Stream: "show", Start: began.Add(time.Second), End: began.Add(2 * time.Second), Name: name}
		if status, says := ask(t, p, "POST", "/v1/clips", o, nil); status != want {
			t.Errorf("a clip that is called %s: %d %s", name, status, says)
		}
	}
	o = api.ClipOrder{App: "live", Stream: "show", Start: began, End: time.Now().Add(time.Hour), Name: "x"}
	if status, says := ask(t, p, "POST", "/v1/clips", o, nil); status != 422 || !strings.Contains(says, "in the future") {
		t.Errorf("of the future: %d %s", status, says)
	}
	o.Start, o.End = began.Add(-2*time.Hour), began.Add(-time.Hour)
	if status, says := ask(t, p, "POST", "/v1/clips", o, nil); status != 404 || !strings.Contains(says, "nothing was recorded") {
		t.Errorf("of nothing: %d %s", status, says)
	}
	if said, status := p.Command("ctl", "clip", "live/show_lo", "4s", "3s", "byhand"); status != 0 || !strings.Contains(said, "live/streams/byhand-"+id) {
		t.Errorf("ctl clip: %d %s", status, said)
	}
	if said, status := p.Command("ctl", "clips", "live/show"); status != 0 || !strings.Contains(said, "live/goal-"+id) || strings.Contains(said, "byhand") {
		t.Errorf("ctl clips: %d %s", status, said)
	}
	rig.Eventually(t, 20*time.Second, "the webhook is told", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return slices.Contains(told, "clip.ready "+goal.Playlist) && slices.Contains(told, "clip.ready "+cam.Playlist)
	})

	plays := func(when string) {
		t.Helper()
		for _, c := range []api.Clip{goal, cam} {
			// 25 pictures a second; the sound of a clip may be cut off with a picture.
			for from, at := range map[string]string{"the origin": p.URL(c.Playlist), "the bucket": v.Web() + c.Playlist} {
				pictures, said := rig.Play(t, at)
				if want := int(c.Duration*25+0.5) * max(1, len(c.Rungs)); pictures < want-2 || pictures > want+2 || said != "" {
					t.Errorf("%s %s from %s: %d pictures, wanted %d: %s", c.Name, when, from, pictures, want, said)
				}
			}
		}
		for _, title := range append([]string{"begin"}, "goal_hi", "goal_lo") {
			v.Verify(title, id, 0)
		}
	}
	plays("on the air")
	res, err := http.Get(p.URL(cam.Playlist))
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if h := res.Header; h.Get("Cache-Control") != "public, max-age=3600" || h.Get("Content-Type") != "application/vnd.apple.mpegurl" || h.Get("ETag") == "" || h.Get("Access-Control-Allow-Origin") != "*" {
		t.Errorf("headers %v", h)
	}
	// Time-shift cuts a clip as any timestamped playlist.
	query := url.Values{"start": {cam.Start.Add(1200 * time.Millisecond).Format(time.RFC3339Nano)}}
	shifted, err := m3u8.ParseMedia([]byte(p.Get(p.URL(cam.Playlist) + "?" + query.Encode())))
	if err != nil || !shifted.EndList || len(shifted.Segments) != cam.Segments-1 {
		t.Errorf("shifted: %+v, %v", shifted, err)
	}
	query.Set("start", cam.Start.Add(-time.Hour).Format(time.RFC3339))
	if status := p.Status(p.URL(cam.Playlist) + "?" + query.Encode()); status != 404 {
		t.Errorf("before it: %d", status)
	}

	if err := encoder.Cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Error(err)
	}
	rig.Eventually(t, 40*time.Second, "the show is over", func() bool { return slices.Contains(p.Log.Messages("INFO"), "ladder ended") })
	v.WaitFinished("show_hi", id, 40*time.Second)
	v.WaitFinished("show_lo", id, 40*time.Second)
	rig.Eventually(t, 30*time.Second, "the ladder is final in the bucket", func() bool {
		_, o, ok := v.Get(rig.ArchiveKey("show", id))
		return ok && o.CacheControl == segmenter.AgeSettled
	})
	var gone api.Removal
	if status, says := ask(t, p, "DELETE", "/v1/recordings/live/show-"+id+"?confirm=true", nil, &gone); status != 200 || !gone.Removed || gone.Spared < goal.Segments*2 || !slices.Contains(gone.Clips, "begin-"+id) {
		t.Errorf("%d %s", status, says)
	}
	if v.Has(rig.ArchiveKey("show_hi", id)) {
		t.Error("the recording is not removed")
	}
	plays("without the recording")
	var all struct{ Clips []api.Clip }
	if status, says := ask(t, p, "GET", "/v1/clips?app=live", nil, &all); status != 200 || len(all.Clips) != 4 {
		t.Errorf("%d %s", status, says)
	}
	for _, c := range all.Clips {
		if status, says := ask(t, p, "DELETE", "/v1/clips/live/"+c.Name, nil, &gone); status != 200 || gone.Removed || !v.Has(c.Playlist) {
			t.Errorf("would remove %s: %d %s", c.Name, status, says)
		}
		if status, says := ask(t, p, "DELETE", "/v1/clips/live/"+c.Name+"?confirm=true", nil, &gone); status != 200 || !gone.Removed || v.Has(c.Playlist) {
			t.Errorf("remove %s: %d %s", c.Name, status, says)
		}
	}
	if keys := v.Keys("live/clips/"); len(keys) > 0 {
		t.Errorf("left %v", keys)
	}
	for _, key := range v.Keys("live/streams/") {
		if strings.HasSuffix(key, ".m3u8") {
			t.Errorf("left %s", key)
		}
	}
}
