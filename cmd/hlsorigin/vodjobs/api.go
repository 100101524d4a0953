package vodjobs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/hlsorigin/hlsorigin/configs"
	"github.com/hlsorigin/hlsorigin/origin/admin/api"
	"github.com/hlsorigin/hlsorigin/origin/webhook"
	"github.com/hlsorigin/hlsorigin/segmenter/vod"
	"github.com/hlsorigin/hlsorigin/storage"
	"github.com/hlsorigin/hlsorigin/storage/jobs"
	"github.com/hlsorigin/hlsorigin/storage/source"
)

var _ api.Jobs = (*Service)(nil)

// Add implements api.Jobs.
func (s *Service) Add(ctx context.Context, o api.JobOrder, key string) (api.Job, error) {
	if err := s.admit(); err != nil {
		return api.Job{}, err
	}
	c, p := s.config(), s.places()
	once := jobs.Key{}
	if key != "" {
		asked, err := json.Marshal(o)
		if err != nil {
			return api.Job{}, err
		}
		once = jobs.Key{Text: "api " + key, Asked: string(asked)}
		if j, ok, err := s.queue.ByKey(ctx, once); ok || err != nil { // also where its input is gone by now
			return shown(&j), failure(err)
		}
	}
	if o.WebhookURL != "" {
		if c.Jobs.WebhookSecret == "" {
			return api.Job{}, api.Fail(api.Invalid, "webhook_url: set jobs.webhook_secret, by which such calls are signed")
		}
		if err := webhook.CheckCall(o.WebhookURL, c.Jobs.WebhookHosts); err != nil {
			return api.Job{}, api.Fail(api.Invalid, "webhook_url: %v", err)
		}
	}
	in, err := p.Open(ctx, o.Input)
	if err != nil {
		return api.Job{}, failure(unreadable(err))
	}
	in.Close()
	order := jobs.Order{Kind: o.Kind, Input: o.Input, Priority: jobs.DefaultPriority, Metadata: o.Metadata, Webhook: o.WebhookURL}
	if o.Priority != nil {
		order.Priority = *o.Priority
	}
	wanted := options(&o, c.Jobs.Ladder)
	if err := wanted.Check(); err != nil {
		return api.Job{}, api.Fail(api.Invalid, "options: %v", err)
	}
	if order.Options, err = json.Marshal(wanted); err != nil {
		return api.Job{}, err
	}
	if o.Output == "" {
		j, err := s.addAnywhere(ctx, order, once, source.Base(o.Input))
		return shown(&j), failure(err)
	}
	order.Output = absolute(o.Output, at(c))
	if err := s.mayWrite(ctx, c, p, order.Output); err != nil {
		return api.Job{}, err
	}
	if err := s.empty(ctx, p, order.Output); err != nil { // it is looked again when the job begins
		return api.Job{}, err
	}
	j, _, err := s.queue.Add(ctx, order, once)
	return shown(&j), failure(err)
}

// absolute is the URL of a folder that is named in full, or below the server's own bucket.
func absolute(output, at string) string {
	if !strings.Contains(output, "://") {
		output = at + strings.TrimPrefix(output, "/")
	}
	return strings.TrimRight(output, "/") + "/"
}

// mayWrite returns an error where a job may not write.
func (s *Service) mayWrite(ctx context.Context, c configs.Config, p *source.Places, output string) error {
	_, prefix, err := p.Output(ctx, output)
	if err != nil {
		return failure(refusedOutput(err))
	}
	if strings.Contains("/"+prefix, "/streams/") {
		return api.Fail(api.Invalid, "output: %s is where recordings are: choose another folder", output)
	}
	for _, w := range c.Jobs.Watch {
		if strings.HasPrefix(output, strings.TrimRight(w, "/")+"/") && !strings.HasPrefix(output, at(c)+c.Jobs.Output) {
			return api.Fail(api.Invalid, "output: %s is below %s, which is watched: the package would be taken for new files", output, w)
		}
	}
	return nil
}

// empty returns an error where something is in a folder.
func (s *Service) empty(ctx context.Context, p *source.Places, output string) error {
	store, prefix, err := p.Output(ctx, output)
	if err != nil {
		return failure(refusedOutput(err))
	}
	switch ok, err := isEmpty(ctx, store, prefix); {
	case err != nil:
		return err
	case !ok:
		return api.Fail(api.Conflict, "output: %s", notEmpty(output))
	}
	return nil
}

// maxNames is how many folders of a name are tried before one is made of the name and the time.
const maxNames = 20

// addAnywhere queues a job whose package goes into a new folder of jobs.output, named as its input: lecture, else lecture-2 and so on.
func (s *Service) addAnywhere(ctx context.Context, order jobs.Order, key jobs.Key, name string) (jobs.Job, error) {
	c, p := s.config(), s.places()
	folder := at(c) + c.Jobs.Output + slug(name)
	for n := 1; n <= maxNames; n++ {
		switch order.Output = folder + "/"; {
		case n == maxNames:
			order.Output = fmt.Sprintf("%s-%s/", folder, s.o.Now().UTC().Format("20060102T150405.000"))
		case n > 1:
			order.Output = fmt.Sprintf("%s-%d/", folder, n)
		}
		err := s.empty(ctx, p, order.Output)
		var f *api.Failure
		if errors.As(err, &f) && f.Kind == api.Conflict {
			continue
		} else if err != nil {
			return jobs.Job{}, err
		}
		if j, _, err := s.queue.Add(ctx, order, key); !errors.Is(err, jobs.ErrOutput) {
			return j, err
		}
	}
	return jobs.Job{}, api.Fail(api.Conflict, "output: there are too many packages called %s: name a folder", slug(name))
}

