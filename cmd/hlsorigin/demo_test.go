package main

import (
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/configs"
)

// The demo's app has low latency whatever is set, with parts that fit its segments; the configuration that it was made of stays as it is.
func TestDemoHasLowLatency(t *testing.T) {
	cfg := configs.Default()
	cfg.HLS.PartDuration = configs.Duration(2 * time.Second)
	no, own := false, configs.Duration(time.Second)
	app := cfg.Apps["live"]
	app.HLS.LowLatency, app.HLS.SegmentDuration = &no, &own
	cfg.Apps["live"] = app
	got := withLowLatency(cfg, "live")
	if h := got.Apps["live"].HLS.Over(got.HLS); !h.LowLatency || h.PartDuration.Std() != 500*time.Millisecond || h.SegmentDuration != own {
		t.Errorf("the demo's app has %+v", h)
	}
	if h := cfg.Apps["live"].HLS.Over(cfg.HLS); h.LowLatency || h.PartDuration.Std() != 2*time.Second {
		t.Errorf("the configuration has become %+v", h)
	}
}
