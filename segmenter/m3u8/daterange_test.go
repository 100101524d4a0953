package m3u8

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestDateRange(t *testing.T) {
	d := DateRange{ID: "cue-1", Start: instant, Duration: 29960 * time.Millisecond, Planned: 30 * time.Second, Out: []byte{0xFC, 0x30}, In: []byte{0xFC}}
	const line = `#EXT-X-DATERANGE:ID="cue-1",START-DATE="2023-08-24T16:02:52.970Z",DURATION=29.960,PLANNED-DURATION=30.000,SCTE35-OUT=0xFC30,SCTE35-IN=0xFC` + "\n"
	if got := string(d.Append(nil)); got != line {
		t.Errorf("%q", got)
	}
	if got, err := ParseDateRange(line); err != nil || !cmp.Equal(got, d) {
		t.Errorf("%+v, %v", got, err)
	}
	for _, bad := range []string{"", "#EXTINF:4,", `#EXT-X-DATERANGE:ID="x"`, `#EXT-X-DATERANGE:ID="x",START-DATE="today"`, `#EXT-X-DATERANGE:ID="x",START-DATE="2023-08-24T16:02:52Z",DURATION=-1`,
		`#EXT-X-DATERANGE:ID="x",START-DATE="2023-08-24T16:02:52Z",SCTE35-OUT=FC`, `#EXT-X-DATERANGE:ID="x",START-DATE="2023-08-24T16:02:52Z",SCTE35-IN=0xFCX`} {
		if got, err := ParseDateRange(bad); err == nil {
			t.Errorf("%q: %+v", bad, got)
		}
	}
}

func TestRunning(t *testing.T) {
	out, in := DateRange{ID: "a", Start: instant, Planned: 30 * time.Second, Out: []byte{1}}, DateRange{ID: "a", Start: instant, Duration: 30 * time.Second, In: []byte{1}}
	lines := string(out.Append(nil))
	for after, want := range map[time.Duration]bool{-time.Second: false, 0: false, time.Second: true, 29 * time.Second: true, 30 * time.Second: false, time.Hour: false} {
		if got := Running(lines+"# nothing\n", instant.Add(after)); (got == lines) != want || got != "" && got != lines {
			t.Errorf("after %v: %q", after, got)
		}
	}
	if got := Running(string(in.Append(nil)), instant.Add(time.Second)); got != "" {
		t.Errorf("what is over: %q", got)
	}
	if got := Ranges(lines + "#EXT-X-ENDLIST\n" + "seg.ts\n" + strings.TrimSuffix(lines, "\n")); got != lines {
		t.Errorf("from outside: %q", got)
	}
	if got := Ranges(strings.Repeat(lines, 1000)); got != "" {
		t.Errorf("beyond any measure: %d bytes", len(got))
	}
}

// Date ranges stand before their segment, and what runs when a playlist begins stands in it.
func TestMediaWithDateRanges(t *testing.T) {
	m := everything()
	out := DateRange{ID: "a", Start: instant, Planned: 30 * time.Second, Out: []byte{1}}
	in := DateRange{ID: "a", Start: instant, Duration: 30 * time.Second, In: []byte{1}}
	m.Segments[2].Ranges, m.Segments[3].Ranges = string(out.Append(nil)), string(in.Append(nil))
	b := m.Append(nil)
	golden(t, "ranges.m3u8", b)
	got, err := ParseMedia(b)
	if err != nil || !cmp.Equal(got, m) {
		t.Errorf("%v\n%s", err, cmp.Diff(m, got))
	}
	m = everything()
	m.Running = string(out.Append(nil))
	if got, err := ParseMedia(m.Append(nil)); err != nil || got.Segments[0].Ranges != m.Running || got.Running != "" {
		t.Errorf("%+v, %v", got, err)
	}
}
