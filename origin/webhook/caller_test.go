package webhook

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"
)

func TestPublic(t *testing.T) {
	for address, want := range map[string]bool{
		"8.8.8.8": true, "2606:4700::1111": true, "127.0.0.1": false, "::1": false, "10.1.2.3": false, "172.16.0.1": false, "192.168.1.1": false, "169.254.169.254": false,
		"fe80::1": false, "fd00::1": false, "0.0.0.0": false, "::": false, "100.64.0.1": false, "::ffff:127.0.0.1": false, "64:ff9b::7f00:1": false, "2002:7f00:1::": false,
		"224.0.0.1": false, "255.255.255.255": false, "192.0.2.1": false,
	} {
		if got := public(netip.MustParseAddr(address)); got != want {
			t.Errorf("%s: %v", address, got)
		}
	}
}

func TestCheckCall(t *testing.T) {
	for _, tc := range []struct {
		url   string
		hosts []string
		says  string
	}{
		{"https://example.com/x", nil, ""},
		{"http://127.0.0.1:80/", nil, "not public"},
		{"http://[::1]/", nil, "not public"},
		{"ftp://example.com", nil, "it is not http"},
		{"file:///etc/passwd", nil, "it is not http"},
		{"http:///x", nil, "it is not http"},
		{"https://example.com/x", []string{"example.com"}, ""},
		{"https://example.com:8443/x", []string{"example.com:8443"}, ""},
		{"http://127.0.0.1/", []string{"127.0.0.1"}, ""},
		{"https://example.org/x", []string{"example.com"}, "example.org is not in jobs.webhook_hosts"},
		{"https://example.com@evil.org/", []string{"example.com"}, "evil.org is not"},
	} {
		err := CheckCall(tc.url, tc.hosts)
		if (err == nil) != (tc.says == "") || err != nil && !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s %v: %v", tc.url, tc.hosts, err)
		}
	}
}

// A name that leads to this machine is not called, and a listed one is, signed as every event is.
func TestCall(t *testing.T) {
	var got []*http.Request
	var bodies []string
	status := http.StatusOK
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		got, bodies = append(got, r), append(bodies, string(b))
		w.Header().Set("Location", "http://127.0.0.1:1/")
		w.WriteHeader(status)
	}))
	defer s.Close()
	c := NewCaller(New(Options{Now: time.Now}))
	defer c.Close()
	const secret = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz"
	call := func(url string, hosts ...string) error {
		return c.Call(t.Context(), url, secret, hosts, "evt_1", JobSucceeded, time.Now(), Job{ID: "1"})
	}
	port := s.URL[strings.LastIndex(s.URL, ":"):]
	for _, url := range []string{s.URL, "http://localhost" + port} {
		if err := call(url); err == nil || !strings.Contains(err.Error(), "not public") || len(got) > 0 {
			t.Errorf("%s: %v", url, err)
		}
	}
	if err := call("http://localhost"+port+"/x", "localhost"); err != nil || len(got) != 1 {
		t.Fatalf("%v, %d", err, len(got))
	}
	h := http.Header{}
	key, _ := parseSecret(secret)
	seconds := got[0].Header.Get(headerTimestamp)
	at, err := time.Parse(time.RFC3339, bodies[0][strings.Index(bodies[0], `"timestamp":"`)+13:][:24])
	if err != nil || seconds == "" {
		t.Fatal(err, seconds)
	}
	for d := -5 * time.Second; d <= 5*time.Second && h.Get(headerTimestamp) != seconds; d += time.Second {
		sign(h, key, "evt_1", at.Add(d), []byte(bodies[0]))
	}
	if got[0].Header.Get(headerSignature) != h.Get(headerSignature) || got[0].Header.Get(headerID) != "evt_1" {
		t.Errorf("%v, want %v", got[0].Header, h)
	}
	for _, status = range []int{302, 400, 500} {
		if err := call("http://localhost"+port, "localhost"); err == nil || strings.Contains(err.Error(), port) {
			t.Errorf("%d: %v", status, err)
		}
	}
	if len(got) != 4 {
		t.Errorf("a redirect was followed: %d requests", len(got))
	}
}
