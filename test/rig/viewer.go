package rig

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

// Viewer polls a stream like a player, but more often and less forgiving: it loads every playlist and every segment, and checks both
// against what the server promises. Each broken promise is an entry of faults.
type Viewer struct {
	t     *testing.T
	entry string // URL of the stable entry

	client *http.Client // shows lengths as sent

	Mu        sync.Mutex // guards what follows
	faults    []string
	Media     string            // URL of the live playlist
	sums      map[string]string // of segments, by path: never two contents
	Body      map[string][]byte
	listed    map[string]time.Time // when a segment was loaded, which is soon after it was listed
	Named     map[string]time.Time // when a segment was first listed, without gaps
	Order     []string             // segment paths in the order of their numbers
	Rows      map[string]m3u8.Segment
	Target    int
	sequence  uint64
	breaks    uint64
	last      string // URI of the newest segment
	lastNew   time.Time
	Cadence   time.Duration // the longest wait for a new segment
	Ended     bool
	playlists int
	Recording string
	misses    int // 404 and connection failures of the stable entry and the playlist
}

// Watch polls until the test ends or stop is called.
func Watch(t *testing.T, entry string) (v *Viewer, stop func()) {
	t.Helper()
	transport := &http.Transport{DisableCompression: true}
	t.Cleanup(transport.CloseIdleConnections)
	v = &Viewer{t: t, entry: entry, client: &http.Client{Transport: transport}, sums: map[string]string{}, Body: map[string][]byte{}, listed: map[string]time.Time{}, Named: map[string]time.Time{}, Rows: map[string]m3u8.Segment{}}
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

func (v *Viewer) fault(format string, args ...any) {
	if len(v.faults) < 50 {
		v.faults = append(v.faults, time.Now().Format("05.000 ")+fmt.Sprintf(format, args...))
	}
}

// fetch loads a URL, or returns nil if it does not exist.
func (v *Viewer) fetch(url string) ([]byte, *http.Response) {
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

func (v *Viewer) poll() {
	v.Mu.Lock()
	defer v.Mu.Unlock()
	if v.Media == "" {
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
		v.Media = Resolve(v.entry, m.Variants[0].URI)
		v.Recording = path.Base(path.Dir(v.Media))
	}
	body, res := v.fetch(v.Media)
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

// check checks one playlist against the previous ones.
func (v *Viewer) check(m *m3u8.Media, body []byte) {
	v.otherParsers(body, m)
	if v.Target == 0 {
		v.Target = m.TargetDuration
	}
	if m.TargetDuration != v.Target {
		v.fault("TARGETDURATION %d was %d", m.TargetDuration, v.Target)
	}
	if m.MediaSequence < v.sequence {
		v.fault("MEDIA-SEQUENCE fell from %d to %d", v.sequence, m.MediaSequence)
	}
	if m.DiscontinuitySequence < v.breaks {
		v.fault("DISCONTINUITY-SEQUENCE fell from %d to %d", v.breaks, m.DiscontinuitySequence)
	}
	v.sequence, v.breaks = m.MediaSequence, m.DiscontinuitySequence
	if v.Ended && !m.EndList {
		v.fault("ENDLIST is gone")
	}
	v.Ended = m.EndList
	sum := int64(0)
	for i, s := range m.Segments {
		sum += s.Duration
		if int((s.Duration+45000)/90000) > m.TargetDuration {
			v.fault("%s lasts %d ticks, TARGETDURATION %d", s.URI, s.Duration, m.TargetDuration)
		}
		if want := fmt.Sprintf("%09d.ts", m.MediaSequence+uint64(i)); s.URI != want {
			v.fault("number %d is %s", m.MediaSequence+uint64(i), s.URI)
		}
		if _, ok := v.Named[s.URI]; !ok && !s.Gap {
			v.Named[s.URI] = time.Now()
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
			v.Cadence = max(v.Cadence, time.Since(v.lastNew))
		}
		v.last, v.lastNew = m.Segments[n-1].URI, time.Now()
	}
}

// otherParsers compares our parsing with two independent parsers.
func (v *Viewer) otherParsers(body []byte, m *m3u8.Media) {
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

func (v *Viewer) segment(m *m3u8.Media, i int) {
	s := m.Segments[i]
	if s.Gap {
		if v.sums[s.URI] == "" {
			v.sums[s.URI] = "gap"
			v.Order = append(v.Order, s.URI)
			v.Rows[s.URI] = s
		}
		return
	}
	if sum := v.sums[s.URI]; sum != "" && sum != "gap" {
		return
	}
	body, res := v.fetch(Resolve(v.Media, s.URI))
	if body == nil {
		if res != nil { // a server that is being killed is another matter
			v.fault("%s is listed and answers %s", s.URI, res.Status)
		}
		return
	}
	if v.sums[s.URI] == "" {
		v.Order = append(v.Order, s.URI)
	}
	sum := md5.Sum(body)
	v.sums[s.URI], v.Body[s.URI], v.Rows[s.URI], v.listed[s.URI] = hex.EncodeToString(sum[:]), body, s, time.Now()
}

// Again loads every segment seen so far once more, and reports those that have changed.
func (v *Viewer) Again() {
	v.Mu.Lock()
	defer v.Mu.Unlock()
	for uri, want := range v.sums {
		if want == "gap" {
			continue
		}
		body, _ := v.fetch(Resolve(v.Media, uri))
		if body == nil {
			v.fault("%s is gone", uri)
			continue
		}
		if sum := md5.Sum(body); hex.EncodeToString(sum[:]) != want {
			v.fault("%s has other bytes than before", uri)
		}
	}
}

// All returns the segments' bytes, one after another.
func (v *Viewer) All() []byte {
	v.Mu.Lock()
	defer v.Mu.Unlock()
	var b []byte
	for _, uri := range v.Order {
		b = append(b, v.Body[uri]...)
	}
	return b
}

// Good fails the test for every fault.
func (v *Viewer) Good() {
	v.t.Helper()
	v.Mu.Lock()
	defer v.Mu.Unlock()
	for _, f := range v.faults {
		v.t.Error(f)
	}
}

// Count returns how many segments the viewer has loaded.
func (v *Viewer) Count() int {
	v.Mu.Lock()
	defer v.Mu.Unlock()
	return len(v.Order)
}

// Resolve resolves a relative reference like players do.
func Resolve(base, ref string) string {
	return base[:strings.LastIndex(base, "/")+1] + ref
}
