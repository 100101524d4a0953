package vodjobs

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/segmenter/vod"
	"github.com/hlsorigin/hlsorigin/storage"
	"github.com/hlsorigin/hlsorigin/storage/fence"
	"github.com/hlsorigin/hlsorigin/storage/jobs"
	"github.com/hlsorigin/hlsorigin/storage/source"
)

// begun is the name under which a job keeps that its folder was empty, so that what is called as in a package is its own from then on, and
// which version of its input it began with.
const begun = ".begun" // no rung is called so

// beginning is what is kept under begun.
type beginning struct {
	Version string `json:"version"` // of the input
}

// do makes the package of a job.
func (s *Service) do(ctx context.Context, w *jobs.Work) (json.RawMessage, error) {
	var o vod.Options
	if err := json.Unmarshal(w.Job.Options, &o); err != nil {
		return nil, &jobs.Refusal{Code: vod.CodeBadRequest, Reason: "its options cannot be read: " + err.Error()}
	}
	p := s.places()
	store, prefix, err := p.Output(ctx, w.Job.Output)
	if err != nil {
		return nil, refusedOutput(err)
	}
	kept, own := w.Done[begun]
	if !own {
		switch empty, err := isEmpty(ctx, store, prefix); {
		case err != nil:
			return nil, err
		case !empty:
			return nil, &jobs.Refusal{Code: "output_not_empty", Reason: notEmpty(w.Job.Output)}
		}
	}
	in, err := p.Open(ctx, w.Job.Input)
	if err != nil {
		return nil, unreadable(err)
	}
	defer in.Close()
	if own { // what is done is of the file as it was
		var b beginning
		if err := json.Unmarshal(kept, &b); err != nil {
			return nil, fmt.Errorf("what is kept of the job's begin: %w", err)
		}
		if b.Version != in.Version() {
			return nil, &jobs.Refusal{Code: "input_changed", Reason: in.Name() + " was replaced since the job began: order another for what is there now"}
		}
	} else {
		data, err := json.Marshal(beginning{in.Version()})
		if err == nil {
			err = w.Keep(ctx, begun, data)
		}
		if err != nil {
			return nil, err
		}
	}
	done := map[string]vod.RungDone{}
	for name, data := range w.Done {
		var d vod.RungDone
		if name != begun && json.Unmarshal(data, &d) == nil {
			done[name] = d
		}
	}
	result, err := s.o.Package(ctx, vod.Request{
		Input: in, Output: &output{w, store, prefix, s.fitness() == fence.Unfit}, Kind: vod.Kind(w.Job.Kind), Options: o, Done: done,
		Checkpoint: func(rung string, d vod.RungDone) error {
			data, err := json.Marshal(d)
			if err != nil {
				return err
			}
			return w.Keep(ctx, rung, data)
		},
		Progress: func(p vod.Progress) { w.Progress(p.Stage, p.Done) },
	})
	var refusal *vod.Refusal
	var fault *vod.Fault
	switch {
	case errors.As(err, &fault):
		s.o.Log.Error("panic while a package is made", "job", w.Job.ID, "panic", fmt.Sprint(fault.Value), "stack", string(fault.Stack))
		return nil, &jobs.Refusal{Code: "internal", Reason: "the server has a fault that this file brings out: report it, with the file and what the server's log says at this time"}
	case errors.As(err, &refusal):
		return nil, &jobs.Refusal{Code: refusal.Code, Reason: refusal.Reason}
	case errors.Is(err, source.ErrChanged):
		return nil, unreadable(err)
	case err != nil:
		return nil, err
	}
	result.Notes = append(result.Notes, in.Notes...)
	thumbnails := ""
	if o.Thumbnails {
		if _, err := store.Stat(ctx, prefix+thumbnailsFile); err == nil {
			thumbnails = thumbnailsFile
		}
	}
	return json.Marshal(summary(&result, thumbnails))
}

const (
	masterFile     = "master.m3u8"
	thumbnailsFile = "thumbnails.vtt"
)

// made is what is kept of a package's making.
type made struct {
	Duration   float64    `json:"duration"` // seconds
	Rungs      []madeRung `json:"rungs"`
	Objects    int        `json:"objects"`
	Bytes      int64      `json:"bytes"`
	Poster     string     `json:"poster,omitempty"`
	Thumbnails string     `json:"thumbnails,omitempty"`
	Notes      []string   `json:"notes,omitempty"`
}

