package library

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
	"github.com/hlsorigin/hlsorigin/storage"
	"github.com/hlsorigin/hlsorigin/storage/storetest"
)

// clocked is a store that has a clock.
type clocked struct {
	storetest.Memory
	at  time.Time
	err error
}

func (c *clocked) Time(context.Context) (time.Time, error) { return c.at, c.err }

// Nothing is old by a clock that is wrong, whichever of the two that is.
func TestRetentionAsksTheStoresClock(t *testing.T) {
	began := time.Date(2023, 8, 24, 16, 2, 52, 970e6, time.UTC)
	const keep = 24 * time.Hour
	young, old := began.Add(2*time.Hour), began.Add(48*time.Hour)
	year := 365 * 24 * time.Hour
	for name, c := range map[string]struct {
		local, store time.Time
		err          error
		removed      bool
		says         string
	}{
		"both say that it is old":    {local: old, store: old.Add(time.Minute), removed: true},
		"both say that it is young":  {local: young, store: young},
		"less than an hour between":  {local: old, store: old.Add(-50 * time.Minute), removed: true},
		"the local clock runs ahead": {local: young.Add(year), store: young, says: "synchronise them"},
		"the store's runs ahead":     {local: young, store: young.Add(year), says: "synchronise them"},
		"the local clock is behind":  {local: time.Unix(0, 0), store: old, says: "synchronise them"},
		"two hours apart":            {local: old, store: old.Add(2 * time.Hour), says: "synchronise them"},
		"the store does not answer":  {local: old, err: errors.New("away"), says: "what time it is"},
		"the store's decides":        {local: began.Add(keep + 40*time.Minute), store: began.Add(keep - 10*time.Minute)},
	} {
		s := &clocked{at: c.store, err: c.err}
		s.Now = func() time.Time { return began }
		id := segmenter.NewRecordingID(began)
		m := m3u8.Media{Type: m3u8.VOD, TargetDuration: 2, EndList: true}
		for seq := range uint64(3) {
			n := segmenter.Name{Kind: segmenter.KindSegment, App: "live", Stream: "cam", Recording: id, Sequence: seq}
			if _, err := s.Put(t.Context(), n.String(), strings.NewReader("x"), storage.Attributes{}); err != nil {
				t.Fatal(err)
			}
			m.Segments = append(m.Segments, m3u8.Segment{URI: fmt.Sprintf("cam/%s/%09d.ts", id, seq), Duration: 180000, Size: 1, CRC32C: 1, ProgramDateTime: began.Add(time.Duration(seq) * 2 * time.Second)})
		}
		if _, err := s.Put(t.Context(), "live/streams/cam-"+string(id)+".m3u8", bytes.NewReader(m.Append(nil)), storage.Attributes{}); err != nil {
			t.Fatal(err)
		}
		var log bytes.Buffer
		r := NewRetention(s, RetentionOptions{Name: "bucket", Keep: map[string]time.Duration{"live": keep}, Log: slog.New(slog.NewTextHandler(&log, nil))})
		for range 3 {
			r.expire(t.Context(), c.local)
		}
		left := len(storetest.Keys(t, s, ""))
		if c.removed != (left == 0) || !c.removed && left != 4 {
			t.Errorf("%s: %d objects left", name, left)
		}
		if c.says != "" && strings.Count(log.String(), c.says) != 1 {
			t.Errorf("%s: not said once: %s", name, log.String())
		}
	}
}
