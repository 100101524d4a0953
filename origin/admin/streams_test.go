package admin

import "testing"

func TestStreamsAreListedByName(t *testing.T) {
	s := New(Options{Streams: streams{{App: "live", Name: "b"}, {App: "live", Name: "a", State: "live", Bitrate: 5}, {App: "event", Name: "z"}}})
	_, body := get(t, s, "localhost", "/api/streams")
	var got struct{ Streams []Stream }
	decode(t, body, &got)
	if len(got.Streams) != 3 || got.Streams[0].App != "event" || got.Streams[1].Name != "a" || got.Streams[1].Bitrate != 5 || got.Streams[2].Name != "b" {
		t.Errorf("%s", body)
	}
	if _, body := get(t, New(Options{}), "localhost", "/api/streams"); body != "{\n  \"streams\": []\n}\n" {
		t.Errorf("no streams: %s", body)
	}
}
