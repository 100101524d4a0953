package api

import (
	"encoding/json"
	"errors"
	"testing"
	"time"
)

func TestSearch(t *testing.T) {
	for _, tc := range []struct {
		query string
		n     int
		more  bool
	}{
		{"", 5, false}, {"?app=live", 5, false}, {"?app=live&stream=cam", 5, false}, {"?app=live&stream=other", 0, false}, {"?limit=5", 5, false}, {"?limit=2", 2, true},
		{"?from=2026-01-02T04:10:00Z", 4, false}, // it is not over by then
		{"?from=2026-01-02T04:40:00Z", 3, false},
		{"?to=2026-01-02T04:00:00Z", 1, false}, // it begins at that instant
		{"?from=2026-01-02T04:40:00Z&to=2026-01-02T06:00:01Z", 2, false},
		{"?from=2027-01-01T00:00:00Z", 0, false},
	} {
		var got RecordingList
		res := ask(open(newHouse()), "GET", "/v1/recordings"+tc.query, "")
		if err := json.NewDecoder(res.Body).Decode(&got); err != nil || len(got.Recordings) != tc.n || got.More != tc.more || got.Recordings == nil || got.Error != "" {
			t.Errorf("%s: %d found, more %v, %q, %v", tc.query, len(got.Recordings), got.More, got.Error, err)
		}
	}
}

// What the bucket has of a recording that grows is behind: it may have what is asked for.
func TestSearchThatGrows(t *testing.T) {
	h := newHouse()
	r := &h.recordings[4] // to 07:30
	r.Modified = r.Start.Add(31 * time.Minute)
	for _, tc := range []struct {
		from  string
		ended bool
		n     int
	}{{"07:36:00", false, 1}, {"07:36:00", true, 0}, {"07:36:01", false, 0}, {"07:30:00", true, 1}} {
		var got RecordingList
		r.Ended = tc.ended
		if err := json.NewDecoder(ask(open(h), "GET", "/v1/recordings?from=2026-01-02T"+tc.from+"Z", "").Body).Decode(&got); err != nil || len(got.Recordings) != tc.n {
			t.Errorf("%+v: %d found, %v", tc, len(got.Recordings), err)
		}
	}
}

// A bucket that fails at once is a problem; one that fails later says so behind what was found.
func TestSearchThatFails(t *testing.T) {
	h := newHouse()
	h.listErr = errors.New("the bucket is away")
	var got RecordingList
	if err := json.NewDecoder(ask(open(h), "GET", "/v1/recordings", "").Body).Decode(&got); err != nil || len(got.Recordings) != 5 || got.Error != "the bucket is away" {
		t.Errorf("%d found, then %q, %v", len(got.Recordings), got.Error, err)
	}
	h.recordings = nil
	if res := ask(open(h), "GET", "/v1/recordings", ""); res.StatusCode != 502 || problem(t, res) != "the bucket is away" {
		t.Errorf("%d", res.StatusCode)
	}
}
