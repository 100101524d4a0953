package main

import (
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"io"
	"math"
	"net/http"
	"path"
	"strings"
	"sync"
	"testing"
	"time"

	eyevinn "github.com/Eyevinn/hls-m3u8/m3u8"
	"github.com/bluenviron/gohlslib/v2/pkg/playlist"

	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
)

// viewer polls a stream as a player would, more often and less forgiving: it loads every playlist and every segment, and
// holds both against what the server promises. A broken promise is an entry of faults.
type viewer struct {
	t     *testing.T
	entry string // URL of the stable entry

	client *http.Client // shows lengths as they were sent

	mu        sync.Mutex
	faults    []string
	media     string            // URL of the live playlist
	sums      map[string]string // of segments, by path: never two contents
	body      map[string][]byte
	listed    map[string]time.Time // when a segment was loaded, which is soon after it was listed
	named     map[string]time.Time // when a segment was first listed, gaps left out
	order     []string             // segment paths in the order of their numbers
	rows      map[string]m3u8.Segment
	target    int
	sequence  uint64
	breaks    uint64
	last      string // URI of the newest segment
	lastNew   time.Time
	cadence   time.Duration // the longest wait for a new segment
	ended     bool
	playlists int
	recording string
	misses    int // 404 and connection failures of the stable entry and the playlist
}

// watch polls until the test ends or stop is called.
func watch(t *testing.T, entry string) (v *viewer, stop func()) {
	t.Helper()
	transport := &http.Transport{DisableCompression: true}
	t.Cleanup(transport.CloseIdleConnections)
	v = &viewer{t: t, entry: entry, client: &http.Client{Transport: transport}, sums: map[string]string{}, body: map[string][]byte{}, listed: map[string]time.Time{}, named: map[string]time.Time{}, rows: map[string]m3u8.Segment{}}
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			v.poll()
			select {
			case <-quit:
				v.poll()
				return
			case <-time.After(100 * time.Millisecond):
			}
		}
	}()
	var once sync.Once
	stop = func() { once.Do(func() { close(quit); <-done }) }
	t.Cleanup(stop)
	return v, stop
}

func (v *viewer) fault(format string, args ...any) {
	if len(v.faults) < 50 {
		v.faults = append(v.faults, time.Now().Format("05.000 ")+fmt.Sprintf(format, args...))
	}
}

// fetch loads a URL; nil where it is not there.
func (v *viewer) fetch(url string) ([]byte, *http.Response) {
	res, err := v.client.Get(url)
	if err != nil {
		return nil, nil
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, nil
	}
	if res.Header.Get("Cache-Control") == "" {
		v.fault("%s: no Cache-Control", url)
	}
	if res.Header.Get("Set-Cookie") != "" {
		v.fault("%s: a cookie", url)
	}
	if res.StatusCode != http.StatusOK {
		return nil, res
	}
	if res.ContentLength != int64(len(body)) {
		v.fault("%s: Content-Length %d of %d bytes", url, res.ContentLength, len(body))
	}
	return body, res
}

func (v *viewer) poll() {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.media == "" {
		body, _ := v.fetch(v.entry)
		if body == nil {
			v.misses++
			return
		}
		m, err := m3u8.ParseMaster(body)
		if err != nil {
			v.fault("entry: %v", err)
			return
		}
		if _, err := playlist.Unmarshal(body); err != nil {
			v.fault("entry, by another parser: %v", err)
		}
		v.media = resolve(v.entry, m.Variants[0].URI)
		v.recording = path.Base(path.Dir(v.media))
	}
	body, res := v.fetch(v.media)
	if body == nil {
		v.misses++
		return
	}
	if ct := res.Header.Get("Content-Type"); ct != "application/vnd.apple.mpegurl" {
		v.fault("playlist of type %q", ct)
	}
	m, err := m3u8.ParseMedia(body)
	if err != nil {
		v.fault("playlist: %v\n%s", err, body)
		return
	}
	v.playlists++
	v.check(m, body)
	for i := range m.Segments {
		v.segment(m, i)
	}
}

