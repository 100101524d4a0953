package library

import "testing"

func TestHold(t *testing.T) {
	h := hold{folder: folderRef{"live", "cam", "2023-08-24_16-02-52.970"}, first: 7, last: 1 << 40, title: "goal.2"}
	const key = "live/clips/cam/2023-08-24_16-02-52.970/000000007-1099511627776.goal.2.json"
	if h.key() != key {
		t.Error(h.key())
	}
	if got, ok := parseHold(key); !ok || got != h {
		t.Errorf("%+v, %v", got, ok)
	}
	if h.has(6) || !h.has(7) || !h.has(1<<40) || h.has(1<<40+1) {
		t.Error("its ends are not its own")
	}
	if h.clip().key() != "live/streams/goal.2-2023-08-24_16-02-52.970.m3u8" {
		t.Error(h.clip())
	}
	for _, bad := range []string{
		"", "live/clips/cam", "live/clips/cam/2023-08-24_16-02-52.970/000000007-000000008.json", "live/clips/cam/2023-08-24_16-02-52.970/000000009-000000008.goal.json",
		"live/clips/cam/2023-08-24_16-02-52.970/7-8.goal.json", "live/clips/cam/2023-08-24/000000007-000000008.goal.json", "live/clips/cam/2023-08-24_16-02-52.970/000000007-000000008.goal.txt",
		"live/clips/a/b/2023-08-24_16-02-52.970/000000007-000000008.goal.json", "../clips/cam/2023-08-24_16-02-52.970/000000007-000000008.goal.json",
		"live/clips/cam/2023-08-24_16-02-52.970/000000007-000000008..json", "live/clips/cam/2023-08-24_16-02-52.970/000000007-000000008.x/y.json", "live/clips//2023-08-24_16-02-52.970/000000007-000000008.goal.json",
	} {
		if got, ok := parseHold(bad); ok {
			t.Errorf("%q: %+v", bad, got)
		}
	}
}

// FuzzHold holds that what is read is what would be written.
func FuzzHold(f *testing.F) {
	f.Add("live/clips/cam/2023-08-24_16-02-52.970/000000007-000000009.goal.json")
	f.Fuzz(func(t *testing.T, key string) {
		if h, ok := parseHold(key); ok && h.key() != key {
			t.Errorf("%q is read as %q", key, h.key())
		}
	})
}
