package configs

import (
	"strings"
	"testing"
)

func TestJobs(t *testing.T) {
	const secret = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz"
	c, err := Parse([]byte("jobs: {workers: 0, output: live/vod/, watch: ['s3://b/uploads/', 'file:///srv/up'], inputs: ['file:///srv/m/'], outputs: ['s3://b/x'], "+
		"ladder: [{name: 720p, height: 720, bitrate: 3M}], queues: ['https://sqs.eu-west-1.amazonaws.com/1/q'], webhook_hosts: ['a.example', 'b:8080']}"), "f", []string{"HLSORIGIN_JOBS_WEBHOOK_SECRET=" + secret})
	if err != nil || c.Jobs.Workers != 0 || c.Jobs.WebhookSecret != secret || len(c.Jobs.Watch) != 2 || c.Jobs.Ladder[0].Bitrate != 3_000_000 {
		t.Errorf("%+v, %v", c.Jobs, err)
	}
	if s := c.String(); strings.Contains(s, secret) {
		t.Errorf("the secret is shown:\n%s", s)
	}
	for in, want := range map[string]string{
		"workers: -1":                              "jobs.workers: -1 is outside",
		"workers: 65":                              "jobs.workers: 65 is outside",
		"keep: 1m":                                 "jobs.keep: 1m is outside",
		`output: ""`:                               "jobs.output",
		"output: vod":                              `jobs.output: "vod" is no folder`,
		"output: ../vod/":                          "jobs.output",
		"output: a/.b/":                            "jobs.output",
		"output: live/streams/":                    "jobs.output: \"live/streams/\" is where recordings are",
		"watch: [uploads/]":                        "jobs.watch[0]",
		"watch: ['file://srv/up']":                 "jobs.watch[0]: \"file://srv/up\" is not file:///",
		"watch: ['file:///srv/../up']":             "jobs.watch[0]",
		"inputs: ['file:///']":                     "jobs.inputs[0]: \"file:///\" is every file",
		"outputs: ['file:///srv/out']":             "jobs.outputs[0]",
		"queues: [uploads]":                        "jobs.queues[0]",
		"webhook_secret: hush":                     "jobs.webhook_secret: is not whsec_",
		"webhook_hosts: ['http://a']":              "jobs.webhook_hosts[0]",
		"ladder: [{name: a, height: 3}]":           "jobs.ladder[0].height",
		"watch: ['s3://b/u/']}\nstorage: {url: ''": "jobs.watch: needs storage.url",
	} {
		if _, err := Parse([]byte("jobs: {"+in+"}"), "f", nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", in, err)
		}
	}
}