// check holds one playlist against the ones before.
func (v *viewer) check(m *m3u8.Media, body []byte) {
	v.otherParsers(body, m)
	if v.target == 0 {
		v.target = m.TargetDuration
	}
	if m.TargetDuration != v.target {
		v.fault("TARGETDURATION %d was %d", m.TargetDuration, v.target)
	}
	if m.MediaSequence < v.sequence {
		v.fault("MEDIA-SEQUENCE fell from %d to %d", v.sequence, m.MediaSequence)
	}
	if m.DiscontinuitySequence < v.breaks {
		v.fault("DISCONTINUITY-SEQUENCE fell from %d to %d", v.breaks, m.DiscontinuitySequence)
	}
	v.sequence, v.breaks = m.MediaSequence, m.DiscontinuitySequence
	if v.ended && !m.EndList {
		v.fault("ENDLIST is gone")
	}
	v.ended = m.EndList
	sum := int64(0)
	for i, s := range m.Segments {
		sum += s.Duration
		if int((s.Duration+45000)/90000) > m.TargetDuration {
			v.fault("%s lasts %d ticks, TARGETDURATION %d", s.URI, s.Duration, m.TargetDuration)
		}
		if want := fmt.Sprintf("%09d.ts", m.MediaSequence+uint64(i)); s.URI != want {
			v.fault("number %d is %s", m.MediaSequence+uint64(i), s.URI)
		}
		if _, ok := v.named[s.URI]; !ok && !s.Gap {
			v.named[s.URI] = time.Now()
		}
		if (i == 0 || s.Discontinuity) && s.ProgramDateTime.IsZero() {
			v.fault("%s has no PROGRAM-DATE-TIME", s.URI)
		}
	}
	if m.MediaSequence > 0 && sum < int64(3*m.TargetDuration)*90000 {
		v.fault("a window of %d ticks, TARGETDURATION %d", sum, m.TargetDuration)
	}
	if n := len(m.Segments); n > 0 && m.Segments[n-1].URI != v.last {
		if v.last != "" {
			v.cadence = max(v.cadence, time.Since(v.lastNew))
		}
		v.last, v.lastNew = m.Segments[n-1].URI, time.Now()
	}
}

// otherParsers holds our reading against two that are not ours.
func (v *viewer) otherParsers(body []byte, m *m3u8.Media) {
	p, err := playlist.Unmarshal(body)
	if err != nil {
		v.fault("by gohlslib: %v\n%s", err, body)
	} else if media, ok := p.(*playlist.Media); !ok || len(media.Segments) != len(m.Segments) || media.MediaSequence != int(m.MediaSequence) {
		v.fault("gohlslib reads another playlist:\n%s", body)
	}
	q, kind, err := eyevinn.DecodeFrom(bytes.NewReader(body), true)
	if err != nil {
		v.fault("by hls-m3u8: %v\n%s", err, body)
		return
	}
	media, ok := q.(*eyevinn.MediaPlaylist)
	if !ok || kind != eyevinn.MEDIA || media.SeqNo != m.MediaSequence || int(media.TargetDuration) != m.TargetDuration {
		v.fault("hls-m3u8 reads another playlist:\n%s", body)
		return
	}
	for i, s := range media.GetAllSegments() {
		if i < len(m.Segments) && (s.URI != m.Segments[i].URI || math.Abs(s.Duration-float64(m.Segments[i].Duration)/90000) > 0.001) {
			v.fault("hls-m3u8 reads segment %d as %s, %v", i, s.URI, s.Duration)
		}
	}
}

func (v *viewer) segment(m *m3u8.Media, i int) {
	s := m.Segments[i]
	if s.Gap {
		if v.sums[s.URI] == "" {
			v.sums[s.URI] = "gap"
			v.order = append(v.order, s.URI)
			v.rows[s.URI] = s
		}
		return
	}
	if sum := v.sums[s.URI]; sum != "" && sum != "gap" {
		return
	}
	body, res := v.fetch(resolve(v.media, s.URI))
	if body == nil {
		if res != nil { // a server that is being killed is another matter
			v.fault("%s is listed and answers %s", s.URI, res.Status)
		}
		return
	}
	if v.sums[s.URI] == "" {
		v.order = append(v.order, s.URI)
	}
	sum := md5.Sum(body)
	v.sums[s.URI], v.body[s.URI], v.rows[s.URI], v.listed[s.URI] = hex.EncodeToString(sum[:]), body, s, time.Now()
}

// again loads every segment seen so far once more, and finds those that mean something else now.
func (v *viewer) again() {
	v.mu.Lock()
	defer v.mu.Unlock()
	for uri, want := range v.sums {
		if want == "gap" {
			continue
		}
		body, _ := v.fetch(resolve(v.media, uri))
		if body == nil {
			v.fault("%s is gone", uri)
			continue
		}
		if sum := md5.Sum(body); hex.EncodeToString(sum[:]) != want {
			v.fault("%s has other bytes than before", uri)
		}
	}
}

// all are the segments' bytes, one after the other.
func (v *viewer) all() []byte {
	v.mu.Lock()
	defer v.mu.Unlock()
	var b []byte
	for _, uri := range v.order {
		b = append(b, v.body[uri]...)
	}
	return b
}

// good fails the test for every fault.
func (v *viewer) good() {
	v.t.Helper()
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, f := range v.faults {
		v.t.Error(f)
	}
}

func (v *viewer) count() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return len(v.order)
}

// resolve is a relative reference as players resolve it.
func resolve(base, ref string) string {
	return base[:strings.LastIndex(base, "/")+1] + ref
}
