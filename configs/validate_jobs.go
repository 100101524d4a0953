package configs

import (
	"fmt"
	"io/fs"
	"net"
	"path/filepath"
	"strings"
	"time"
)

// Limits of the settings of jobs.
const (
	maxJobWorkers = 64
	minJobKeep    = Duration(time.Hour)
	maxJobKeep    = Duration(10 * 365 * 24 * time.Hour)
)

// jobs checks how files become packages.
func (d *decoder) jobs(c Config) {
	j := c.Jobs
	if j.Workers < 0 || j.Workers > maxJobWorkers {
		d.bad("jobs.workers", "%d is outside 0 to %d", j.Workers, maxJobWorkers)
	}
	if j.Keep < minJobKeep || j.Keep > maxJobKeep {
		d.bad("jobs.keep", "%s is outside %s to %s", j.Keep, minJobKeep, maxJobKeep)
	}
	folder, slash := strings.CutSuffix(j.Output, "/")
	switch {
	case !slash || !fs.ValidPath(folder) || folder == "." || strings.Contains("/"+folder, "/."):
		d.bad("jobs.output", "%q is no folder of the bucket, as vod/ is", j.Output)
	case strings.Contains("/"+folder+"/", "/streams/"):
		d.bad("jobs.output", "%q is where recordings are: choose another folder", j.Output)
	}
	d.rungs("jobs.ladder", j.Ladder)
	for _, list := range []struct {
		key    string
		places []string
		files  bool
	}{{"jobs.watch", j.Watch, true}, {"jobs.inputs", j.Inputs, true}, {"jobs.outputs", j.Outputs, false}} {
		for i, at := range list.places {
			d.jobPlace(fmt.Sprintf("%s[%d]", list.key, i), at, list.files)
		}
	}
	for i, q := range j.Queues {
		if !q.web() {
			d.bad(fmt.Sprintf("jobs.queues[%d]", i), "%q is not the URL of a queue, https://sqs.REGION.amazonaws.com/ACCOUNT/NAME", q)
		}
	}
	if c.Storage.URL == "" {
		for _, s := range []struct {
			key string
			set bool
		}{{"jobs.watch", len(j.Watch) > 0}, {"jobs.queues", len(j.Queues) > 0}} {
			if s.set {
				d.bad(s.key, "needs storage.url: the bucket is where jobs and packages are")
			}
		}
	}
	if text, ok := strings.CutPrefix(string(j.WebhookSecret), "whsec_"); j.WebhookSecret != "" && (!ok || !isSecret(text)) {
		d.bad("jobs.webhook_secret", "is not whsec_ and the base64 of %d to %d bytes: hlsorigin hooks secret makes one", minWebhookSecret, maxWebhookSecret)
	}
	for i, h := range j.WebhookHosts {
		host := h
		if name, _, err := net.SplitHostPort(h); err == nil {
			host = name
		}
		if host == "" || strings.ContainsAny(h, "/@?# ") {
			d.bad(fmt.Sprintf("jobs.webhook_hosts[%d]", i), "%q is not host or host:port", h)
		}
	}
}

// jobPlace checks a place that jobs may use.
func (d *decoder) jobPlace(key, at string, files bool) {
	if dir, ok := strings.CutPrefix(at, "file://"); ok && files {
		if !filepath.IsAbs(dir) || filepath.Clean(dir) != strings.TrimSuffix(dir, "/") && dir != "/" {
			d.bad(key, "%q is not file:/// and the whole path of a directory", at)
		} else if dir == "/" {
			d.bad(key, "%q is every file of this machine: name a directory", at)
		}
		return
	}
	if l, err := (Bucket{URL: at}).Location(); err != nil || l.Bucket == "" {
		forms := "s3://bucket/prefix/"
		if files {
			forms += " or file:///directory/"
		}
		d.bad(key, "%q is not %s", at, forms)
	}
}
