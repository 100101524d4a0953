package overview

import (
	"strings"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/origin/admin"
	"github.com/hlsorigin/hlsorigin/origin/admin/api"
)

var now = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// good is a stream of which nothing is wrong.
func good() admin.Stream {
	return admin.Stream{
		App: "live", Name: "cam", State: "live", Protocol: "rtmp", Width: 1280, Height: 720, TargetDuration: 4, LastFrame: now,
		Input:  admin.Input{At: now.Unix() - 1, Bitrate: 2e6, Pictures: 25, Sounds: 47, KeyframeInterval: 2, Skew: 0.02, Jitter: 0.01},
		Tracks: []admin.Track{{Kind: "video", Written: 100}, {Kind: "audio", Written: 200}},
	}
}

func TestWarningsOfAStream(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(s *admin.Stream)
		kind   string // of the only warning; empty: there is none
		grave  bool
		says   string
	}{
		"nothing":                    {func(*admin.Stream) {}, "", false, ""},
		"frames that cannot be used": {func(s *admin.Stream) { s.Problem = "video: no keyframe has come" }, "frames", true, "no keyframe has come"},
		"a publisher that is gone":   {func(s *admin.Stream) { s.State, s.Protocol, s.LastFrame = "stalled", "", now.Add(-7*time.Second) }, "uplink", true, "gone, for 7s"},
		"a publisher that is silent": {func(s *admin.Stream) { s.State = "stalled" }, "uplink", true, "sends nothing"},
		"one that stands by":         {func(s *admin.Stream) { s.State, s.Standby = "standby", &admin.Standby{State: "in step"} }, "", false, ""},
		"one that does so silently": {func(s *admin.Stream) {
			since := now.Add(-7 * time.Second)
			s.State, s.Standby = "standby", &admin.Standby{State: "silent", SilentSince: &since}
		}, "standby", true, "nothing has come from its encoder for 7s"},
		"a long keyframe interval":      {func(s *admin.Stream) { s.TargetDuration, s.Input.KeyframeInterval = 8, 8 }, "keyframes", false, "segments are as long"},
		"longer than the target":        {func(s *admin.Stream) { s.Input.KeyframeInterval = 10 }, "keyframes", false, "cut between them"},
		"keyframes all the time":        {func(s *admin.Stream) { s.Input.KeyframeInterval = 0.2 }, "keyframes", false, "bit rate"},
		"one that is not known yet":     {func(s *admin.Stream) { s.Input.KeyframeInterval = 0 }, "", false, ""},
		"sound that has stopped":        {func(s *admin.Stream) { s.Input.Sounds = 0 }, "audio", true, "has stopped"},
		"no sound at all":               {func(s *admin.Stream) { s.Input.Sounds, s.Tracks = 0, s.Tracks[:1] }, "audio", false, "no sound"},
		"sound alone":                   {func(s *admin.Stream) { s.Width, s.Height, s.Input.Pictures, s.Input.KeyframeInterval = 0, 0, 0, 0 }, "", false, ""},
		"sound that is ahead":           {func(s *admin.Stream) { s.Input.Skew = 1.5 }, "skew", false, "1.5 s ahead"},
		"sound that is behind":          {func(s *admin.Stream) { s.Input.Skew = -1.5 }, "skew", false, "1.5 s behind"},
		"bursts":                        {func(s *admin.Stream) { s.Input.Jitter = 0.5 }, "uplink", false, "500 ms"},
		"a slow uplink":                 {func(s *admin.Stream) { s.Input.Behind = 3 }, "clock", false, "3.0 s later"},
		"a clock too fast":              {func(s *admin.Stream) { s.Input.Behind = -3 }, "clock", false, "3.0 s earlier"},
		"what was measured long ago":    {func(s *admin.Stream) { s.Input.Behind, s.Input.At = 3, now.Unix()-60 }, "", false, ""},
		"what has ended says nothing":   {func(s *admin.Stream) { s.State, s.Input.Sounds = "ended", 0 }, "", false, ""},
		"nothing measured says nothing": {func(s *admin.Stream) { s.Input = admin.Input{} }, "", false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := good()
			tc.change(&s)
			got := warnings(&api.Overview{At: now, Streams: []admin.Stream{s}}, nil)
			switch {
			case tc.kind == "" && len(got) == 0:
			case len(got) != 1 || got[0].Kind != tc.kind || got[0].Grave != tc.grave || got[0].Subject != "live/cam" || got[0].Do == "" || !strings.Contains(got[0].Text, tc.says):
				t.Errorf("%+v", got)
			}
		})
	}
}

