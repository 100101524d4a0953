package webhook

import (
	"strings"
	"testing"
)

func TestPrepareRefuses(t *testing.T) {
	h := New(Options{})
	good := to("a")
	for name, c := range map[string]struct {
		change func(*Target)
		want   string
	}{
		"no URL":               {func(t *Target) { t.URL = "" }, "http://"},
		"another scheme":       {func(t *Target) { t.URL = "ftp://a/" }, "http://"},
		"unreadable":           {func(t *Target) { t.URL = "http://a\x7f/" }, "http://"},
		"no secret":            {func(t *Target) { t.Secret = "" }, "whsec_"},
		"secret without begin": {func(t *Target) { t.Secret = secret[6:] }, "whsec_"},
		"short secret":         {func(t *Target) { t.Secret = "whsec_QUJD" }, "24 to 64"},
		"no base64":            {func(t *Target) { t.Secret = "whsec_!" }, "whsec_"},
		"format":               {func(t *Target) { t.Format = "xml" }, `"xml"`},
	} {
		x := good
		c.change(&x)
		_, err := h.Prepare([]Target{to("b"), x})
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "webhooks[1]") {
			t.Errorf("%s: %v", name, err)
		}
		if err != nil && (strings.Contains(err.Error(), "topsecret") || strings.Contains(err.Error(), secret[6:])) {
			t.Errorf("%s shows a secret: %v", name, err)
		}
	}
	if _, err := h.Prepare([]Target{good, good}); err == nil {
		t.Error("one target twice was taken")
	}
	ams := good
	ams.Format, ams.Secret = AMS, ""
	if _, err := h.Prepare([]Target{good, ams}); err != nil {
		t.Error(err)
	}
}

func TestMatches(t *testing.T) {
	for _, c := range []struct {
		pattern, typ string
		want         bool
	}{
		{"stream.started", StreamStarted, true}, {"stream.started", StreamEnded, false}, {"stream.*", StreamEnded, true},
		{"stream.*", RecordingGap, false}, {"segment.*", SegmentUploaded, false}, {"segment.uploaded", SegmentUploaded, true}, {".*", StreamEnded, false}, {"*", StreamEnded, false},
	} {
		if got := matches(c.pattern, c.typ); got != c.want {
			t.Errorf("%q names %s: %v", c.pattern, c.typ, got)
		}
	}
}
