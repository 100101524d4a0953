package api

import (
	"context"
	"encoding/json"
	"io"
	"iter"
	"net/http"
	"reflect"
	"time"

	"github.com/danielgtaylor/huma/v2"
)

// Recording is a recording as its timestamped playlist says.
type Recording struct {
	App      string    `json:"app"`
	Name     string    `json:"name" doc:"As the other calls take it: the stream and the id, cam-2023-08-24_16-02-52.970."`
	Stream   string    `json:"stream" doc:"The stream or the ladder."`
	ID       string    `json:"id" doc:"The UTC instant of the first frame."`
	Playlist string    `json:"playlist" doc:"Path of the timestamped playlist; empty where there is none: repair the recording."`
	Group    []string  `json:"group" nullable:"false" doc:"Of a ladder, the names of its rungs' recordings."`
	Ended    bool      `json:"ended" doc:"The playlist has its end."`
	Start    time.Time `json:"start"`
	Duration float64   `json:"duration_seconds" doc:"Gaps included."`
	Segments int       `json:"segments" doc:"Gaps not included."`
	Gaps     int       `json:"gaps"`
	Bytes    int64     `json:"bytes"`
	Modified time.Time `json:"modified"`
	Damage   string    `json:"damage" doc:"Why the playlist cannot be read; empty where it can."`
	Clip     string    `json:"clip" doc:"The recording that it is a clip of; empty: it is none."`
}

// behind is by how much the playlist in the bucket of a recording that grows may be.
const behind = 5 * time.Minute

// end is the instant after the last frame; of a recording that grows, after the last that it may have.
func (r *Recording) end() time.Time {
	end := r.Start.Add(time.Duration(r.Duration * float64(time.Second)))
	if grows := r.Modified.Add(behind); !r.Ended && grows.After(end) {
		return grows
	}
	return end
}

// Finding is one thing that is not as it should be.
type Finding struct {
	Problem  string `json:"problem" doc:"no-playlist, bad-playlist, missing, size, checksum, media, unlisted; or a notice, which is no damage: gap, returned, open."`
	Key      string `json:"key" doc:"The object."`
	Sequence int64  `json:"sequence" doc:"Of the segment; -1 where it is none."`
	Want     string `json:"want" doc:"What the playlist says."`
	Got      string `json:"got" doc:"What is there."`
	Detail   string `json:"detail"`
}

// Report is what came of a verification.
type Report struct {
	Recording Recording `json:"recording"`
	Checked   int       `json:"checked" doc:"Segments looked at; of a ladder, of all rungs."`
	ReadBytes int64     `json:"read_bytes" doc:"Of segments that were read whole."`
	Findings  []Finding `json:"findings" nullable:"false"`
	Sound     bool      `json:"sound" doc:"What is there is what the playlist says."`
	Whole     bool      `json:"whole" doc:"And every second of it is there: no gap either."`
	Lost      float64   `json:"lost_seconds" doc:"Of gaps, and of segments that are missing or damaged; of a ladder, of the rung that lacks most."`
	Took      float64   `json:"took_seconds"`
}

// Removal is what was removed, or would be.
type Removal struct {
	Removed   bool     `json:"removed" doc:"False: nothing was, this is what would be."`
	Playlists []string `json:"playlists" nullable:"false"`
	Segments  int      `json:"segments" doc:"How many."`
	Bytes     int64    `json:"bytes" doc:"Of segments."`
	Clips     []string `json:"clips" nullable:"false" doc:"Clips that need segments of it. Those segments stay."`
	Spared    int      `json:"spared" doc:"Segments that stay for clips."`
	Warning   string   `json:"warning" doc:"What was not removed, of the replica; empty: all was."`
}

// RecordingList is the answer to a search.
type RecordingList struct {
	Recordings []Recording `json:"recordings" nullable:"false" doc:"By app, stream and time."`
	More       bool        `json:"more" doc:"There are more than the limit: ask for less, by stream and from."`
	Error      string      `json:"error" doc:"Why the list is not complete; empty where it is."`
}

// Limits of recordings.
const (
	// maxLook bounds how long the bucket is looked through for one request. It is within the admin port's write time-out.
	maxLook = 4 * time.Minute
	noStore = "storage.url is empty: there is no bucket to look into"
)

type search struct {
	App    string    `query:"app" doc:"Of this app alone."`
	Stream string    `query:"stream" doc:"Of this stream alone; it needs app."`
	From   time.Time `query:"from" doc:"Those that have something from then on, or may: what the bucket knows of one that grows is up to five minutes behind. RFC 3339."`
	To     time.Time `query:"to" doc:"Those that have something before. RFC 3339."`
	Limit  int       `query:"limit" minimum:"1" maximum:"10000" default:"1000" doc:"The most recordings in the answer."`
}

// wants reports whether a recording is searched for.
func (s *search) wants(r *Recording) bool {
	return (s.From.IsZero() || !r.end().Before(s.From)) && (s.To.IsZero() || r.Start.Before(s.To))
}

// RecordingPath names a recording in a path. It is exported for the reason that StreamPath is.
type RecordingPath struct {
	App  string `path:"app" doc:"The app."`
	Name string `path:"name" doc:"The recording, as the list names it: cam-2023-08-24_16-02-52.970."`
}

type verification struct {
	RecordingPath
	Body *struct {
		Deep bool `json:"deep,omitempty" doc:"Read every byte and compare it with the playlist's checksums. Without, names and sizes are compared."`
	}
}

type removal struct {
	RecordingPath
	Confirm bool `query:"confirm" doc:"Remove it. Without, the answer says what would be removed."`
	Force   bool `query:"force" doc:"Also a recording that may still be growing."`
}

