package vodjobs

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/configs"
)

// inputs waits until as many jobs have succeeded, and returns what they are of.
func (w *works) inputs(n int) (all []string) {
	w.t.Helper()
	deadline := time.Now().Add(time.Minute)
	for {
		list, _, err := w.List(w.t.Context(), "", 100)
		if err != nil {
			w.t.Fatal(err)
		}
		all = nil
		for _, j := range list {
			if j.State == "succeeded" {
				all = append(all, j.Input+" > "+j.Output)
			}
		}
		if len(all) >= n {
			slices.Sort(all)
			return all
		}
		if time.Now().After(deadline) {
			w.t.Fatalf("%q of %d", all, n)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func TestWatched(t *testing.T) {
	up := t.TempDir()
	w := newWorks(t, func(c *configs.Config) {
		c.Jobs.Watch = []string{"s3://media/pre/", "file://" + up}
		c.Jobs.Workers = 4
	})
	w.put("uploads/a.mov", "media")
	w.put("uploads/b.txt", "no media")
	w.put("former/lecture/720p/segment-0.ts", "a package's") // where jobs.output was before
	w.put("former/lecture/720p/init.mp4", "a package's")
	w.put("live/streams/cam/2023-08-24_16-02-52.970/000000000.ts", "a recording's")
	if err := os.WriteFile(filepath.Join(up, "c d.mp4"), []byte("media"), 0o600); err != nil {
		t.Fatal(err)
	}
	want := []string{"file://" + up + "/c d.mp4 > s3://media/pre/vod/c-d/", "s3://media/pre/uploads/a.mov > s3://media/pre/vod/a/"}
	if got := w.inputs(2); !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	time.Sleep(200 * time.Millisecond) // it is looked several times more
	if got := w.inputs(2); len(got) != 2 {
		t.Errorf("%q", got)
	}
	// A reload watches something else.
	c := w.cfg
	c.Jobs.Watch = []string{"s3://media/pre/other/"}
	w.Reconfigure(c)
	w.put("other/e.mov", "media")
	if got := w.inputs(3); len(got) != 3 || !strings.HasPrefix(got[1], "s3://media/pre/other/e.mov > ") {
		t.Errorf("%q", got)
	}
}

// A notification is looked at once: long before a look would find the file whole.
func TestNotified(t *testing.T) {
	var mu sync.Mutex
	var waiting []string
	deleted := 0
	queue := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		rw.Header().Set("Content-Type", "application/x-amz-json-1.0")
		if r.Header.Get("X-Amz-Target") == "AmazonSQS.DeleteMessage" {
			deleted++
			fmt.Fprint(rw, "{}")
			return
		}
		type message struct{ ReceiptHandle, Body string }
		out := struct{ Messages []message }{}
		for _, b := range waiting {
			out.Messages = append(out.Messages, message{"r", b})
		}
		waiting = nil
		_ = json.NewEncoder(rw).Encode(out)
		if len(out.Messages) == 0 {
			mu.Unlock()
			select { // as long polling does
			case <-r.Context().Done():
			case <-time.After(20 * time.Millisecond):
			}
			mu.Lock()
		}
	}))
	defer queue.Close()
	w := newWorks(t, nil)
	c := w.cfg
	w.o.Timing.Watch = time.Hour
	c.Jobs.Watch, c.Jobs.Queues = []string{"s3://media/pre/uploads/"}, []configs.URL{configs.URL(queue.URL + "/1/q")}
	c.Storage.AccessKey, c.Storage.SecretKey = "k", "s"
	w.put("uploads/a b.mov", "media")
	w.Reconfigure(c)
	mu.Lock()
	waiting = []string{
		"noise", `{"Event":"s3:TestEvent"}`, `{"Records":[{"eventName":"ObjectCreated:Put","s3":{"bucket":{"name":"media"},"object":{"key":"pre/uploads/a+b.mov"}}}]}`,
		`{"Records":[{"eventName":"ObjectCreated:Put","s3":{"bucket":{"name":"media"},"object":{"key":"elsewhere/a.mov"}}}]}`,
		`{"Records":[{"eventName":"ObjectCreated:Put","s3":{"bucket":{"name":"media"},"object":{"key":"pre/uploads/a+b.mov"}}}]}`,
	}
	mu.Unlock()
	if got := w.inputs(1); got[0] != "s3://media/pre/uploads/a b.mov > s3://media/pre/vod/a-b/" {
		t.Errorf("%q", got)
	}
	deadline := time.Now().Add(time.Minute)
	for {
		mu.Lock()
		n := deleted
		mu.Unlock()
		if n == 5 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d of 5 messages are done with", n)
		}
		time.Sleep(5 * time.Millisecond)
	}
	if got := w.inputs(1); len(got) != 1 {
		t.Errorf("%q", got)
	}
}