type madeRung struct {
	Name     string `json:"name"`
	Width    int    `json:"width,omitempty"`
	Height   int    `json:"height,omitempty"`
	Average  int    `json:"average"`
	Peak     int    `json:"peak"`
	Codecs   string `json:"codecs"`
	Segments int    `json:"segments"`
}

func summary(r *vod.Result, thumbnails string) made {
	m := made{Duration: r.Duration.Seconds(), Objects: r.Objects, Bytes: r.Bytes, Poster: r.Poster, Thumbnails: thumbnails, Notes: r.Notes}
	for _, x := range r.Rungs {
		m.Rungs = append(m.Rungs, madeRung{x.Name, x.Width, x.Height, x.Average, x.Peak, strings.Trim(x.Video+","+x.Audio, ","), x.Segments})
	}
	return m
}

func notEmpty(output string) string {
	return fmt.Sprintf("there is something in %s already: choose another folder, or remove it. A package is never put over another, since caches keep its segments for a year", output)
}

func refusedOutput(err error) error {
	if errors.Is(err, source.ErrForm) || errors.Is(err, source.ErrNotAllowed) {
		return &jobs.Refusal{Code: "output_not_allowed", Reason: err.Error()}
	}
	return err
}

// errFound ends a listing.
var errFound = errors.New("found")

func isEmpty(ctx context.Context, store storage.Store, prefix string) (bool, error) {
	err := store.List(ctx, prefix, func(storage.Object) error { return errFound })
	if errors.Is(err, errFound) {
		return false, nil
	}
	return err == nil, err
}

// output is where a job's package goes. It writes only while the job is this server's, and removes nothing: see jobs.Options.Do.
type output struct {
	w      *jobs.Work
	store  storage.Store
	prefix string
	unfit  bool // the store does not keep to conditions
}

// What caches are told of a package: it is never written over, but a folder may be removed and used again.
const agePlaylist = "public, max-age=10"

// Put implements vod.Output.
func (o *output) Put(ctx context.Context, key, contentType string, body [][]byte) error {
	a := storage.Attributes{ContentType: contentType, CacheControl: segmenter.AgeSegment}
	if listed(key) {
		a.CacheControl = agePlaylist
	}
	if o.unfit { // there is no other server
		if err := o.w.Hold(ctx); err != nil {
			return err
		}
		_, err := o.store.Put(ctx, o.prefix+key, storage.Body(body), a)
		return err
	}
	return o.w.Put(ctx, o.store, o.prefix+key, body, a)
}

// listed reports whether a key is of an object that names others.
func listed(key string) bool {
	return slices.Contains([]string{".m3u8", ".mpd", ".vtt"}, path.Ext(key))
}

// undo removes what a job has left, playlists first. Where its folder was never found empty, nothing in it is its own; and what lies deeper,
// as the packages of other jobs may, never is.
func (s *Service) undo(ctx context.Context, w *jobs.Work) error {
	j := &w.Job
	if _, own := w.Done[begun]; !own {
		return nil
	}
	store, prefix, err := s.places().Output(ctx, j.Output)
	if err != nil {
		if refusedOutput(err) != err {
			s.o.Log.Warn("what a job has left cannot be removed, since the configuration does not let it write there any more: remove it by hand", "job", j.ID, "output", j.Output)
			return nil
		}
		return err
	}
	var keys []string
	err = store.List(ctx, prefix, func(o storage.Object) error {
		if vod.Own(strings.TrimPrefix(o.Key, prefix)) {
			keys = append(keys, o.Key)
		}
		return nil
	})
	if err != nil {
		return err
	}
	rank := func(key string) int {
		switch {
		case strings.HasPrefix(key, prefix+"master") || path.Ext(key) == ".mpd":
			return 0
		case listed(key):
			return 1
		}
		return 2
	}
	slices.SortStableFunc(keys, func(a, b string) int { return cmp.Compare(rank(a), rank(b)) })
	for some := range slices.Chunk(keys, maxRemoved) {
		if err := w.Hold(ctx); err != nil {
			return err
		}
		if err := store.Remove(ctx, some...); err != nil {
			return err
		}
	}
	return nil
}

// maxRemoved is how many objects are removed for each time that the job is seen to be this server's.
const maxRemoved = 1000

func segmentDuration(seconds float64) time.Duration {
	return time.Duration(seconds * float64(time.Second))
}
