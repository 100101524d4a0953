package webhook

import "time"

// Job is the data of job.started, .succeeded, .failed and .canceled.
type Job struct {
	ID       string            `json:"job"`
	State    string            `json:"state"`  // as the API has it
	Status   string            `json:"status"` // as AWS Elemental MediaConvert calls it
	Kind     string            `json:"kind"`
	Input    string            `json:"input"`
	Output   string            `json:"output"`             // folder of the package
	Playlist string            `json:"playlist,omitempty"` // of job.succeeded
	Metadata map[string]string `json:"metadata"`           // as it was ordered with; never null
	Tries    int               `json:"tries"`
	Duration float64           `json:"duration,omitempty"` // of the media, seconds
	Rungs    []string          `json:"rungs,omitempty"`    // best first
	Bytes    int64             `json:"bytes,omitempty"`    // of the package
	Notes    []string          `json:"notes,omitempty"`    // what was decided and may surprise
	Code     string            `json:"code,omitempty"`     // why it failed, for programs
	Reason   string            `json:"reason,omitempty"`   // why it failed, for people
	Created  time.Time         `json:"created"`
	Finished time.Time         `json:"finished,omitzero"`
}

func (j Job) lane() string { return "job/" + j.ID }
