package control

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/hlsorigin/hlsorigin/configs"
	"github.com/hlsorigin/hlsorigin/origin/admin/api"
)

// JobHelp is the usage of the command.
const JobHelp = `hlsorigin job asks a running server on this machine to make adaptive packages of files. It finds it by admin.listen, and sends the
token in HLSORIGIN_TOKEN where there is one.

  hlsorigin job add INPUT        order one; INPUT is s3://bucket/key, file:///path or the path of a file, or recording:APP/NAME
      -kind adaptive_video       a ladder, transcoded; or remux: the pictures as they are
      -output FOLDER/            of the bucket, vod/lecture/, or s3://bucket/folder/; without it jobs.output and the name of the input
      -rung 720p:720:3M          name, height and bit rate of a rung; again for each. Without: jobs.ladder, or by the source
      -cmaf                      fragmented MP4 and a DASH manifest, too
      -priority 5                0 to 9: of jobs that wait, the higher goes first
      -metadata KEY=VALUE        comes back in answers and events; again for each
      -webhook URL               who is told of the end, beside the webhooks of the configuration
      -key TEXT                  order it once, however often the command is run
      -wait                      show how far it is until it is over. Exit status 1: it did not succeed
  hlsorigin job ls [-state STATE] [-limit 100]
  hlsorigin job show [-wait] ID
  hlsorigin job rm ID            cancel it: nothing of it is left

All take -config FILE and -json behind the act. What comes out, and what is refused: docs/vod.md.
`

// Job is what a command line about jobs says besides the act and its arguments.
type Job struct {
	order api.JobOrder
	key   string
	wait  bool
	json  bool
	state string
	limit int
}

// JobFlags adds the flags of all acts to f.
func JobFlags(f *flag.FlagSet) *Job {
	j := &Job{}
	f.StringVar(&j.order.Kind, "kind", "adaptive_video", "")
	f.StringVar(&j.order.Output, "output", "", "")
	f.BoolVar(&j.order.Options.CMAF, "cmaf", false, "")
	f.Func("priority", "", func(s string) error {
		n, err := strconv.Atoi(s)
		j.order.Priority = &n
		return err
	})
	f.StringVar(&j.order.WebhookURL, "webhook", "", "")
	f.StringVar(&j.key, "key", "", "")
	f.BoolVar(&j.wait, "wait", false, "")
	f.BoolVar(&j.json, "json", false, "")
	f.StringVar(&j.state, "state", "", "")
	f.IntVar(&j.limit, "limit", 100, "")
	f.Func("rung", "", func(s string) error {
		p := strings.Split(s, ":")
		if len(p) != 3 {
			return errors.New("a rung is NAME:HEIGHT:BITRATE, as 720p:720:3M")
		}
		height, err := strconv.Atoi(p[1])
		if err != nil {
			return fmt.Errorf("%q is no height in pixels", p[1])
		}
		rate, err := configs.ParseBitrate(p[2])
		if err != nil {
			return err
		}
		j.order.Options.Ladder = append(j.order.Options.Ladder, api.JobRung{Name: p[0], Height: height, VideoBitrate: int(rate)})
		return nil
	})
	f.Func("metadata", "", func(s string) error {
		k, v, ok := strings.Cut(s, "=")
		if !ok || k == "" {
			return errors.New("metadata is KEY=VALUE")
		}
		if j.order.Metadata == nil {
			j.order.Metadata = map[string]string{}
		}
		j.order.Metadata[k] = v
		return nil
	})
	return j
}

// JobCall is an act about jobs.
type JobCall struct {
	Call
	wait, json bool
}

// Parse parses an act and its arguments. An error means that the command line is invalid.
func (j *Job) Parse(act string, args []string) (*JobCall, error) {
	c := &JobCall{Call: Call{method: http.MethodGet, path: "/v1/jobs", timeout: longPatience, show: showJob}, wait: j.wait, json: j.json}
	want := 1
	if act == "ls" {
		want = 0
	}
	if len(args) != want && (act == "add" || act == "ls" || act == "show" || act == "rm") {
		return nil, fmt.Errorf("job %s: %d arguments were not expected: hlsorigin job shows how it is used", act, len(args))
	}
	switch act {
	case "add":
		j.order.Input = args[0]
		if scheme, _, ok := strings.Cut(args[0], ":"); !ok || scheme != "s3" && scheme != "file" && scheme != "recording" {
			whole, err := filepath.Abs(args[0])
			if err != nil {
				return nil, err
			}
			j.order.Input = "file://" + filepath.ToSlash(whole)
		}
		c.method, c.body, c.key = http.MethodPost, j.order, j.key
	case "ls":
		q := url.Values{"limit": {strconv.Itoa(j.limit)}}
		if j.state != "" {
			q.Set("state", j.state)
		}
		c.path, c.show, c.wait = c.path+"?"+q.Encode(), showJobs, false
	case "show", "rm":
		c.path += "/" + url.PathEscape(args[0])
		if act == "rm" {
			c.method, c.wait = http.MethodDelete, false
		}
	default:
		return nil, fmt.Errorf("job: there is no act %q: it is one of add, ls, show, rm", act)
	}
	return c, nil
}

