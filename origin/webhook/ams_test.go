package webhook

import (
	"encoding/json"
	"net/url"
	"slices"
	"testing"
	"testing/synctest"
)

// Users of Ant Media Server get its three hooks with its variables, as JSON or as a form.
func TestAMS(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := &receiver{t: t}
		asJSON, asForm := Target{URL: "http://json/", Format: AMS}, Target{URL: "http://form/", Format: AMSForm}
		g := begin(t, r, nil, Options{}, asJSON, asForm)
		of := Of{"live", "cam", "2023-08-24_16-02-52.970"}
		g.Emit(StreamStarted, Stream{Of: of})
		g.Emit(StreamStalled, Stream{Of: of}) // Ant Media Server has no such hook
		g.Emit(StreamEnded, Stream{Of: of})
		g.Emit(RecordingCompleted, Recording{Of: of, Archive: "live/streams/cam-2023-08-24_16-02-52.970.m3u8"})
		synctest.Wait()
		at := "946684800000"
		want := map[string]map[string]string{
			"liveStreamStarted": {"id": "cam", "action": "liveStreamStarted", "streamName": "cam", "app": "live", "timestamp": at},
			"liveStreamEnded":   {"id": "cam", "action": "liveStreamEnded", "streamName": "cam", "app": "live", "timestamp": at},
			"vodReady": {"id": "cam", "action": "vodReady", "streamName": "cam", "app": "live", "timestamp": at,
				"vodName": "cam-2023-08-24_16-02-52.970", "vodId": "2023-08-24_16-02-52.970"},
		}
		order := map[string][]string{}
		for _, e := range r.all() {
			got := map[string]string{}
			switch e.host {
			case "json":
				if err := json.Unmarshal(e.body, &got); err != nil || e.header.Get("Content-Type") != "application/json" {
					t.Errorf("%v: %s", err, e.body)
				}
			case "form":
				v, err := url.ParseQuery(string(e.body))
				if err != nil || e.header.Get("Content-Type") != "application/x-www-form-urlencoded" {
					t.Errorf("%v: %s", err, e.body)
				}
				for k := range v {
					got[k] = v.Get(k)
				}
			}
			order[e.host] = append(order[e.host], got["action"])
			w := want[got["action"]]
			for k := range w {
				if got[k] != w[k] {
					t.Errorf("%s %s: %s is %q, want %q", e.host, got["action"], k, got[k], w[k])
				}
			}
			if len(got) != len(w) || e.header.Get("webhook-id") == "" || e.header.Get("webhook-signature") != "" {
				t.Errorf("%s: %v %v", e.host, got, e.header)
			}
		}
		for _, host := range []string{"json", "form"} {
			if !slices.Equal(order[host], []string{"liveStreamStarted", "liveStreamEnded", "vodReady"}) {
				t.Errorf("%s: %v", host, order[host])
			}
		}
		g.stop()
	})
}
