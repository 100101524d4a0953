package id3

import (
	"errors"
	"testing"
)

func TestQueue(t *testing.T) {
	type look struct {
		number     uint64
		start, now int64
		opening    bool
		tag        string // empty: none is due
		at         int64
	}
	for name, tc := range map[string]struct {
		orders []Order
		broken bool
		looks  []look
	}{
		"within a segment":    {[]Order{{From: 3, At: 100}}, false, []look{{3, 0, 99, false, "", 0}, {3, 0, 100, false, "a", 100}, {3, 0, 101, false, "", 0}}},
		"at a late unit":      {[]Order{{From: 3, At: 100}}, false, []look{{3, 0, 150, false, "a", 100}}},
		"after a cut":         {[]Order{{From: 3, At: 100}}, false, []look{{4, 105, 105, true, "a", 105}}},
		"far in the next":     {[]Order{{From: 3, At: 100}}, false, []look{{4, 90, 90, true, "", 0}, {4, 90, 110, false, "a", 100}}},
		"at a beginning":      {[]Order{{From: 4, Begin: true}}, false, []look{{3, 0, 100, false, "", 0}, {4, 100, 100, true, "a", 100}}},
		"after a beginning":   {[]Order{{From: 4, Begin: true}}, false, []look{{4, 100, 130, false, "a", 130}}},
		"before a beginning":  {[]Order{{From: 4, Begin: true}, {From: 4, At: 110}}, false, []look{{4, 100, 95, true, "a", 100}, {4, 100, 95, true, "", 0}, {4, 100, 115, false, "b", 110}}},
		"of a number skipped": {[]Order{{From: 4, Begin: true}}, false, []look{{6, 100, 100, true, "a", 100}}},
		"in order": {[]Order{{From: 3, At: 100}, {From: 3, At: 90}, {From: 4, Begin: true}}, false,
			[]look{{3, 0, 100, false, "a", 100}, {3, 0, 100, false, "b", 90}, {3, 0, 100, false, "", 0}, {4, 120, 120, true, "c", 120}}},
		"over a break": {[]Order{{From: 3, At: 1 << 40}}, true, []look{{4, 5, 5, true, "a", 5}}},
	} {
		var q Queue
		for i, o := range tc.orders {
			o.Tag = []byte{byte('a' + i)}
			if err := q.Add(o); err != nil {
				t.Fatal(err)
			}
		}
		if tc.broken {
			q.Break()
		}
		for i, l := range tc.looks {
			tag, at, ok := q.Next(l.number, l.start, l.now, l.opening)
			if string(tag) != l.tag || ok != (l.tag != "") || ok && at != l.at {
				t.Errorf("%s, look %d: %q at %d, %v", name, i, tag, at, ok)
			}
		}
		if q.Len() != 0 {
			t.Errorf("%s: %d wait for ever", name, q.Len())
		}
	}
}

func TestQueueIsBounded(t *testing.T) {
	var q Queue
	for i := range MaxWaiting {
		if err := q.Add(Order{From: uint64(7 + i)}); err != nil {
			t.Fatal(i, err)
		}
	}
	if err := q.Add(Order{}); !errors.Is(err, ErrFull) || q.Len() != MaxWaiting {
		t.Errorf("%d, %v", q.Len(), err)
	}
	if q.Wants(6) || !q.Wants(7) {
		t.Error("it wants a place in another segment")
	}
}
