package origin

import (
	"fmt"
	"testing"
	"time"
)

// Rules apply to the next request, even on an open connection, with our own engine and with net/http.
func TestReconfigure(t *testing.T) {
	engines(t, Options{Secret: Secret{Header: "X-CDN"}}, func(t *testing.T, r *rig) {
		r.publish("cam").run(21 * time.Second)
		path := r.live("cam")
		const page = "https://a.example"
		r.get(path, "Origin", page).want(t, 200, "Access-Control-Allow-Origin", "*")
		r.origin.Reconfigure(Rules{Secrets: []string{"old"}})
		r.get(path).want(t, 403)
		r.get(path, "X-CDN", "old").want(t, 200)
		r.origin.Reconfigure(Rules{Secrets: []string{"old", "new"}, CORSOrigins: []string{"https://b.example"}})
		r.get(path, "X-CDN", "old").want(t, 200)
		if res := r.get(path, "X-CDN", "new", "Origin", page); res.Header.Get("Access-Control-Allow-Origin") != "" {
			t.Error("a page that is not in the list")
		}
		r.get(path, "X-CDN", "new", "Origin", "https://b.example").want(t, 200, "Access-Control-Allow-Origin", "https://b.example", "Vary", "Accept-Encoding, Origin")
		r.origin.Reconfigure(Rules{Secrets: []string{"new"}})
		r.get(path, "X-CDN", "old").want(t, 403)
		r.origin.Reconfigure(Rules{})
		r.get(path, "Origin", page).want(t, 200, "Access-Control-Allow-Origin", "*")
	})
}

// Lowering a limit ends no connection and applies to new ones; so does raising it.
func TestReconfigureMaxConnections(t *testing.T) {
	engines1(t, Options{MaxConnections: 100, TargetDuration: time.Hour, MaxHold: time.Hour}, func(t *testing.T, r *rig) {
		r.publish("cam").run(time.Second)
		for range 2 {
			fmt.Fprint(r.dial(t), "GET /live/streams/cam.m3u8 HTTP/1.1\r\nHost: x\r\n\r\n")
		}
		await(t, "two held requests", func() bool { return r.origin.Stats().Held.Load() == 2 })
		r.origin.Reconfigure(Rules{MaxConnections: 2})
		r.get("/live/streams/other.m3u8").want(t, 503)
		r.origin.Reconfigure(Rules{})
		r.get("/live/streams/other.m3u8").want(t, 404)
		if n := r.origin.Stats().Held.Load(); n != 2 {
			t.Errorf("%d of two requests are held", n)
		}
	})
}