// slug is a name as a folder in URLs: letters, digits, dots, dashes and underscores.
func slug(name string) string {
	var b strings.Builder
	for _, r := range name {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '.', r == '_':
			b.WriteRune(r)
		case b.Len() > 0 && !strings.HasSuffix(b.String(), "-"):
			b.WriteByte('-')
		}
	}
	out := strings.Trim(b.String(), "-.")
	if out = out[:min(len(out), 100)]; out == "" || out == "streams" {
		return "package"
	}
	return out
}

func options(o *api.JobOrder, ladder []configs.Rung) vod.Options {
	adaptive := o.Kind == string(vod.AdaptiveVideo)
	want := func(set *bool) bool { return set == nil && adaptive || set != nil && *set }
	out := vod.Options{SegmentDuration: segmentDuration(o.Options.SegmentDuration), CMAF: o.Options.CMAF, Poster: want(o.Options.Poster), Thumbnails: want(o.Options.Thumbnails)}
	for _, r := range o.Options.Ladder {
		out.Ladder = append(out.Ladder, vod.Rung{Name: r.Name, Width: r.Width, Height: r.Height, VideoBitrate: r.VideoBitrate, AudioBitrate: r.AudioBitrate})
	}
	if len(out.Ladder) == 0 && adaptive {
		for _, r := range ladder {
			out.Ladder = append(out.Ladder, vod.Rung{Name: r.Name, Height: r.Height, VideoBitrate: int(r.Bitrate)})
		}
	}
	return out
}

// List implements api.Jobs.
func (s *Service) List(ctx context.Context, state string, limit int) ([]api.Job, bool, error) {
	found, more, err := s.queue.List(ctx, jobs.Query{State: jobs.State(state), Limit: limit})
	list := make([]api.Job, 0, len(found))
	for i := range found {
		list = append(list, shown(&found[i]))
	}
	return list, more, failure(err)
}

// Show implements api.Jobs.
func (s *Service) Show(ctx context.Context, id string) (api.Job, error) {
	j, err := s.queue.Get(ctx, id)
	return shown(&j), failure(err)
}

// Cancel implements api.Jobs.
func (s *Service) Cancel(ctx context.Context, id string) (api.Job, error) {
	j, err := s.queue.Cancel(ctx, id)
	if errors.Is(err, jobs.ErrOver) {
		return api.Job{}, api.Fail(api.Conflict, "the job is over: it %s", map[jobs.State]string{jobs.Succeeded: "succeeded", jobs.Failed: "failed", jobs.Canceled: "is canceled"}[j.State])
	}
	return shown(&j), failure(err)
}

// failure says what kind of failure an error is.
func failure(err error) error {
	var refusal *jobs.Refusal
	switch {
	case err == nil:
		return nil
	case errors.As(err, &refusal) && refusal.Code == "input_missing":
		return api.Fail(api.NotFound, "input: %s", refusal.Reason)
	case errors.As(err, &refusal):
		field, _, _ := strings.Cut(refusal.Code, "_")
		return api.Fail(api.Invalid, "%s: %s", field, refusal.Reason)
	case errors.Is(err, jobs.ErrKey):
		return api.Fail(api.Invalid, "Idempotency-Key: it was used for another order: take a new one")
	case errors.Is(err, jobs.ErrOutput):
		return api.Fail(api.Conflict, "output: %v: wait for it, or choose another folder", err)
	case errors.Is(err, jobs.ErrID), storage.KindOf(err) == storage.Missing:
		return api.Fail(api.NotFound, "there is no such job: GET /v1/jobs lists those that are known")
	}
	return err
}

// shown is a job as the API shows it.
func shown(j *jobs.Job) api.Job {
	out := api.Job{
		ID: j.ID, State: string(j.State), Status: status(j.State), Kind: j.Kind, Input: j.Input, Output: j.Output, Priority: j.Priority, Progress: float64(int(j.Progress*1000)) / 10,
		Stage: j.Stage, Tries: j.Tries, Node: j.Node, Canceling: j.Cancel && !j.State.Final(), Code: j.Code, Reason: j.Reason, Metadata: j.Metadata, Untold: j.Untold,
		Created: j.Created, Rungs: []api.JobMade{}, Notes: []string{},
	}
	if out.Metadata == nil {
		out.Metadata = map[string]string{}
	}
	if u, err := url.Parse(j.Webhook); err == nil {
		out.Webhook = u.Host
	}
	if !j.Started.IsZero() {
		out.Started = &j.Started
	}
	if !j.Finished.IsZero() {
		out.Finished = &j.Finished
	}
	var m made
	if j.State != jobs.Succeeded || json.Unmarshal(j.Result, &m) != nil {
		return out
	}
	out.Playlist, out.Duration, out.Objects, out.Bytes = j.Output+masterFile, m.Duration, m.Objects, m.Bytes
	if m.Poster != "" {
		out.Poster = j.Output + m.Poster
	}
	if m.Thumbnails != "" {
		out.Thumbnails = j.Output + m.Thumbnails
	}
	out.Notes = append(out.Notes, m.Notes...)
	for _, r := range m.Rungs {
		out.Rungs = append(out.Rungs, api.JobMade(r))
	}
	return out
}
