package api

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
)

// JobRung is a rendition of a package.
type JobRung struct {
	Name         string `json:"name" minLength:"1" maxLength:"128" pattern:"^[A-Za-z0-9][A-Za-z0-9._-]*$" doc:"Its folder in the package: 720p."`
	Width        int    `json:"width,omitempty" minimum:"0" maximum:"8192" doc:"Of the box that the picture is fitted into, pixels; 0: no bound."`
	Height       int    `json:"height,omitempty" minimum:"0" maximum:"8192" doc:"The same. Where the picture stands upright, they are exchanged."`
	VideoBitrate int    `json:"video_bitrate,omitempty" minimum:"0" maximum:"200000000" doc:"Bits per second; 0: by the height."`
	AudioBitrate int    `json:"audio_bitrate,omitempty" minimum:"0" maximum:"1000000" doc:"Bits per second; 0: a usual one."`
}

// JobOptions say what a package is to be.
type JobOptions struct {
	Ladder          []JobRung `json:"ladder,omitempty" maxItems:"8" doc:"Missing: jobs.ladder, or else by the source. Rungs above the source are left out."`
	SegmentDuration float64   `json:"segment_duration_seconds,omitempty" minimum:"0" maximum:"60" doc:"Missing or 0: 6; otherwise from 1 on."`
	CMAF            bool      `json:"cmaf,omitempty" doc:"Fragmented MP4 beside the transport stream, with master_cmaf.m3u8 and manifest.mpd."`
	Poster          *bool     `json:"poster,omitempty" doc:"poster.jpg. Missing: yes for adaptive_video."`
	Thumbnails      *bool     `json:"thumbnails,omitempty" doc:"thumbnails.vtt with its sprites. Missing: yes for adaptive_video."`
}

// JobOrder says what is to be made of what.
type JobOrder struct {
	Input      string            `json:"input" minLength:"1" maxLength:"2048" doc:"s3://bucket/key, file:///path, or recording:APP/NAME with a recording's name; taken literally, nothing in it is decoded. What may be read is set by jobs.inputs; the server's own bucket always may."`
	Kind       string            `json:"kind" enum:"adaptive_video,remux" doc:"adaptive_video makes a ladder; remux packages the pictures as they are."`
	Output     string            `json:"output,omitempty" maxLength:"1024" doc:"s3://bucket/folder/, or a folder of the server's own bucket: vod/lecture/. There must be nothing in it. Missing: a new one in jobs.output, named as the input."`
	Priority   *int              `json:"priority,omitempty" minimum:"0" maximum:"9" doc:"Of jobs that wait, the one with the higher goes first. Missing: 5."`
	Options    JobOptions        `json:"options,omitempty"`
	Metadata   map[string]string `json:"metadata,omitempty" maxProperties:"32" doc:"Texts that come back in the answers and events; at most 8 KiB."`
	WebhookURL string            `json:"webhook_url,omitempty" maxLength:"2048" doc:"Who is told of the job's end, beside the webhooks of the configuration: signed with jobs.webhook_secret, and only where jobs.webhook_hosts lets it be."`
}

// Job is a job as it is now.
type Job struct {
	ID         string            `json:"id"`
	State      string            `json:"state" enum:"queued,running,succeeded,failed,canceled"`
	Status     string            `json:"status" enum:"SUBMITTED,PROGRESSING,COMPLETE,ERROR,CANCELED" doc:"The same, as AWS Elemental MediaConvert calls it."`
	Kind       string            `json:"kind"`
	Input      string            `json:"input"`
	Output     string            `json:"output" doc:"The package's folder."`
	Playlist   string            `json:"playlist" doc:"What players are given, when it has succeeded."`
	Priority   int               `json:"priority"`
	Progress   float64           `json:"progress" doc:"Per cent. It may fall when a try begins."`
	Stage      string            `json:"stage" doc:"What it is at: probing, transcoding, packaging, finishing. Empty: it does not run."`
	Tries      int               `json:"tries" doc:"Begun so far."`
	Node       string            `json:"node" doc:"The server that runs it, or did."`
	Canceling  bool              `json:"canceling" doc:"It was told to end, and what it has made is being removed."`
	Code       string            `json:"code" doc:"Why it failed, for programs; docs/vod.md has all of them."`
	Reason     string            `json:"reason" doc:"Why it failed, or why the last try did; with what to do."`
	Metadata   map[string]string `json:"metadata"`
	Webhook    string            `json:"webhook" doc:"The host of its webhook_url."`
	Untold     string            `json:"webhook_error" doc:"Why its webhook was given up. Empty: it was not."`
	Created    time.Time         `json:"created"`
	Started    *time.Time        `json:"started,omitempty"`
	Finished   *time.Time        `json:"finished,omitempty"`
	Duration   float64           `json:"duration_seconds" doc:"Of the media, when it has succeeded."`
	Rungs      []JobMade         `json:"rungs" nullable:"false" doc:"Of the package, when it has succeeded; the best first."`
	Objects    int               `json:"objects" doc:"Of the package, put by the last try."`
	Bytes      int64             `json:"bytes" doc:"In them."`
	Poster     string            `json:"poster" doc:"Its place. Empty: there is none."`
	Thumbnails string            `json:"thumbnails" doc:"Place of the WebVTT file. Empty: there is none."`
	Notes      []string          `json:"notes" nullable:"false" doc:"What was decided and may surprise."`
}

