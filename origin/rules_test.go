package origin

import (
	"testing"
	"time"
)

// Rules count for the next request, also on a connection that is open, in memory and by net/http.
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

func TestReconfigureMaxConnections(t *testing.T) {
	r := newRig(t, Options{})
	r.serve()
	r.origin.Reconfigure(Rules{MaxConnections: 1})
	first := r.raw("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", "GET")
	if len(first) != 1 || first[0].StatusCode != 200 {
		t.Errorf("%+v", first)
	}
	if got := r.origin.rules.Load().maxConnections; got != 1 {
		t.Errorf("%d", got)
	}
	r.origin.Reconfigure(Rules{})
	if got := r.origin.rules.Load().maxConnections; got != defaultMaxConnections {
		t.Errorf("%d", got)
	}
}
