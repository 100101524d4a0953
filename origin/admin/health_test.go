package admin

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestHealthzIsOnlyAboutTheProcess(t *testing.T) {
	s := New(Options{Ready: checks{{Name: "bucket", Reason: "away", Blocks: true}}})
	res, body := get(t, s, "any.host.example", "/healthz")
	if res.StatusCode != 200 || body != "ok\n" {
		t.Errorf("%d %q", res.StatusCode, body)
	}
}

func TestReadyz(t *testing.T) {
	for _, tc := range []struct {
		name   string
		checks checks
		status int
	}{
		{"nothing to check", nil, 200},
		{"all well", checks{{Name: "rtmp", Blocks: true}}, 200},
		{"a bucket that is away does not stop viewers", checks{{Name: "bucket", Reason: "no such bucket: create it"}}, 200},
		{"a listener that is gone does", checks{{Name: "http", Reason: "closed", Blocks: true}}, 503},
	} {
		t.Run(tc.name, func(t *testing.T) {
			res, body := get(t, New(Options{Ready: tc.checks}), "localhost", "/readyz")
			var got struct {
				Ready  bool
				Checks []Check
			}
			decode(t, body, &got)
			if res.StatusCode != tc.status || got.Ready != (tc.status == 200) || len(got.Checks) != len(tc.checks) {
				t.Errorf("%d %s", res.StatusCode, body)
			}
			for _, c := range tc.checks {
				if !strings.Contains(body, c.Reason) {
					t.Errorf("the reason %q is not in %s", c.Reason, body)
				}
			}
		})
	}
}

// A server that refuses publishers is ready for viewers; one that viewers are kept from is ready for nobody.
func TestReadyzForPublishers(t *testing.T) {
	away, stops := checks{{Name: "publish", Reason: "the bucket is away", Blocks: true}}, checks{{Name: "drain", Reason: "drained", Blocks: true}}
	for _, tc := range []struct {
		name             string
		ready, publish   Readiness
		viewers, encoder int
	}{
		{"all well", checks{{Name: "archive"}}, checks{{Name: "publish", Blocks: true}}, 200, 200},
		{"publishers are refused", checks{{Name: "archive"}}, away, 200, 503},
		{"drained", stops, checks{{Name: "publish", Blocks: true}}, 503, 503},
		{"nothing keeps publishers away", checks{{Name: "archive"}}, nil, 200, 200},
	} {
		s := New(Options{Ready: tc.ready, Publish: tc.publish})
		for target, want := range map[string]int{"/readyz": tc.viewers, "/readyz?publish=1": tc.encoder} {
			res, body := get(t, s, "localhost", target)
			if res.StatusCode != want || strings.Contains(body, "the bucket is away") != (tc.name == "publishers are refused" && want == 503) {
				t.Errorf("%s: %s: %d %s", tc.name, target, res.StatusCode, body)
			}
		}
	}
}

func TestSyncWaitsForTheBucket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		confirmed := make(chan struct{})
		s := New(Options{Sync: syncFunc(func(ctx context.Context) error {
			select {
			case <-confirmed:
				return nil
			case <-ctx.Done():
				return errors.New("2 segments behind")
			}
		})})
		start := time.Now()
		res, body := get(t, s, "localhost", "/readyz?sync=1&timeout=7s")
		if res.StatusCode != http.StatusServiceUnavailable || !strings.Contains(body, "2 segments behind") || time.Since(start) != 7*time.Second {
			t.Errorf("%d after %v: %s", res.StatusCode, time.Since(start), body)
		}
		go func() {
			time.Sleep(3 * time.Second) // of the bubble's clock
			close(confirmed)
		}()
		start = time.Now()
		if res, body := get(t, s, "localhost", "/readyz?sync=1"); res.StatusCode != 200 || time.Since(start) != 3*time.Second {
			t.Errorf("%d after %v: %s", res.StatusCode, time.Since(start), body)
		}
		if s.Stats().Syncs.Load() != 2 || s.Stats().SyncsFailed.Load() != 1 {
			t.Error("syncs are counted wrongly")
		}
	})
}

func TestSyncRefusals(t *testing.T) {
	s := New(Options{Sync: syncFunc(func(context.Context) error { return nil })})
	for target, status := range map[string]int{
		"/readyz?sync=1&timeout=x": 400, "/readyz?sync=1&timeout=-1s": 400, "/readyz?sync=1&timeout=5m1s": 400, "/readyz?sync=1&timeout=5m": 200,
	} {
		if res, _ := get(t, s, "localhost", target); res.StatusCode != status {
			t.Errorf("%s: %d, wanted %d", target, res.StatusCode, status)
		}
	}
	if res, _ := get(t, New(Options{}), "localhost", "/readyz?sync=1"); res.StatusCode != http.StatusNotImplemented {
		t.Errorf("without a bucket: %d", res.StatusCode)
	}
}
