package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
)

// Clip is a playlist over part of a recording. Its segments are the recording's own: nothing is copied.
type Clip struct {
	App       string    `json:"app"`
	Name      string    `json:"name" doc:"As the other calls take it: what it was called and the id of its recording, goal-2023-08-24_16-02-52.970."`
	Title     string    `json:"title" doc:"What it was called: goal."`
	Stream    string    `json:"stream" doc:"The stream or the ladder that it is of."`
	Recording string    `json:"recording" doc:"The id of the recording that it is of."`
	Playlist  string    `json:"playlist" doc:"Path of its playlist on the public origin, and below the prefix in the bucket. Of a ladder it is multivariant."`
	Rungs     []string  `json:"rungs" nullable:"false" doc:"Of a ladder, the names of the clips of its rungs."`
	LeftOut   []string  `json:"left_out" nullable:"false" doc:"Of a ladder, the rungs that have not all of it and are not in it."`
	AskedFrom time.Time `json:"asked_start"`
	AskedTo   time.Time `json:"asked_end"`
	Start     time.Time `json:"start" doc:"Of the first frame: a clip is cut at segments, so it begins at asked_start or before, and ends at asked_end or after, as far as there is anything."`
	End       time.Time `json:"end" doc:"After the last frame."`
	Duration  float64   `json:"duration_seconds" doc:"Gaps included."`
	Segments  int       `json:"segments" doc:"Gaps not included."`
	Gaps      int       `json:"gaps" doc:"Segments within it that are lost."`
	Bytes     int64     `json:"bytes" doc:"Of a ladder, of all rungs."`
	Created   time.Time `json:"created"`
	Warning   string    `json:"warning" doc:"What is not as it should be: the replica lacks it. Empty: nothing is."`
}

// ClipOrder says what is to be clipped.
type ClipOrder struct {
	App    string    `json:"app" minLength:"1" maxLength:"128"`
	Stream string    `json:"stream" minLength:"1" maxLength:"128" doc:"A stream, or a ladder: then the clip is multivariant."`
	Start  time.Time `json:"start" doc:"RFC 3339, in any time zone."`
	End    time.Time `json:"end" doc:"After start, and not in the future."`
	Name   string    `json:"name" minLength:"1" maxLength:"100" doc:"What it is called. The playlist is streams/{name}-{recording}.m3u8. It must not be the name of a stream."`
}

// Clips makes clips and knows those that there are. A clip's name is what its playlist has, goal-2023-08-24_16-02-52.970. Errors that
// are a *Failure say what kind they are.
type Clips interface {
	Make(ctx context.Context, o ClipOrder) (Clip, error)
	// List gives the clips of all apps where app is "", of all streams where stream is "", no more than limit, and whether there are more.
	List(ctx context.Context, app, stream string, limit int) (list []Clip, more bool, err error)
	Show(ctx context.Context, app, name string) (Clip, error)
	Remove(ctx context.Context, app, name string, really bool) (Removal, error)
}

// ClipPath names a clip in a path. It is exported for the reason that StreamPath is.
type ClipPath struct {
	App  string `path:"app" doc:"The app."`
	Name string `path:"name" doc:"The clip, as the list names it: goal-2023-08-24_16-02-52.970."`
}

type clipOrder struct{ Body ClipOrder }

type clipSearch struct {
	App    string `query:"app" doc:"Of this app alone."`
	Stream string `query:"stream" doc:"Of this stream or ladder alone; it needs app."`
	Limit  int    `query:"limit" minimum:"1" maximum:"10000" default:"1000" doc:"The most clips in the answer."`
}

type clipRemoval struct {
	ClipPath
	Confirm bool `query:"confirm" doc:"Remove it. Without, the answer says what would be removed."`
}

type (
	clipShown struct{ Body Clip }
	clipList  struct {
		Body struct {
			Clips []Clip `json:"clips" nullable:"false" doc:"By app, stream, recording and place in it."`
			More  bool   `json:"more" doc:"There are more than the limit."`
		}
	}
)

// clips registers what is asked about clips.
func (a *API) clips() {
	const path = "/v1/clips/{app}/{name}"
	long := []int{http.StatusNotFound, http.StatusNotImplemented, http.StatusBadGateway, http.StatusServiceUnavailable}
	huma.Register(a.api, op(http.MethodPost, "/v1/clips", "make-clip", "clips", "Make a clip",
		"A playlist in the bucket over part of a recording, finished or running; of a running one it waits until the segments are in the bucket. It is cut at segments: the answer has what was asked and what was given. "+
			"A clip is of one recording, and of 24 hours at the most. Its segments stay in the bucket until the clip is removed, whatever becomes of the recording.", append(long, http.StatusConflict)...),
		func(ctx context.Context, in *clipOrder) (out *clipShown, err error) {
			if !in.Body.End.After(in.Body.Start) {
				return nil, huma.NewError(http.StatusUnprocessableEntity, "end is not after start")
			}
			err = a.clip(ctx, func(ctx context.Context) error {
				c, err := a.o.Clips.Make(ctx, in.Body)
				out = &clipShown{c}
				return err
			})
			return out, err
		})
	huma.Register(a.api, op(http.MethodGet, "/v1/clips", "list-clips", "clips", "List the clips", "", http.StatusNotImplemented, http.StatusBadGateway, http.StatusServiceUnavailable),
		func(ctx context.Context, in *clipSearch) (*clipList, error) {
			if in.Stream != "" && in.App == "" {
				return nil, huma.NewError(http.StatusUnprocessableEntity, "stream needs app: name the app too")
			}
			out := &clipList{}
			err := a.clip(ctx, func(ctx context.Context) (err error) {
				out.Body.Clips, out.Body.More, err = a.o.Clips.List(ctx, in.App, in.Stream, in.Limit)
				return err
			})
			if out.Body.Clips == nil {
				out.Body.Clips = []Clip{}
			}
			return out, err
		})
	huma.Register(a.api, op(http.MethodGet, path, "get-clip", "clips", "Show a clip", "", long...),
		func(ctx context.Context, in *ClipPath) (out *clipShown, err error) {
			err = a.clip(ctx, func(ctx context.Context) error {
				c, err := a.o.Clips.Show(ctx, in.App, in.Name)
				out = &clipShown{c}
				return err
			})
			return out, err
		})
	huma.Register(a.api, op(http.MethodDelete, path, "remove-clip", "clips", "Remove a clip",
		"Its playlist goes, and of its segments those that neither a recording nor another clip has. It cannot be had back.", long...),
		func(ctx context.Context, in *clipRemoval) (out *removed, err error) {
			err = a.clip(ctx, func(ctx context.Context) error {
				r, err := a.o.Clips.Remove(ctx, in.App, in.Name, in.Confirm)
				out = &removed{r}
				return err
			})
			return out, err
		})
}

// clip asks the bucket something about clips.
func (a *API) clip(ctx context.Context, ask func(context.Context) error) error {
	if a.o.Clips == nil {
		return missing(noStore)
	}
	return a.waited(ctx, ask)
}
