package control

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/hlsorigin/hlsorigin/origin/admin"
	"github.com/hlsorigin/hlsorigin/origin/admin/api"
)

// saying prints one line, whatever else the answer says.
func saying(line string) func(io.Writer, []byte) error {
	return func(out io.Writer, _ []byte) error {
		_, err := fmt.Fprintln(out, line)
		return err
	}
}

func showStreams(out io.Writer, answer []byte) error {
	var list struct{ Streams []admin.Stream }
	if err := json.Unmarshal(answer, &list); err != nil {
		return err
	}
	if len(list.Streams) == 0 {
		return saying("nothing is on the air")(out, nil)
	}
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "STREAM\tSTATE\tSINCE\tPUBLISHER\tKBIT/S\tSEGMENTS\tGAPS\tUNSENT\tPROBLEM")
	for i := range list.Streams {
		s := &list.Streams[i]
		publisher := "-"
		if s.Remote != "" {
			publisher = s.Protocol + " " + s.Remote
		}
		fmt.Fprintf(w, "%s/%s\t%s\t%s\t%s\t%d\t%d\t%d\t%d\t%s\n", s.App, s.Name, s.State, s.Started.UTC().Format(time.RFC3339), publisher, s.Bitrate/1000, s.Segments, s.Gaps, s.Unsent, s.Problem)
		for _, r := range s.Rungs {
			fmt.Fprintf(w, "  %s\t%s\t\t\t\t\t\t\t%s\n", r.Stream, r.State, cmp.Or(r.Outside, r.Absent))
		}
	}
	return w.Flush()
}

func showCue(out io.Writer, answer []byte) error {
	var c struct {
		ID       string
		Sequence uint64
	}
	if err := json.Unmarshal(answer, &c); err != nil {
		return err
	}
	return saying(fmt.Sprintf("the ad break %s begins with segment %d", c.ID, c.Sequence))(out, nil)
}

func showEnd(out io.Writer, answer []byte) error {
	var ended struct{ Recording string }
	if err := json.Unmarshal(answer, &ended); err != nil {
		return err
	}
	return saying("recording "+ended.Recording+" is final")(out, nil)
}

func showReload(out io.Writer, answer []byte) error {
	var r api.Reloaded
	if err := json.Unmarshal(answer, &r); err != nil {
		return err
	}
	if len(r.Changes) == 0 {
		return saying("nothing has changed")(out, nil)
	}
	for _, c := range r.Changes {
		fmt.Fprintf(out, "%s counts %s\n", c.Setting, c.Effect)
	}
	if r.Ended > 0 {
		fmt.Fprintf(out, "%d publishers were ended whose right was taken away\n", r.Ended)
	}
	return nil
}

func showLevel(out io.Writer, answer []byte) error {
	var l struct{ Level, Was string }
	if err := json.Unmarshal(answer, &l); err != nil {
		return err
	}
	return saying("the log's level is "+l.Level+", it was "+l.Was)(out, nil)
}
