package auth

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
)

// rig is an Authorizer with a clock and a log that the test controls.
type rig struct {
	*Authorizer
	clock time.Time
	log   bytes.Buffer
}

func newRig(t *testing.T, apps map[string]App) *rig {
	t.Helper()
	r := &rig{clock: time.Unix(1_700_000_000, 0)}
	now := func() time.Time { return r.clock }
	a, err := New(Options{Apps: apps, Now: now, ValidStream: func(s string) bool { return s != "" && !strings.ContainsAny(s, "/ ") }, Log: slog.New(slog.NewTextHandler(&r.log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	if err != nil {
		t.Fatal(err)
	}
	r.Authorizer = a
	return r
}

func (r *rig) kind(t *testing.T, q ingest.Request) ingest.RefusalKind {
	t.Helper()
	_, err := r.Authorize(t.Context(), q)
	var refusal *ingest.Refusal
	if err != nil && !errors.As(err, &refusal) {
		t.Fatal(err)
	}
	if refusal == nil {
		return 0
	}
	return refusal.Kind
}

func keyed() map[string]App {
	return map[string]App{"live": {Keys: map[string]string{"cam": "s3cret"}}}
}

// TestGuessingIsPaused floods from one address: another gets in at once, this one after its pause, and the log has one line.
func TestGuessingIsPaused(t *testing.T) {
	r := newRig(t, keyed())
	paused := 0
	for i := range 5000 { // ten seconds of 500 a second
		if r.kind(t, ingest.Request{Protocol: "rtmp", App: "live", Name: fmt.Sprint("guess", i), Remote: remote}) == ingest.TooMany {
			paused++
		}
		r.clock = r.clock.Add(2 * time.Millisecond)
	}
	if judged := 5000 - paused; judged > 15 {
		t.Errorf("%d guesses were judged", judged)
	}
	right := ingest.Request{Protocol: "rtmp", App: "live", Name: "s3cret", Remote: remote}
	if k := r.kind(t, right); k != ingest.TooMany {
		t.Errorf("during its pause the right key is answered with %v", k)
	}
	right.Remote = "198.51.100.7:1"
	if k := r.kind(t, right); k != 0 {
		t.Errorf("another address is refused: %v", k)
	}
	r.clock = r.clock.Add(time.Minute)
	right.Remote = remote
	if k := r.kind(t, right); k != 0 {
		t.Errorf("after the pause: %v", k)
	}
	if n := strings.Count(r.log.String(), "\n"); n != 1 {
		t.Errorf("%d lines of log:\n%s", n, &r.log)
	}
	if strings.Contains(r.log.String(), "guess") {
		t.Errorf("the log shows what was sent:\n%s", &r.log)
	}
	if got := r.Stats.By[Paused].Load(); got != uint64(paused)+1 {
		t.Errorf("%d are counted as paused, want %d", got, paused+1)
	}
}

// TestOneSecretFromManyAddressesIsPaused tests a fleet with an old key. An encoder with the stream's right key is not locked out.
func TestOneSecretFromManyAddressesIsPaused(t *testing.T) {
	r := newRig(t, keyed())
	judged := 0
	for i := range 1000 {
		q := ingest.Request{Protocol: "rtmp", App: "live", Name: "cam", Password: "old", Remote: fmt.Sprintf("203.0.%d.%d:1", i/250, i%250)}
		if r.kind(t, q) == ingest.Unauthorized {
			judged++
		}
	}
	if judged > 12 {
		t.Errorf("%d were judged", judged)
	}
	if k := r.kind(t, ingest.Request{Protocol: "rtmp", App: "live", Name: "cam", Password: "s3cret", Remote: local}); k != 0 {
		t.Errorf("the stream's own encoder is refused: %v", k)
	}
}

// TestQuestionsAreNoGuesses tests a hall of cameras behind one address, each of which first asks whether credentials are needed.
func TestQuestionsAreNoGuesses(t *testing.T) {
	r := newRig(t, keyed())
	q := ingest.Request{Protocol: "rtsp", App: "live", Name: "cam", Remote: remote}
	for i := range 100 {
		if k := r.kind(t, q); k != ingest.Unauthorized {
			t.Fatalf("question %d: %v", i, k)
		}
	}
	q.Password = "s3cret"
	for i := range 100 {
		if k := r.kind(t, q); k != 0 {
			t.Fatalf("answer %d: %v", i, k)
		}
	}
	q.Password = ""
	for range 1000 {
		r.kind(t, q)
	}
	if k := r.kind(t, q); k != ingest.TooMany {
		t.Errorf("questions without end: %v", k)
	}
}

func TestRefusalOfAWrongKeySaysNoMore(t *testing.T) {
	r := newRig(t, keyed())
	for _, q := range []ingest.Request{
		{Protocol: "rtmp", App: "live", Name: "cam"}, {Protocol: "rtmp", App: "live", Name: "nobody"},
		{Protocol: "rtsp", App: "live", Name: "cam", Password: "x"}, {Protocol: "rtsp", App: "live", Name: "nobody", Password: "x"},
	} {
		q.Remote = remote
		if _, err := r.Authorize(t.Context(), q); err == nil || err.Error() != "this key is not known here" {
			t.Errorf("%+v: %v", q, err)
		}
	}
}

func TestAllow(t *testing.T) {
	ranges := []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24"), netip.MustParsePrefix("2001:db8::/32")}
	r := newRig(t, map[string]App{
		"ranges": {Allow: ranges},
		"both":   {Allow: ranges, Keys: map[string]string{"cam": "s3cret"}},
		"open":   {Allow: ranges, Open: true},
	})
	for _, tc := range []struct {
		app, name, remote string
		kind              ingest.RefusalKind
	}{
		{"ranges", "cam", remote, 0},
		{"ranges", "cam", "[2001:db8::7]:1", 0},
		{"ranges", "cam", "[::ffff:203.0.113.8]:1", 0},
		{"ranges", "cam", local, ingest.Unauthorized},
		{"ranges", "cam", "", ingest.Unauthorized},
		{"both", "s3cret", remote, 0},
		{"both", "cam", remote, ingest.Unauthorized},
		{"both", "s3cret", "198.51.100.1:1", ingest.Unauthorized},
		{"open", "cam", remote, 0},
		{"open", "cam", "198.51.100.1:1", ingest.Unauthorized},
	} {
		if k := r.kind(t, ingest.Request{Protocol: "rtmp", App: tc.app, Name: tc.name, Remote: tc.remote}); k != tc.kind {
			t.Errorf("%+v: %v", tc, k)
		}
	}
}
