package control

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"time"

	"github.com/hlsorigin/hlsorigin/origin/admin/api"
	"github.com/hlsorigin/hlsorigin/storage/library"
)

// Recordings gives the API access to the bucket.
type Recordings struct {
	Libraries []*library.Library // of the bucket, then of its replica: what is removed goes from all
}

// List implements api.Recordings.
func (r Recordings) List(ctx context.Context, app, stream string) iter.Seq2[api.Recording, error] {
	return func(yield func(api.Recording, error) bool) {
		for rec, err := range r.Libraries[0].List(ctx, app, stream) {
			if !yield(recording(&rec), err) {
				return
			}
		}
	}
}

// Show implements api.Recordings.
func (r Recordings) Show(ctx context.Context, app, name string) (api.Recording, error) {
	ref, err := reference(app, name)
	if err != nil {
		return api.Recording{}, err
	}
	rec, _, err := r.Libraries[0].Show(ctx, ref)
	return recording(&rec), failure(err, ref)
}

// Verify implements api.Recordings.
func (r Recordings) Verify(ctx context.Context, app, name string, deep bool) (api.Report, error) {
	ref, err := reference(app, name)
	if err != nil {
		return api.Report{}, err
	}
	rep, err := r.Libraries[0].Verify(ctx, ref, library.VerifyOptions{Checksums: deep})
	if err != nil {
		return api.Report{}, failure(err, ref)
	}
	out := api.Report{
		Recording: recording(&rep.Recording), Checked: rep.Checked, ReadBytes: rep.ReadBytes, Findings: []api.Finding{},
		Sound: rep.Sound, Whole: rep.Whole, Lost: seconds(rep.Lost), Took: seconds(rep.Took),
	}
	for _, f := range rep.Findings {
		sequence := int64(-1)
		if f.Sequence != nil {
			sequence = int64(*f.Sequence)
		}
		out.Findings = append(out.Findings, api.Finding{Problem: string(f.Problem), Key: f.Key, Sequence: sequence, Want: f.Want, Got: f.Got, Detail: f.Detail})
	}
	return out, nil
}

// Remove implements api.Recordings.
func (r Recordings) Remove(ctx context.Context, app, name string, really, force bool) (api.Removal, error) {
	ref, err := reference(app, name)
	if err != nil {
		return api.Removal{}, err
	}
	out, err := removeFrom(ctx, r.Libraries, ref, library.RemoveOptions{Really: really, Force: force})
	return out, failure(err, ref)
}

// removeFrom removes a recording or a clip from the bucket and from its replica. What the replica has not need not be removed there;
// what it keeps is a warning, as nobody plays it any more.
func removeFrom(ctx context.Context, libraries []*library.Library, ref library.RecordingRef, o library.RemoveOptions) (api.Removal, error) {
	var out *library.Removal
	warning, lacks := "", false
	for i, l := range libraries {
		removed, err := l.Remove(ctx, []library.RecordingRef{ref}, o)
		switch {
		case i == 0 && missing(err) && len(libraries) > 1:
			lacks = true
		case i == 0 && errors.Is(err, library.ErrAlive):
			return api.Removal{}, api.Fail(api.Conflict, "%v; force=true removes it all the same", err)
		case i == 0 && errors.Is(err, library.ErrJoined):
			return api.Removal{}, api.Fail(api.Conflict, "%v", err)
		case i == 0 && err != nil:
			return api.Removal{}, err
		case err == nil && out == nil:
			out = removed
		case err != nil && missing(err) && lacks:
			return api.Removal{}, err
		case err != nil && !missing(err):
			warning = fmt.Sprintf("the replica: %v", err)
		}
	}
	if out == nil {
		return api.Removal{}, errors.New(warning)
	}
	done := api.Removal{Removed: out.Removed, Playlists: append([]string{}, out.Playlists...), Segments: len(out.Segments), Bytes: out.Bytes, Clips: []string{}, Spared: out.Spared, Warning: warning}
	for _, c := range out.Clips {
		done.Clips = append(done.Clips, c.Stream+"-"+string(c.ID))
	}
	return done, nil
}

func missing(err error) bool { return errors.Is(err, fs.ErrNotExist) }

// reference parses a recording's name.
func reference(app, name string) (library.RecordingRef, error) {
	ref, err := library.ParseRecordingRef(app + "/" + name)
	if err != nil {
		return ref, api.Fail(api.NotFound, "%v: GET /v1/recordings lists those that there are", err)
	}
	return ref, nil
}

// failure says what to do about a missing recording.
func failure(err error, ref library.RecordingRef) error {
	if errors.Is(err, fs.ErrNotExist) {
		return api.Fail(api.NotFound, "there is no recording %s in the bucket: GET /v1/recordings lists those that there are", ref)
	}
	return err
}

func recording(r *library.Recording) api.Recording {
	out := api.Recording{
		App: r.App, Name: r.Stream + "-" + string(r.ID), Stream: r.Stream, ID: string(r.ID), Playlist: r.Playlist, Group: []string{}, Ended: r.Ended,
		Start: r.Start.UTC(), Duration: seconds(r.Duration), Segments: r.Segments, Gaps: r.Gaps, Bytes: r.Bytes, Modified: r.Modified.UTC(), Damage: r.Damage, Clip: r.Clip,
	}
	for _, g := range r.Group {
		out.Group = append(out.Group, g.Stream+"-"+string(g.ID))
	}
	return out
}

func seconds(s library.Seconds) float64 { return time.Duration(s).Seconds() }
