package control

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/hlsorigin/hlsorigin/origin/admin/api"
)

// clip makes the call of a clip: APP/STREAM START END NAME.
func (c *Call) clip(args []string, now time.Time) error {
	app, stream, ok := strings.Cut(args[0], "/")
	if !ok || app == "" || stream == "" {
		return fmt.Errorf("ctl clip: %q is no APP/STREAM", args[0])
	}
	start, err := instant(args[1], now)
	if err != nil {
		return err
	}
	end, err := instant(args[2], now)
	if err != nil {
		return err
	}
	c.body = api.ClipOrder{App: app, Stream: stream, Start: start, End: end, Name: args[3]}
	return nil
}

// instant reads a time, or how long ago it was.
func instant(s string, now time.Time) (time.Time, error) {
	if s == "now" {
		return now, nil
	}
	if d, err := time.ParseDuration(s); err == nil && d >= 0 {
		return now.Add(-d), nil
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return t, fmt.Errorf("ctl clip: %q is neither a time like 2023-08-24T16:02:52Z nor how long ago, like 90s", s)
	}
	return t, nil
}

// timeForm shows an instant of media.
const timeForm = "2006-01-02T15:04:05.000Z"

func showClip(out io.Writer, answer []byte) error {
	var c api.Clip
	if err := json.Unmarshal(answer, &c); err != nil {
		return err
	}
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	fmt.Fprintf(w, "clip\t%s/%s\n", c.App, c.Name)
	fmt.Fprintf(w, "playlist\t%s\n", c.Playlist)
	fmt.Fprintf(w, "asked\t%s to %s\n", c.AskedFrom.UTC().Format(timeForm), c.AskedTo.UTC().Format(timeForm))
	fmt.Fprintf(w, "given\t%s to %s\n", c.Start.UTC().Format(timeForm), c.End.UTC().Format(timeForm))
	fmt.Fprintf(w, "lasts\t%.3f s, %d segments, %d gaps\n", c.Duration, c.Segments, c.Gaps)
	for _, r := range c.Rungs {
		fmt.Fprintf(w, "rung\t%s\n", r)
	}
	for _, r := range c.LeftOut {
		fmt.Fprintf(w, "left out\t%s: it has not all of it\n", r)
	}
	if c.Warning != "" {
		fmt.Fprintf(w, "warning\t%s\n", c.Warning)
	}
	return w.Flush()
}

func showClips(out io.Writer, answer []byte) error {
	var list struct {
		Clips []api.Clip
		More  bool
	}
	if err := json.Unmarshal(answer, &list); err != nil {
		return err
	}
	if len(list.Clips) == 0 {
		return saying("there are no clips")(out, nil)
	}
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "CLIP\tOF\tFROM\tLASTS\tSEGMENTS\tGAPS")
	for i := range list.Clips {
		c := &list.Clips[i]
		fmt.Fprintf(w, "%s/%s\t%s\t%s\t%.3f s\t%d\t%d\n", c.App, c.Name, c.Stream, c.Start.UTC().Format(timeForm), c.Duration, c.Segments, c.Gaps)
	}
	if err := w.Flush(); err != nil || !list.More {
		return err
	}
	return saying("there are more: name an app and a stream")(out, nil)
}

func showRemoval(out io.Writer, answer []byte) error {
	var r api.Removal
	if err := json.Unmarshal(answer, &r); err != nil {
		return err
	}
	did := "would be removed; -yes does it"
	if r.Removed {
		did = "removed"
	}
	if r.Warning != "" {
		fmt.Fprintln(out, r.Warning)
	}
	_, err := fmt.Fprintf(out, "%d playlists and %d segments, %d bytes: %s\n", len(r.Playlists), r.Segments, r.Bytes, did)
	return err
}
