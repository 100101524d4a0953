package control

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/hlsorigin/hlsorigin/cmd/hlsorigin/printable"
	"github.com/hlsorigin/hlsorigin/origin/admin/api"
)

// follower shows how far a job is: a bar that is redrawn on a terminal, a line when it has come further elsewhere.
type follower struct {
	out      io.Writer
	terminal bool
	poll     time.Duration

	shown string // the line before
	drawn bool
}

const (
	followEvery = time.Second
	followWidth = 30 // characters of the bar
	followStep  = 10 // per cent, that a line is printed for
)

// newFollower looks whether the writer is a terminal.
func newFollower(out io.Writer) *follower {
	f := &follower{out: out, poll: followEvery}
	if file, ok := out.(*os.File); ok {
		info, err := file.Stat()
		f.terminal = err == nil && info.Mode()&os.ModeCharDevice != 0
	}
	return f
}

// follow asks for a job until it is over, and returns the last answer.
func (f *follower) follow(ctx context.Context, id, listen string, vars []string) ([]byte, error) {
	call := &Call{method: http.MethodGet, path: "/v1/jobs/" + url.PathEscape(id), timeout: patience}
	t := time.NewTicker(f.poll)
	defer t.Stop()
	for {
		answer, err := call.ask(ctx, listen, vars)
		if err != nil {
			f.clear()
			return nil, err
		}
		var j api.Job
		if err := json.Unmarshal(answer, &j); err != nil {
			return nil, err
		}
		if j.State != "queued" && j.State != "running" {
			f.clear()
			return answer, nil
		}
		f.step(&j)
		select {
		case <-t.C:
		case <-ctx.Done():
			f.clear()
			return nil, fmt.Errorf("the job %s goes on: hlsorigin job show -wait %s looks at it again", id, id)
		}
	}
}

func (f *follower) step(j *api.Job) {
	what := printable.Text(strings.TrimSpace(jobState(j) + " " + j.Stage))
	if f.terminal {
		n := min(followWidth, max(0, int(j.Progress*followWidth/100)))
		fmt.Fprintf(f.out, "\r\033[K[%s%s] %3.0f %% %s", strings.Repeat("=", n), strings.Repeat(" ", followWidth-n), j.Progress, what)
		f.drawn = true
		return
	}
	if line := fmt.Sprintf("%s: %d %%", what, int(j.Progress)/followStep*followStep); line != f.shown {
		f.shown = line
		fmt.Fprintln(f.out, line)
	}
}

// clear takes the bar off the screen.
func (f *follower) clear() {
	if f.drawn {
		fmt.Fprint(f.out, "\r\033[K")
		f.drawn = false
	}
}
