package readback

import (
	"bytes"
	"hash/crc32"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/storage"
	"github.com/hlsorigin/hlsorigin/storage/storetest"
)

func packets(n int) []byte {
	b := storetest.Random(1, n*packetSize)
	for i := 0; i < len(b); i += packetSize {
		b[i] = syncByte
	}
	return b
}

// What is no segment does not leave under the name of one, and is not kept.
func TestInspectSegments(t *testing.T) {
	const segment = "live/streams/cam/2023-08-24_16-02-52.970/000000001.ts"
	bad := func(at int) []byte {
		b := packets(1000)
		b[at] = '<'
		return b
	}
	html := append([]byte("<!DOCTYPE html>"), make([]byte, 4*packetSize-15)...)
	for name, c := range map[string]struct {
		key  string
		body []byte
		a    storage.Attributes
		fine bool
		late bool // it is open by then, and breaks off
	}{
		"a segment":               {key: segment, body: packets(1000), fine: true},
		"of one packet":           {key: segment, body: packets(1), fine: true},
		"a playlist":              {key: "live/streams/cam.m3u8", body: []byte("#EXTM3U\n"), fine: true},
		"a playlist that is gzip": {key: "live/streams/cam.m3u8", body: []byte("gzip"), a: storage.Attributes{ContentEncoding: "gzip"}, fine: true},
		"nothing":                 {key: segment},
		"a web page":              {key: segment, body: html},
		"half a packet":           {key: segment, body: packets(10)[:1000]},
		"gzip":                    {key: segment, body: packets(10), a: storage.Attributes{ContentEncoding: "gzip"}},
		"first sync byte":         {key: segment, body: bad(0)},
		"second sync byte":        {key: segment, body: bad(packetSize)},
		"last sync byte":          {key: segment, body: bad(999 * packetSize), late: true},
	} {
		for _, limit := range []int64{0, 100} { // kept in memory, and passed through
			var m storetest.Memory
			if _, err := m.Put(t.Context(), c.key, bytes.NewReader(c.body), c.a); err != nil {
				t.Fatal(err)
			}
			r := New(&m, Options{Inspect: InspectSegments, MaxObject: limit})
			content, err := r.Open(t.Context(), c.key)
			if err == nil {
				var got []byte
				if got, err = io.ReadAll(content); err == nil && !bytes.Equal(got, c.body) {
					t.Errorf("%s: other bytes", name)
				}
				content.Close()
			} else if c.late {
				t.Errorf("%s: %v", name, err)
			}
			switch {
			case c.fine && err != nil:
				t.Errorf("%s, limit %d: %v", name, limit, err)
			case !c.fine && !(c.late && limit > 0) && (err == nil || !strings.Contains(err.Error(), "no segment")):
				t.Errorf("%s, limit %d: given on: %v", name, limit, err)
			}
			if used := r.Stats.Bytes.Load(); !c.fine && used != 0 {
				t.Errorf("%s: %d bytes are kept", name, used)
			}
			r.Close()
		}
	}
}

// What is known to be something else does not leave at all, and is not kept: not the first byte of it, since a CDN keeps a range
// for a year, too.
func TestKnownSegments(t *testing.T) {
	const segment = "live/streams/cam/2023-08-24_16-02-52.970/000000001.ts"
	body := packets(1000)
	known := Known{int64(len(body)), crc32.Checksum(body, crc32.MakeTable(crc32.Castagnoli))}
	flipped := bytes.Clone(body)
	flipped[len(flipped)-2] ^= 1
	for name, c := range map[string]struct {
		body    []byte
		unknown bool
		fine    bool
	}{
		"as sent":             {body: body, fine: true},
		"one bit is wrong":    {body: flipped},
		"another segment":     {body: packets(999)},
		"of the same size":    {body: append(bytes.Clone(body[packetSize:]), body[:packetSize]...)},
		"nothing is known":    {body: flipped, unknown: true, fine: true},
		"a web page, of size": {body: append([]byte("<html>"), body[6:]...)},
	} {
		for _, limit := range []int64{0, 100} { // kept in memory, and passed through
			var m storetest.Memory
			if _, err := m.Put(t.Context(), segment, bytes.NewReader(c.body), storage.Attributes{}); err != nil {
				t.Fatal(err)
			}
			r := New(&m, Options{Inspect: InspectSegments, MaxObject: limit, Known: func(string) (Known, bool) { return known, !c.unknown }})
			content, err := r.Open(t.Context(), segment)
			if (err == nil) != c.fine {
				t.Errorf("%s, limit %d: %v", name, limit, err)
			}
			if err == nil {
				if got, err := io.ReadAll(content); err != nil || !bytes.Equal(got, c.body) {
					t.Errorf("%s, limit %d: %d bytes, %v", name, limit, len(got), err)
				}
				content.Close()
			} else if used := r.Stats.Bytes.Load(); used != 0 || storage.KindOf(err) != storage.Permanent {
				t.Errorf("%s, limit %d: %d bytes are kept, %v", name, limit, used, err)
			}
			r.Close()
		}
	}
}

// A timeline knows the segments that it lists, and neither gaps nor what is none of its own.
func TestKnownSegmentsOfATimeline(t *testing.T) {
	at := time.Date(2023, 8, 24, 16, 2, 52, 970e6, time.UTC)
	id := segmenter.NewRecordingID(at)
	reg := segmenter.NewRegistry(segmenter.Options{Apps: map[string]segmenter.AppOptions{"live": {}}, Now: func() time.Time { return at.Add(time.Minute) }})
	rows := []segmenter.Row{{Sequence: 5, Start: at, Duration: 180000, Size: 188, CRC32C: 7}, {Sequence: 6, Start: at.Add(2 * time.Second), Duration: 180000, Gap: true},
		{Sequence: 7, Start: at.Add(4 * time.Second), Duration: 180000, Size: 376, CRC32C: 9}}
	err := reg.Restore(segmenter.Recovered{Key: segmenter.Key{App: "live", Stream: "cam"}, Recording: id, TargetDuration: 2, Base: 5, Rows: rows, Next: 8, LastFrame: at.Add(6 * time.Second)})
	if err != nil {
		t.Fatal(err)
	}
	known := KnownSegments(reg.Recording)
	for seq, want := range map[uint64]Known{4: {}, 5: {188, 7}, 6: {}, 7: {376, 9}, 8: {}} {
		n := segmenter.Name{Kind: segmenter.KindSegment, App: "live", Stream: "cam", Recording: id, Sequence: seq}
		if k, ok := known(n.String()); ok != (want.Size > 0) || ok && k != want {
			t.Errorf("%d: %+v, %v", seq, k, ok)
		}
	}
	for _, key := range []string{"live/streams/cam.m3u8", "live/streams/other/" + string(id) + "/000000005.ts", "live/streams/cam/2020-01-01_00-00-00.000/000000005.ts", "x"} {
		if k, ok := known(key); ok {
			t.Errorf("%s: %+v", key, k)
		}
	}
}
