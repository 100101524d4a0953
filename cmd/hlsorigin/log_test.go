package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/hlsorigin/hlsorigin/configs"
)

// A log that parts hold already takes other settings.
func TestLogSettingsChange(t *testing.T) {
	var b bytes.Buffer
	log, settings := newLog(configs.Log{Level: "info", Format: "text"}, environment{err: &b})
	held := log.With("part", "x").WithGroup("g")
	said := func() string {
		defer b.Reset()
		held.Debug("quiet", "n", 1)
		held.Info("loud", "n", 1)
		return b.String()
	}
	if s := said(); strings.Contains(s, "quiet") || !strings.Contains(s, "msg=loud part=x g.n=1") {
		t.Errorf("at first: %s", s)
	}
	settings.set(configs.Log{Level: "debug", Format: "json"})
	if s := said(); !strings.Contains(s, `"msg":"quiet","part":"x","g":{"n":1}`) || !strings.Contains(s, `"msg":"loud"`) {
		t.Errorf("more, as JSON: %s", s)
	}
	settings.set(configs.Log{Level: "error", Format: "text"})
	if s := said(); s != "" {
		t.Errorf("errors alone: %s", s)
	}
}