// Do sends the request, prints the answer, and waits for the job's end where that was asked for. How far the job is goes to progress.
func (c *JobCall) Do(ctx context.Context, out, progress io.Writer, listen string, vars []string) error {
	answer, err := c.ask(ctx, listen, vars)
	if err != nil {
		return err
	}
	if !c.wait {
		return c.print(out, answer)
	}
	var j api.Job
	if err := json.Unmarshal(answer, &j); err != nil {
		return err
	}
	if answer, err = newFollower(progress).follow(ctx, j.ID, listen, vars); err != nil {
		return err
	}
	if err := c.print(out, answer); err != nil {
		return err
	}
	if err := json.Unmarshal(answer, &j); err == nil && j.State != "succeeded" {
		if j.State == "canceled" {
			return errors.New("the job was canceled")
		}
		return fmt.Errorf("the job %s: %s", j.State, j.Reason)
	}
	return nil
}

func (c *JobCall) print(out io.Writer, answer []byte) error {
	if c.json {
		_, err := fmt.Fprintln(out, strings.TrimSpace(string(answer)))
		return err
	}
	return c.show(out, answer)
}

func showJobs(out io.Writer, answer []byte) error {
	var list struct {
		Jobs []api.Job
		More bool
	}
	if err := json.Unmarshal(answer, &list); err != nil {
		return err
	}
	if len(list.Jobs) == 0 {
		fmt.Fprintln(out, "no jobs")
		return nil
	}
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tSTATE\tDONE\tKIND\tINPUT\tOUTPUT")
	for i := range list.Jobs {
		j := &list.Jobs[i]
		fmt.Fprintf(w, "%s\t%s\t%.0f %%\t%s\t%s\t%s\n", j.ID, jobState(j), j.Progress, j.Kind, j.Input, j.Output)
	}
	if list.More {
		fmt.Fprintln(w, "…\tthere are more: -limit N")
	}
	return w.Flush()
}

// jobState is a job's state in a word or two.
func jobState(j *api.Job) string {
	switch {
	case j.Canceling:
		return "canceling"
	case j.State == "queued" && j.Tries > 0:
		return fmt.Sprintf("queued, tried %d times", j.Tries)
	}
	return j.State
}

func showJob(out io.Writer, answer []byte) error {
	var j api.Job
	if err := json.Unmarshal(answer, &j); err != nil {
		return err
	}
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(w, "%s\t%s\n", name, value)
		}
	}
	line("job", j.ID)
	line("state", strings.TrimSpace(fmt.Sprintf("%s, %.1f %% %s", jobState(&j), j.Progress, j.Stage)))
	line("kind", j.Kind)
	line("input", j.Input)
	line("output", j.Output)
	line("playlist", j.Playlist)
	line("on", j.Node)
	line("ordered", j.Created.UTC().Format(time.RFC3339))
	if j.Started != nil && j.Finished != nil {
		line("took", j.Finished.Sub(*j.Started).Round(time.Millisecond).String())
	}
	if j.Duration > 0 {
		line("lasts", (time.Duration(j.Duration*1000) * time.Millisecond).String())
	}
	for _, r := range j.Rungs {
		size := ""
		if r.Width > 0 { // else it is sound alone
			size = fmt.Sprintf(", %d×%d", r.Width, r.Height)
		}
		line("rung", fmt.Sprintf("%s%s, %.2f Mb/s, %d segments", r.Name, size, float64(r.Average)/1e6, r.Segments))
	}
	line("poster", j.Poster)
	line("thumbnails", j.Thumbnails)
	for _, n := range j.Notes {
		line("note", n)
	}
	line("code", j.Code)
	line("reason", j.Reason)
	line("webhook", j.Webhook)
	line("webhook gave up", j.Untold)
	return w.Flush()
}
