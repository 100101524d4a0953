package vod

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/hlsorigin/hlsorigin/ingest/codec"
	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
	"github.com/hlsorigin/hlsorigin/segmenter/mpegts"
)

// Getter reads the objects of a package, by their keys relative to it. One that is missing is fs.ErrNotExist.
type Getter interface {
	Get(ctx context.Context, key string) ([]byte, error)
}

// Report is what Verify has found.
type Report struct {
	Playlists int      `json:"playlists"`
	Segments  int      `json:"segments"`
	Bytes     int64    `json:"bytes"`    // of segments
	Findings  []string `json:"findings"` // what is wrong, each with the key; none: the package is whole
}

// maxFindings bounds a report.
const maxFindings = 100

// Verify reads a whole package: are all objects there that a playlist names, are they the bytes that were put, do the segments last as long
// as they say, and do the rungs change at the same times. The error is that of the store; what is wrong with the package is in the report.
func Verify(ctx context.Context, in Getter) (*Report, error) {
	v := &verifier{in: in}
	for _, name := range []string{masterName, cmafMasterName} {
		body, err := v.get(ctx, name)
		if err != nil {
			return nil, err
		}
		if body == nil {
			if name == masterName {
				v.find("%s is missing", name)
			}
			continue
		}
		if err := v.master(ctx, name, body); err != nil {
			return nil, err
		}
	}
	if err := v.thumbnails(ctx); err != nil {
		return nil, err
	}
	return &v.report, nil
}

type verifier struct {
	in     Getter
	report Report
}

func (v *verifier) find(format string, a ...any) {
	if len(v.report.Findings) < maxFindings {
		v.report.Findings = append(v.report.Findings, fmt.Sprintf(format, a...))
	}
}

// get reads an object; nil where it is missing.
func (v *verifier) get(ctx context.Context, key string) ([]byte, error) {
	b, err := v.in.Get(ctx, key)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("get %s: %w", key, err)
	}
	if b == nil {
		b = []byte{}
	}
	return b, nil
}

func (v *verifier) master(ctx context.Context, name string, body []byte) error {
	m, err := m3u8.ParseMaster(body)
	if err != nil {
		v.find("%s cannot be read: %s", name, err)
		return nil
	}
	v.report.Playlists++
	if len(m.Variants) == 0 {
		v.find("%s has no variants", name)
	}
	var first *m3u8.Media
	of := ""
	target := 0
	check := func(uri string, pictures bool) error {
		l, err := v.media(ctx, uri)
		if err != nil || l == nil {
			return err
		}
		if target != 0 && l.TargetDuration != target {
			v.find("%s has a target duration of %d s, others of %s have %d", uri, l.TargetDuration, name, target)
		}
		target = l.TargetDuration
		switch {
		case !pictures:
		case first == nil:
			first, of = l, uri
		case !together(first, l):
			v.find("%s and %s are not cut at the same times", of, uri)
		}
		return nil
	}
	for i := range m.Variants {
		if err := check(m.Variants[i].URI, m.Variants[i].Width > 0); err != nil {
			return err
		}
	}
	for i := range m.Renditions {
		if err := check(m.Renditions[i].URI, false); err != nil {
			return err
		}
	}
	return nil
}

// together reports whether two playlists change from segment to segment at the same times, within a picture of 24 a second.
func together(a, b *m3u8.Media) bool {
	if len(a.Segments) != len(b.Segments) {
		return false
	}
	at := int64(0)
	for i := range a.Segments[:max(len(a.Segments)-1, 0)] {
		if at += a.Segments[i].Duration - b.Segments[i].Duration; at > codec.Clock/24 || at < -codec.Clock/24 {
			return false
		}
	}
	return true
}

