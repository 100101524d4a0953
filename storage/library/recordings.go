package library

import (
	"context"
	"fmt"
	"math"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
	"github.com/hlsorigin/hlsorigin/storage"
)

// Recording is what a timestamped playlist says about itself; or a folder of segments that no playlist names.
type Recording struct {
	RecordingRef
	Playlist string         `json:"playlist"`          // key of the timestamped playlist; "" where there is none
	Folders  []string       `json:"folders,omitempty"` // ids of the folders that its segments lie in
	Group    []RecordingRef `json:"group,omitempty"`   // the recordings that a group's playlist joins
	Ended    bool           `json:"ended"`             // the playlist has its end
	Start    time.Time      `json:"start"`
	Duration Seconds        `json:"duration_seconds"` // gaps included
	Segments int            `json:"segments"`         // gaps not included
	Gaps     int            `json:"gaps"`
	Bytes    int64          `json:"bytes"` // as far as the playlist says sizes; of a folder, of all its objects
	Modified time.Time      `json:"modified"`
	Damage   string         `json:"damage,omitempty"` // why the playlist cannot be read
	Clip     string         `json:"clip,omitempty"`   // the recording that it is a clip of
}

// Seconds is a duration that JSON shows as a number of seconds.
type Seconds time.Duration

// MarshalJSON gives three decimals.
func (s Seconds) MarshalJSON() ([]byte, error) {
	return fmt.Appendf(nil, "%.3f", time.Duration(s).Seconds()), nil
}

// UnmarshalJSON reads a number of seconds.
func (s *Seconds) UnmarshalJSON(b []byte) error {
	var v float64
	if _, err := fmt.Sscan(string(b), &v); err != nil {
		return err
	}
	*s = Seconds(time.Duration(v*1000+0.5) * time.Millisecond)
	return nil
}

// End is the instant after the last frame.
func (r *Recording) End() time.Time { return r.Start.Add(time.Duration(r.Duration)) }

// Apps names what looks like an app of this server: the folders that hold a folder "streams".
func (l *Library) Apps(ctx context.Context) ([]string, error) {
	var candidates, apps []string
	err := storage.Browse(ctx, l.s, "", func(o storage.Object) error {
		if name, ok := strings.CutSuffix(o.Key, "/"); ok && segmenter.ValidName(name) {
			candidates = append(candidates, name)
		}
		return nil
	})
	for _, name := range candidates {
		if err != nil {
			break
		}
		found := false
		err = storage.Browse(ctx, l.s, name+"/", func(o storage.Object) error {
			found = found || o.Key == name+"/streams/"
			return nil
		})
		if found {
			apps = append(apps, name)
		}
	}
	return apps, err
}

// describe also notes the folders whose segments are named.
func (a *archived) describe(named map[folderRef]bool) Recording {
	r := Recording{RecordingRef: a.ref, Playlist: a.object.Key, Modified: a.object.Modified}
	r.Start, _ = a.ref.ID.Time()
	r.Clip = a.clip()
	switch {
	case a.err != nil:
		r.Damage = a.err.Error()
	case a.master != nil:
		r.Group, r.Ended = a.children(), true
	case a.media != nil:
		r.Ended = a.media.EndList
		if len(a.media.Segments) > 0 && !a.media.Segments[0].ProgramDateTime.IsZero() {
			r.Start = a.media.Segments[0].ProgramDateTime
		}
		var ticks int64
		a.segments(func(_ int, s *m3u8.Segment, n segmenter.Name, ok bool) {
			ticks += s.Duration
			if s.Gap {
				r.Gaps++
			} else {
				r.Segments++
				r.Bytes += s.Size
			}
			if !ok {
				return
			}
			if f := (folderRef{n.App, n.Stream, n.Recording}); !slices.Contains(r.Folders, string(f.id)) {
				r.Folders = append(r.Folders, string(f.id))
				named[f] = true
			}
		})
		r.Duration = Seconds(ticksToDuration(ticks))
	}
	return r
}

// measure gives a ladder what its own playlist does not say: begin, duration and end are those of the first of its rungs that is there, since
// they begin and end together.
func (l *Library) measure(ctx context.Context, r *Recording) error {
	for _, ref := range r.Group {
		a, err := l.load(ctx, ref)
		switch {
		case storage.KindOf(err) == storage.Missing:
			continue
		case err != nil:
			return fmt.Errorf("recording %s: %w", ref, err)
		case a.media == nil:
			continue
		}
		rung := a.describe(make(map[folderRef]bool))
		r.Start, r.Duration, r.Ended = rung.Start, rung.Duration, rung.Ended
		if rung.Modified.After(r.Modified) {
			r.Modified = rung.Modified
		}
		return nil
	}
	return nil
}

func (l *Library) describeFolder(ctx context.Context, f folderRef) (Recording, error) {
	r := Recording{RecordingRef: RecordingRef{f.app, f.stream, f.id}, Folders: []string{string(f.id)}}
	r.Start, _ = f.id.Time()
	segments, _, err := l.objects(ctx, f)
	if err != nil || len(segments) == 0 {
		return r, err
	}
	kept, err := l.sparedIn(ctx, f) // they are those of clips, whose recording was removed
	for seq, o := range segments {
		if kept.has(seq) {
			continue
		}
		r.Segments++
		r.Bytes += o.Size
		if o.Modified.After(r.Modified) {
			r.Modified = o.Modified
		}
	}
	return r, err
}

// Show is one recording with its playlist as it stands; the playlist is nil where there is none, or none to be read.
// A name without any object behind it is fs.ErrNotExist.
func (l *Library) Show(ctx context.Context, ref RecordingRef) (Recording, *m3u8.Media, error) {
	a, err := l.load(ctx, ref)
	if storage.KindOf(err) == storage.Missing {
		r, folderErr := l.describeFolder(ctx, folderRef{ref.App, ref.Stream, ref.ID})
		if folderErr != nil {
			return r, nil, folderErr
		}
		if r.Segments > 0 {
			return r, nil, nil
		}
	}
	if err != nil {
		return Recording{}, nil, fmt.Errorf("recording %s: %w", ref, err)
	}
	r := a.describe(make(map[folderRef]bool))
	err = l.measure(ctx, &r)
	return r, a.media, err
}

// timeForm shows an instant of media.
const timeForm = "2006-01-02T15:04:05.000Z"

// ticksToDuration turns 90 kHz ticks into time, rounded to the nanosecond. What no duration can hold is the longest that there is.
func ticksToDuration(ticks int64) time.Duration {
	if ticks/9 > math.MaxInt64/100_000-1 {
		return math.MaxInt64
	}
	return time.Duration(ticks/9*100_000 + ticks%9*100_000/9)
}

// relative is the URI of a key in the playlist beside the app's streams.
func relative(key string) string {
	_, uri, _ := strings.Cut(key, "/streams/")
	return path.Clean(uri)
}
