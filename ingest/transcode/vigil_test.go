package transcode

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
)

// What is said of dropped groups fits why they were dropped, once when that begins and once when it is over.
func TestLosses(t *testing.T) {
	for says, o := range map[string]Options{
		"too slow":        {MaxBytes: 1200, Memory: ingest.NewMemory(1 << 20), MaxLag: time.Hour},
		"short of memory": {Memory: ingest.NewMemory(2400), MaxLag: time.Hour}, // of which half is for what waits
	} {
		var text bytes.Buffer
		log := slog.New(slog.NewTextHandler(&text, nil))
		o = o.withDefaults()
		f := newFeed(&o, &Stats{})
		var l losses
		now := time.Unix(1e9, 0)
		l.note(log, f, now)
		if text.Len() > 0 {
			t.Errorf("before anything is dropped it is said: %s", &text)
		}
		for n := range 40 {
			f.offer(picture(n, 100))
			l.note(log, f, now)
		}
		if strings.Count(text.String(), "level=WARN") != 1 || !strings.Contains(text.String(), says) {
			t.Errorf("not %q once: %s", says, &text)
		}
		l.note(log, f, now.Add(lossOver-1))
		if strings.Contains(text.String(), "groups_dropped") {
			t.Error("it is over too early")
		}
		l.note(log, f, now.Add(lossOver))
		l.end(log)
		if strings.Count(text.String(), "groups_dropped=") != 1 {
			t.Errorf("that %q is over is not said once: %s", says, &text)
		}
	}
}
