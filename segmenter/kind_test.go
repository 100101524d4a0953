package segmenter

import "testing"

func TestKinds(t *testing.T) {
	for _, c := range []struct {
		kind      Kind
		settled   bool
		typ, want string
	}{
		{KindSegment, false, "video/mp2t", "public, max-age=31536000, immutable"},
		{KindSegment, true, "video/mp2t", "public, max-age=31536000, immutable"},
		{KindLive, false, "application/vnd.apple.mpegurl", "public, max-age=3, stale-if-error=6"},
		{KindLive, true, "application/vnd.apple.mpegurl", "public, max-age=60"},
		{KindArchive, false, "application/vnd.apple.mpegurl", "public, max-age=3"},
		{KindArchive, true, "application/vnd.apple.mpegurl", "public, max-age=3600"},
		{KindEntry, false, "application/vnd.apple.mpegurl", "public, max-age=3"},
		{KindEntry, true, "application/vnd.apple.mpegurl", "public, max-age=3"}, // a restarted show is never hidden behind its past
	} {
		if got := c.kind.Age(6, c.settled); got != c.want || c.kind.ContentType() != c.typ {
			t.Errorf("kind %d, settled %v: %q, %q", c.kind, c.settled, got, c.kind.ContentType())
		}
	}
	if got := KindLive.Age(1, false); got != "public, max-age=1, stale-if-error=1" {
		t.Errorf("a target duration of 1 s: %q", got)
	}
}