func TestWarningsOfAStore(t *testing.T) {
	long, short := now.Add(-2*time.Minute), now.Add(-2*time.Second)
	for name, tc := range map[string]struct {
		store api.Store
		says  string // empty: nothing
		grave bool
	}{
		"well":       {api.Store{Name: "bucket", Segments: 2, Oldest: &short}, "", false},
		"refuses":    {api.Store{Name: "bucket", Segments: 9, Oldest: &long, Failing: &long, Error: "AccessDenied", Act: true}, "refuses what it is sent: AccessDenied. 9 segments wait", true},
		"is away":    {api.Store{Name: "replica", Failing: &short, Error: "connection refused"}, "The replica takes nothing: connection refused", true},
		"falls back": {api.Store{Name: "bucket", Segments: 9, Oldest: &long}, "2m0s behind", false},
	} {
		got := warnings(&api.Overview{At: now, Stores: []api.Store{tc.store}}, nil)
		if tc.says == "" && len(got) == 0 {
			continue
		}
		if len(got) != 1 || got[0].Kind != "bucket" || got[0].Grave != tc.grave || got[0].Subject != tc.store.Name || got[0].Do == "" || !strings.Contains(got[0].Text, tc.says) {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// A rung that the server makes is told of with what the server knows, and not where it is left out for good.
func TestWarningsOfRungsMadeHere(t *testing.T) {
	ladder := admin.Stream{App: "live", Name: "cam", State: "live", Started: now.Add(-time.Hour), Rungs: []admin.Rung{
		{Stream: "cam_source", State: "in"},
		{Stream: "cam_1080p", State: "waiting", Absent: "the source's picture is lower than this rung", Usual: true},
		{Stream: "cam_480p", State: "waiting", Absent: "there is no ffmpeg"},
	}}
	got := warnings(&api.Overview{At: now, Ladders: []admin.Stream{ladder}}, nil)
	if len(got) != 1 || got[0].Subject != "live/cam_480p" || !strings.Contains(got[0].Text, "there is no ffmpeg") || strings.Contains(got[0].Do, "encoder") {
		t.Errorf("%+v", got)
	}
}

// That another server has a stream is how it should be after it went there.
func TestWarningsOfAStreamElsewhere(t *testing.T) {
	got := warnings(&api.Overview{At: now}, []admin.Check{{Name: "archive", Kind: "stood down", Of: "live/cam", Reason: "another server goes on with it"}})
	if len(got) != 1 || got[0].Grave || got[0].Subject != "live/cam" {
		t.Errorf("%+v", got)
	}
}

// A trouble is told of once, at the part that it is of, and the gravest come first.
func TestWarningsAreNotTwice(t *testing.T) {
	rung := good()
	rung.Name, rung.Ladder, rung.Problem = "show_low", "show", "its keyframes come every 5 s"
	slow := good()
	slow.Input.Behind = 5
	got := warnings(&api.Overview{
		At: now, Streams: []admin.Stream{slow, rung}, Stores: []api.Store{{Name: "bucket", Failing: &now, Error: "no such host"}},
		Ladders: []admin.Stream{{App: "live", Name: "show", State: "live", Started: now, Rungs: []admin.Rung{{Stream: "show_high", State: "in"}, {Stream: "show_low", State: "outside", Outside: rung.Problem}, {Stream: "show_late", State: "waiting"}}}},
	}, []admin.Check{
		{Name: "listeners", Kind: "listeners"},
		{Name: "archive", Kind: "uploads", Of: "bucket", Reason: "uploads to the bucket have failed for 5s: another answer since"},
		{Name: "archive", Kind: "disk", Reason: "the spool's disk has failed for 9s: no such host"}, // as a store on the same network says
	})
	var kinds []string
	for i, w := range got {
		kinds = append(kinds, w.Kind)
		if i > 0 && w.Grave && !got[i-1].Grave {
			t.Errorf("%s comes after what is less grave", w.Kind)
		}
	}
	if strings.Join(kinds, " ") != "bucket disk rung clock" {
		t.Errorf("%v: %+v", kinds, got)
	}
}
