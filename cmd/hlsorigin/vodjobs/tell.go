package vodjobs

import (
	"context"
	"encoding/json"

	"github.com/hlsorigin/hlsorigin/origin/webhook"
	"github.com/hlsorigin/hlsorigin/storage/jobs"
)

// status is what AWS Elemental MediaConvert calls a state.
func status(s jobs.State) string {
	return map[jobs.State]string{
		jobs.Queued: "SUBMITTED", jobs.Running: "PROGRESSING", jobs.Succeeded: "COMPLETE", jobs.Failed: "ERROR", jobs.Canceled: "CANCELED",
	}[s]
}

// about is what an event says of a job.
func about(j *jobs.Job) webhook.Job {
	d := webhook.Job{
		ID: j.ID, State: string(j.State), Status: status(j.State), Kind: j.Kind, Input: j.Input, Output: j.Output, Metadata: j.Metadata, Tries: j.Tries,
		Code: j.Code, Reason: j.Reason, Created: j.Created, Finished: j.Finished,
	}
	if d.Metadata == nil {
		d.Metadata = map[string]string{}
	}
	if j.State != jobs.Succeeded {
		return d
	}
	d.Playlist = j.Output + masterFile
	var m made
	if json.Unmarshal(j.Result, &m) == nil {
		d.Duration, d.Bytes, d.Notes = m.Duration, m.Bytes, m.Notes
		for _, r := range m.Rungs {
			d.Rungs = append(d.Rungs, r.Name)
		}
	}
	return d
}

// began tells that a try begins. Nobody is told of it again.
func (s *Service) began(j jobs.Job) { s.o.Hooks.Emit(webhook.JobStarted, about(&j)) }

// tell tells of a job's end: the webhooks of the configuration by their durable queue, its own by a call. It is called again until both
// have it, and all that is sent of one end has one id.
func (s *Service) tell(ctx context.Context, j *jobs.Job) error {
	typ := map[jobs.State]string{jobs.Succeeded: webhook.JobSucceeded, jobs.Failed: webhook.JobFailed, jobs.Canceled: webhook.JobCanceled}[j.State]
	id := "evt_" + j.ID + "_" + string(j.State)
	if !j.Emitted {
		if err := s.o.Hooks.Keep(ctx, id, typ, j.Finished, about(j)); err != nil {
			return err
		}
		j.Emitted = true
	}
	if j.Webhook == "" {
		return nil
	}
	c := s.config().Jobs
	return s.caller.Call(ctx, j.Webhook, string(c.WebhookSecret), c.WebhookHosts, id, typ, j.Finished, about(j))
}