// JobMade is a rendition that was made.
type JobMade struct {
	Name     string `json:"name"`
	Width    int    `json:"width"`
	Height   int    `json:"height"`
	Average  int    `json:"average_bitrate"`
	Peak     int    `json:"peak_bitrate"`
	Codecs   string `json:"codecs"`
	Segments int    `json:"segments"`
}

// Jobs makes packages of files. Errors that are a *Failure say what kind they are.
type Jobs interface {
	// Add queues a job, or returns the one that was queued with this key before; "": there is none.
	Add(ctx context.Context, o JobOrder, key string) (Job, error)
	// List gives those that are not over, then those that are, the newest first; of a state alone where it is not "".
	List(ctx context.Context, state string, limit int) (list []Job, more bool, err error)
	Show(ctx context.Context, id string) (Job, error)
	Cancel(ctx context.Context, id string) (Job, error)
}

type (
	jobOrder struct {
		Key  string `header:"Idempotency-Key" maxLength:"255" doc:"A job is queued once, however often it is ordered with one key; the answer is the job then. With another order: 422."`
		Body JobOrder
	}
	jobSearch struct {
		State string `query:"state" enum:"queued,running,succeeded,failed,canceled" doc:"Of this state alone."`
		Limit int    `query:"limit" minimum:"1" maximum:"1000" default:"100" doc:"The most jobs in the answer."`
	}
	// JobPath names a job in a path. It is exported for the reason that StreamPath is.
	JobPath struct {
		ID string `path:"id" doc:"The job's id."`
	}
	jobShown struct{ Body Job }
	jobList  struct {
		Body struct {
			Jobs []Job `json:"jobs" nullable:"false" doc:"Those that are not over, in the order in which they are taken; then those that are, the newest first."`
			More bool  `json:"more" doc:"There may be more than the answer has."`
		}
	}
)

// maxMetadata bounds the metadata of a job, bytes.
const maxMetadata = 8 << 10

// jobs registers what is asked about jobs.
func (a *API) jobs() {
	const path = "/v1/jobs/{id}"
	store := []int{http.StatusNotImplemented, http.StatusBadGateway, http.StatusServiceUnavailable}
	huma.Register(a.api, op(http.MethodPost, "/v1/jobs", "add-job", "jobs", "Order a job",
		"A file becomes an adaptive package: `master.m3u8`, `{rung}/stream.m3u8`, `{rung}/segment-N.ts`, playlists last. It is queued in the bucket, and runs on one of the servers that share it.",
		append(store, http.StatusNotFound, http.StatusConflict)...),
		func(ctx context.Context, in *jobOrder) (out *jobShown, err error) {
			n := 0
			for k, v := range in.Body.Metadata {
				n += len(k) + len(v)
			}
			switch s := in.Body.Options.SegmentDuration; {
			case n > maxMetadata:
				return nil, huma.NewError(http.StatusUnprocessableEntity, "metadata has more than 8 KiB")
			case s != 0 && s < 1:
				return nil, huma.NewError(http.StatusUnprocessableEntity, "options.segment_duration_seconds is under 1")
			}
			err = a.job(ctx, func(ctx context.Context) error {
				j, err := a.o.Jobs.Add(ctx, in.Body, in.Key)
				out = &jobShown{j}
				return err
			})
			return out, err
		})
	huma.Register(a.api, op(http.MethodGet, "/v1/jobs", "list-jobs", "jobs", "List the jobs", "", store...),
		func(ctx context.Context, in *jobSearch) (*jobList, error) {
			out := &jobList{}
			err := a.job(ctx, func(ctx context.Context) (err error) {
				out.Body.Jobs, out.Body.More, err = a.o.Jobs.List(ctx, in.State, in.Limit)
				return err
			})
			if out.Body.Jobs == nil {
				out.Body.Jobs = []Job{}
			}
			return out, err
		})
	huma.Register(a.api, op(http.MethodGet, path, "get-job", "jobs", "Show a job", "", append(store, http.StatusNotFound)...),
		func(ctx context.Context, in *JobPath) (out *jobShown, err error) {
			err = a.job(ctx, func(ctx context.Context) error {
				j, err := a.o.Jobs.Show(ctx, in.ID)
				out = &jobShown{j}
				return err
			})
			return out, err
		})
	huma.Register(a.api, op(http.MethodDelete, path, "cancel-job", "jobs", "Cancel a job",
		"On whatever server it runs. What it has made is removed first, and it is `canceled` after that; until then it is `canceling`. One that is over stays as it is: 409.", append(store, http.StatusNotFound, http.StatusConflict)...),
		func(ctx context.Context, in *JobPath) (out *jobShown, err error) {
			err = a.job(ctx, func(ctx context.Context) error {
				j, err := a.o.Jobs.Cancel(ctx, in.ID)
				out = &jobShown{j}
				return err
			})
			return out, err
		})
}

// job asks the bucket something about jobs.
func (a *API) job(ctx context.Context, ask func(context.Context) error) error {
	if a.o.Jobs == nil {
		return missing(noJobs)
	}
	err := a.waited(ctx, ask)
	if errors.Is(err, context.Canceled) {
		return answered(Fail(Unavailable, "the server stops"))
	}
	return err
}

// noJobs is why there are no jobs.
const noJobs = "this server has no bucket, and jobs are queued in it: set storage.url"