func (v *verifier) media(ctx context.Context, uri string) (*m3u8.Media, error) {
	body, err := v.get(ctx, uri)
	if err != nil {
		return nil, err
	}
	if body == nil {
		v.find("%s is missing", uri)
		return nil, nil
	}
	l, err := m3u8.ParseMedia(body)
	if err != nil {
		v.find("%s cannot be read: %s", uri, err)
		return nil, nil
	}
	v.report.Playlists++
	if !l.EndList || l.Type != m3u8.VOD {
		v.find("%s does not end", uri)
	}
	dir := path.Dir(uri)
	for i := range l.Segments {
		s := &l.Segments[i]
		if s.Map != "" {
			init, err := v.get(ctx, path.Join(dir, s.Map))
			if err != nil {
				return nil, err
			}
			if len(init) == 0 {
				v.find("%s is missing", path.Join(dir, s.Map))
			}
		}
		if s.Gap {
			continue
		}
		if (s.Duration+codec.Clock/2)/codec.Clock > int64(l.TargetDuration) {
			v.find("%s: %s is longer than the target duration", uri, s.URI)
		}
		if err := v.segment(ctx, path.Join(dir, s.URI), s); err != nil {
			return nil, err
		}
	}
	return l, nil
}

func (v *verifier) segment(ctx context.Context, key string, s *m3u8.Segment) error {
	body, err := v.get(ctx, key)
	if err != nil {
		return err
	}
	v.report.Segments++
	v.report.Bytes += int64(len(body))
	switch {
	case body == nil:
		v.find("%s is missing", key)
	case int64(len(body)) != s.Size:
		v.find("%s has %d bytes, and had %d", key, len(body), s.Size)
	case mpegts.Checksum(body) != s.CRC32C:
		v.find("%s has other bytes than were put", key)
	case strings.HasSuffix(key, ".ts"):
		span := spans{}
		if _, err := span.in.Read([][]byte{body}, &span); err != nil {
			v.find("%s: %s", key, err)
		} else if d := s.Duration - span.lasts(); d > codec.Clock/2 || d < -codec.Clock/2 {
			v.find("%s lasts %s, and its playlist says %s", key, codec.Duration(span.lasts()), codec.Duration(s.Duration))
		}
	}
	return nil
}

// spans measures how long a segment lasts, by the track that lasts longer.
type spans struct {
	in    mpegts.Demuxer
	seen  [2]bool
	first [2]int64
	last  [2]int64 // after first
	step  [2]int64
}

func (s *spans) lasts() int64 { return max(s.last[0]+s.step[0], s.last[1]+s.step[1]) }

// Program implements mpegts.Handler.
func (s *spans) Program(mpegts.StreamType, mpegts.StreamType) error { return nil }

// Begin implements mpegts.Handler.
func (s *spans) Begin(u *mpegts.Unit) error {
	t := u.Track
	if !s.seen[t] {
		s.seen[t], s.first[t] = true, u.DTS
		return nil
	}
	at := mpegts.Distance(s.first[t], u.DTS)
	s.step[t] = at - s.last[t]
	s.last[t] = at
	return nil
}

// Bytes implements mpegts.Handler.
func (s *spans) Bytes(mpegts.Track, []byte) {}

// Packets implements mpegts.Handler.
func (s *spans) Packets(mpegts.Track, *mpegts.Run) {}

// End implements mpegts.Handler.
func (s *spans) End(mpegts.Track) error { return nil }

// thumbnails checks that the sprites are there that the WebVTT file names.
func (v *verifier) thumbnails(ctx context.Context) error {
	body, err := v.get(ctx, thumbsName)
	if body == nil || err != nil {
		return err
	}
	seen := map[string]bool{}
	for line := range strings.Lines(string(body)) {
		name, _, ok := strings.Cut(strings.TrimSpace(line), "#xywh=")
		if !ok || seen[name] {
			continue
		}
		seen[name] = true
		image, err := v.get(ctx, name)
		if err != nil {
			return err
		}
		if len(image) == 0 {
			v.find("%s is missing", name)
		}
	}
	return nil
}