type (
	recordingShown struct{ Body Recording }
	verified       struct{ Body Report }
	removed        struct{ Body Removal }
)

// recordings registers what is asked about recordings.
func (a *API) recordings() {
	const path = "/v1/recordings/{app}/{name}"
	list := op(http.MethodGet, "/v1/recordings", "list-recordings", "recordings", "Search recordings",
		"The bucket is looked through for it, for four minutes at the most; the answer is sent as it is found.", http.StatusNotImplemented, http.StatusBadGateway, http.StatusServiceUnavailable)
	list.Responses = map[string]*huma.Response{"200": {Description: "OK", Content: map[string]*huma.MediaType{
		"application/json": {Schema: a.api.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[RecordingList](), true, "")},
	}}}
	huma.Register(a.api, list, a.list)
	long := []int{http.StatusNotFound, http.StatusNotImplemented, http.StatusBadGateway, http.StatusServiceUnavailable}
	huma.Register(a.api, op(http.MethodGet, path, "get-recording", "recordings", "Show a recording", "", long...),
		func(ctx context.Context, in *RecordingPath) (out *recordingShown, err error) {
			err = a.look(ctx, func(ctx context.Context) error {
				r, err := a.o.Recordings.Show(ctx, in.App, in.Name)
				out = &recordingShown{r}
				return err
			})
			return out, err
		})
	huma.Register(a.api, op(http.MethodPost, path+"/verify", "verify-recording", "recordings", "Verify a recording",
		"Is every second there? It looks for four minutes at the most: `hlsorigin recordings verify` has no such bound.", long...),
		func(ctx context.Context, in *verification) (out *verified, err error) {
			err = a.look(ctx, func(ctx context.Context) error {
				r, err := a.o.Recordings.Verify(ctx, in.App, in.Name, in.Body != nil && in.Body.Deep)
				out = &verified{r}
				return err
			})
			return out, err
		})
	huma.Register(a.api, op(http.MethodDelete, path, "remove-recording", "recordings", "Remove a recording",
		"Playlists go first, then segments that no other playlist names. It cannot be had back.", append(long, http.StatusConflict)...),
		func(ctx context.Context, in *removal) (out *removed, err error) {
			err = a.look(ctx, func(ctx context.Context) error {
				r, err := a.o.Recordings.Remove(ctx, in.App, in.Name, in.Confirm, in.Force)
				out = &removed{r}
				return err
			})
			return out, err
		})
}

// look asks the bucket something that may take long.
func (a *API) look(ctx context.Context, ask func(context.Context) error) error {
	if a.o.Recordings == nil {
		return missing(noStore)
	}
	return a.waited(ctx, ask)
}

// waited is what takes as long as the bucket does.
func (a *API) waited(ctx context.Context, ask func(context.Context) error) error {
	done, ok := a.begin(ctx)
	if !ok {
		return busy()
	}
	defer done()
	ctx, cancel := context.WithTimeout(ctx, maxLook)
	defer cancel()
	err := ask(ctx)
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return answered(Fail(Unavailable, "the bucket took longer than %s: use hlsorigin recordings on the command line, which has no such bound", maxLook))
	}
	return answered(err)
}

// list finds the first recording before it answers, so that a bucket that is away is a problem and not an empty list.
func (a *API) list(ctx context.Context, in *search) (*huma.StreamResponse, error) {
	if a.o.Recordings == nil {
		return nil, missing(noStore)
	}
	if in.Stream != "" && in.App == "" {
		return nil, huma.NewError(http.StatusUnprocessableEntity, "stream needs app: name the app too")
	}
	done, ok := a.begin(ctx)
	if !ok {
		return nil, busy()
	}
	ctx, cancel := context.WithTimeout(ctx, maxLook)
	next, stop := iter.Pull2(a.matching(ctx, in))
	leave := func() { stop(); cancel(); done() }
	r, err, more := next()
	if err != nil {
		leave()
		return nil, answered(err)
	}
	return &huma.StreamResponse{Body: func(out huma.Context) {
		defer leave()
		out.SetHeader("Content-Type", "application/json")
		out.SetStatus(http.StatusOK)
		writeList(out.BodyWriter(), in.Limit, func() (Recording, error, bool) {
			defer func() { r, err, more = next() }()
			return r, err, more
		})
	}}, nil
}

// matching are the recordings that are searched for.
func (a *API) matching(ctx context.Context, in *search) iter.Seq2[Recording, error] {
	return func(yield func(Recording, error) bool) {
		for r, err := range a.o.Recordings.List(ctx, in.App, in.Stream) {
			if (err != nil || in.wants(&r)) && !yield(r, err) {
				return
			}
		}
	}
}

// writeList writes a RecordingList whose elements are not in memory together.
func writeList(w io.Writer, limit int, next func() (Recording, error, bool)) {
	var end struct {
		More  bool   `json:"more"`
		Error string `json:"error"`
	}
	sep := `{"recordings":[`
	for n := 0; ; n++ {
		r, err, more := next()
		if err != nil {
			end.Error = err.Error()
			break
		} else if !more {
			break
		} else if n == limit {
			end.More = true
			break
		}
		b, err := json.Marshal(r)
		if err != nil {
			end.Error = err.Error()
			break
		}
		if _, err := io.WriteString(w, sep+"\n"+string(b)); err != nil {
			return // the reader is gone
		}
		sep = ","
	}
	if sep != "," {
		_, _ = io.WriteString(w, sep)
	}
	b, _ := json.Marshal(end)                           // of a bool and a string it never fails
	_, _ = io.WriteString(w, "\n],"+string(b[1:])+"\n") // it fails only when the reader is gone
}
