package rig

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest/rtmp/rtmpclient"
)

// feed is what the camera sends over one connection: the headers, then the clip from any of its keyframes on, forever.
type feed struct {
	c     *Camera
	base  uint32 // the first time stamp
	until time.Time

	next    int
	headers []rtmpclient.Tag
	shift   uint32
	begun   time.Time
	last    uint32
}

func (f *feed) Next() (rtmpclient.Tag, error) {
	now := time.Now()
	if f.begun.IsZero() {
		f.begin(now)
	}
	f.c.Mu.Lock()
	f.c.Late = max(f.c.Late, now.Sub(f.begun)-time.Duration(f.last-f.base)*time.Millisecond)
	steady := f.c.steady
	f.c.Mu.Unlock()
	if !steady && !f.until.IsZero() && now.After(f.until) {
		return rtmpclient.Tag{}, errDropped
	}
	if len(f.headers) > 0 {
		t := f.headers[0]
		f.headers = f.headers[1:]
		t.Timestamp = f.base
		return t, nil
	}
	for {
		if f.next == len(f.c.tags) {
			f.next = 0
			f.shift += f.c.period
		}
		t := f.c.tags[f.next]
		f.next++
		if isHeader(t) {
			continue
		}
		if t.Type == 9 {
			t.Data = f.mark(t.Data)
		}
		t.Timestamp += f.shift
		f.last = t.Timestamp
		return t, nil
	}
}

func (f *feed) begin(now time.Time) {
	f.begun = now
	var keys []int
	for i, t := range f.c.tags {
		switch {
		case isHeader(t):
			f.headers = append(f.headers, t)
		case t.Type == 9 && t.Data[0]>>4 == 1:
			keys = append(keys, i)
		}
	}
	f.next = keys[rand.IntN(len(keys))]
	f.shift = f.base - f.c.tags[f.next].Timestamp
	f.last = f.base
	if f.c.step {
		f.next = keys[int(f.base%f.c.period)*len(keys)/int(f.c.period)]
		f.shift = f.base - f.base%f.c.period
	}
}

func isHeader(t rtmpclient.Tag) bool { return t.Type == 18 || t.Data[1] == 0 }

// mark prepends a NAL unit of user data to a picture.
func (f *feed) mark(picture []byte) []byte {
	key := picture[0]>>4 == 1
	if !key && f.c.ballast == 0 {
		return picture
	}
	text := fmt.Sprintf("hlsorigin tests.%016x", rand.Uint64())
	text += strings.Repeat("ballast ", f.c.ballast/8)
	unit := []byte{6, 5} // SEI, user data: the size, 16 bytes that name the kind, the data
	for n := len(text); ; n -= 255 {
		unit = append(unit, byte(min(n, 255)))
		if n < 255 {
			break
		}
	}
	unit = append(append(unit, text...), 0x80)
	out := slices.Clone(picture[:5])
	out = binary.BigEndian.AppendUint32(out, uint32(len(unit)))
	return append(append(out, unit...), picture[5:]...)
}
