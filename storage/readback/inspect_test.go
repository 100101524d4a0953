package readback

import (
	"bytes"
	"io"
	"strings"
	"testing"

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
			if err := m.Put(t.Context(), c.key, bytes.NewReader(c.body), c.a); err != nil {
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
