package api

import (
	"context"
	"strings"
	"testing"
)

// Whoever asks for a stream that another server of the cluster has is told which.
func TestStreamsElsewhere(t *testing.T) {
	a := open(newHouse())
	a.o.Elsewhere = func(_ context.Context, app, stream string) string {
		if app+"/"+stream != "live/far" {
			return ""
		}
		return "the server b (http://b:5083)"
	}
	for _, call := range [][3]string{
		{"GET", "", ""}, {"DELETE", "", "{}"}, {"POST", "/end", "{}"}, {"POST", "/cue", `{"duration_seconds":30}`}, {"POST", "/metadata", `{"text":[{"description":"t","value":"x"}]}`},
	} {
		for stream, told := range map[string]bool{"far": true, "nobody": false} {
			res := ask(a, call[0], "/v1/streams/live/"+stream+call[1], call[2])
			if says := problem(t, res); res.StatusCode != 404 || told != strings.Contains(says, "the server b (http://b:5083) has live/far: ask there") {
				t.Errorf("%v of %s: %d %s", call, stream, res.StatusCode, says)
			}
		}
	}
}
