package configs

import (
	"slices"
	"strings"
	"testing"
)

const webhookSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo="

func TestWebhooksAreRead(t *testing.T) {
	c, err := Parse([]byte(`
webhooks:
  - {url: "https://u:hunter2@a.example/hook?t=hunter2", secret: "${S}"}
  - {url: "http://b.example/", format: ams, keep: 12h, events: [stream.*, segment.uploaded]}
`), "f", []string{"S=" + webhookSecret})
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Webhooks) != 2 {
		t.Fatalf("%+v", c.Webhooks)
	}
	a, b := c.Webhooks[0], c.Webhooks[1]
	if string(a.Secret) != webhookSecret || a.Format != "standard" || a.Keep != seconds(3*24*3600) || len(a.Events) != 0 {
		t.Errorf("%+v", a)
	}
	if b.Format != "ams" || b.Keep != seconds(12*3600) || !slices.Equal(b.Events, []string{"stream.*", "segment.uploaded"}) {
		t.Errorf("%+v", b)
	}
	shown := c.String()
	if strings.Contains(shown, "hunter2") || strings.Contains(shown, webhookSecret[6:]) {
		t.Errorf("a secret is shown: %s", shown)
	}
	if !strings.Contains(shown, `events: ["stream.*", "segment.uploaded"], format: ams, keep: 12h`) {
		t.Errorf("%s", shown)
	}
}

func TestWebhooksFromTheEnvironment(t *testing.T) {
	c, err := Parse([]byte("webhooks: [{url: \"http://a/\", format: ams}]"), "f", []string{
		`HLSORIGIN_WEBHOOKS=[{url: "http://b/", secret: "` + webhookSecret + `"}]`})
	if err != nil || len(c.Webhooks) != 1 || c.Webhooks[0].URL != "http://b/" || c.Webhooks[0].Keep != seconds(3*24*3600) {
		t.Errorf("%v: %+v", err, c.Webhooks)
	}
}

func TestWebhooksAreRefused(t *testing.T) {
	for _, c := range []struct{ yaml, want string }{
		{`{url: "ftp://a/", secret: S}`, `f:1: webhooks[0].url: "ftp://a/" is not http://`},
		{`{secret: S}`, "webhooks[0].url"},
		{`{url: "https://a/"}`, "f:1: webhooks[0].secret: is not whsec_"},
		{`{url: "https://a/", secret: hunter2}`, "hlsorigin hooks secret makes one"},
		{`{url: "https://a/", secret: "whsec_QUJD"}`, "24 to 64 bytes"},
		{`{url: "https://a/", format: ams, secret: "whsec_QUJD"}`, "24 to 64 bytes"},
		{`{url: "https://a/", secret: S, format: xml}`, `webhooks[0].format: "xml" is none of standard, ams, ams_form`},
		{`{url: "https://a/", secret: S, events: [stream.start]}`, `"stream.start" is no type of event (did you mean "stream.started"?)`},
		{`{url: "https://a/", secret: S, events: [segment.*]}`, "webhooks[0].events[0]"},
		{`{url: "https://a/", secret: S, keep: 1s}`, "webhooks[0].keep: 1s is outside 1m to 30d"},
		{`{url: "https://a/", secret: S, keep: 31d}`, "webhooks[0].keep"},
		{`{url: "https://a/", secret: S}, {url: "https://a/", secret: S}`, "webhooks[1].url: is the same as webhooks[0].url"},
		{`{url: "https://a/", secrt: S}`, `unknown key (did you mean "secret"?)`},
	} {
		_, err := Parse([]byte("webhooks: ["+strings.ReplaceAll(c.yaml, "secret: S", `secret: "`+webhookSecret+`"`)+"]"), "f", nil)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.yaml, err, c.want)
		}
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: a secret is shown: %v", c.yaml, err)
		}
	}
	if _, err := Parse([]byte("webhooks: [{url: \"https://a/\", format: ams}, {url: \"https://a/\", format: ams_form}]"), "f", nil); err != nil {
		t.Error(err)
	}
}
