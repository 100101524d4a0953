package main

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hlsorigin/hlsorigin/cmd/hlsorigin/democlip"
	"github.com/hlsorigin/hlsorigin/configs"
	"github.com/hlsorigin/hlsorigin/ingest/rtmp/rtmpclient"
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

// The demo is back after it was sent away, when its clock and that of the recording are the same again; who is not let in at all ends it.
func TestDemoComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first := time.Now()
		var began []time.Duration
		err := comesBack(t.Context(), func(context.Context) error {
			began = append(began, time.Since(first))
			if len(began) < 3 {
				time.Sleep(30 * time.Second)
			}
			return &rtmpclient.StatusError{Description: "enough"}
		})
		if want := []time.Duration{0, 2 * democlip.Duration, 4 * democlip.Duration}; !slices.Equal(began, want) {
			t.Errorf("it published after %v, not %v", began, want)
		}
		if err == nil || !strings.Contains(err.Error(), "enough") {
			t.Errorf("%v", err)
		}
	})
}

// The demo's last words are true: a recording that the bucket does not have all of is not said to be final there.
func TestDemoEnds(t *testing.T) {
	cfg := configs.Config{}
	cfg.Storage.URL, cfg.Spool.Dir = "file://data/bucket", "data/spool"
	for behind, want := range map[bool]string{false: "are final in file://data/bucket", true: "is in data/spool: the next start sends it"} {
		var out bytes.Buffer
		if demoEnds(&out, cfg, behind); !strings.Contains(out.String(), want) || behind && strings.Contains(out.String(), "final") {
			t.Errorf("behind %v: %s", behind, &out)
		}
	}
}
