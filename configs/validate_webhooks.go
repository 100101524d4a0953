package configs

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Events are the types that a webhook may ask for. A group is named by its begin and a star: stream.*.
func Events() []string {
	return []string{
		"stream.started", "stream.stalled", "stream.resumed", "stream.ended", "segment.uploaded", "recording.started", "recording.completed", "recording.gap", "recording.stood_down",
		"upload.failing", "upload.healed", "clip.ready", "disk.low", "node.takeover", "job.started", "job.succeeded", "job.failed", "job.canceled",
	}
}

// EventGroups are the groups of Events.
func EventGroups() []string {
	var all []string
	for _, e := range Events() {
		group, _, _ := strings.Cut(e, ".")
		if group += ".*"; !slices.Contains(all, group) && e != "segment.uploaded" { // it is asked for by its own name
			all = append(all, group)
		}
	}
	return all
}

// Bounds of a webhook's secret in bytes, as Standard Webhooks has them, and of how long events are kept.
const (
	minWebhookSecret = 24
	maxWebhookSecret = 64
	minKeep          = Duration(time.Minute)
	maxKeep          = Duration(30 * 24 * time.Hour)
)

func (d *decoder) webhooks(list []Webhook) {
	seen := map[[2]string]int{}
	for i, w := range list {
		key := fmt.Sprintf("webhooks[%d]", i)
		if !w.URL.web() {
			d.bad(key+".url", "%q is not http://host/… or https://host/…", w.URL)
		}
		d.oneOf(key+".format", w.Format, "standard", "ams", "ams_form")
		if first, twice := seen[[2]string{w.Format, string(w.URL)}]; twice {
			d.bad(key+".url", "is the same as webhooks[%d].url: name all events in one of them", first)
		}
		seen[[2]string{w.Format, string(w.URL)}] = i
		if w.Secret != "" || w.Format == "standard" {
			if text, ok := strings.CutPrefix(string(w.Secret), "whsec_"); !ok || !isSecret(text) {
				d.bad(key+".secret", "is not whsec_ and the base64 of %d to %d bytes: hlsorigin hooks secret makes one", minWebhookSecret, maxWebhookSecret)
			}
		}
		for n, e := range w.Events {
			if known := slices.Concat(Events(), EventGroups()); !slices.Contains(known, e) {
				d.bad(fmt.Sprintf("%s.events[%d]", key, n), "%q is no type of event%s: there are %s", e, didYouMean(e, known), strings.Join(known, ", "))
			}
		}
		if w.Keep < minKeep || w.Keep > maxKeep {
			d.bad(key+".keep", "%s is outside 1m to 30d", w.Keep)
		}
	}
}

func isSecret(text string) bool {
	key, err := base64.StdEncoding.DecodeString(text)
	return err == nil && len(key) >= minWebhookSecret && len(key) <= maxWebhookSecret
}
