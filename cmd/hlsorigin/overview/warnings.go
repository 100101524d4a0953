package overview

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/hlsorigin/hlsorigin/origin/admin"
	"github.com/hlsorigin/hlsorigin/origin/admin/api"
)

// From when on something is worth a warning.
const (
	longInterval  = 6.5              // seconds between keyframes: segments are as long, and players wait for three of them
	shortInterval = 0.45             // they cost bit rate
	muchSkew      = 0.7              // seconds between sound and picture
	muchJitter    = 0.35             // seconds, the mean
	muchBehind    = 2.0              // seconds
	fresh         = 5 * time.Second  // what was measured longer ago says nothing of now
	patient       = 60 * time.Second // a backlog that is older is one
)

// warnings says what is wrong, the gravest first.
func warnings(o *api.Overview, checks []admin.Check) (list []api.Warning) {
	for i := range o.Stores {
		list = append(list, ofStore(&o.Stores[i], o.At)...)
	}
	for _, c := range checks {
		if c.Reason == "" || ofUploads(&c, o.Stores) {
			continue
		}
		grave, do := true, "The log says more, at the time when it began."
		switch c.Kind {
		case "drain":
			grave, do = false, "Stop the server when its publishers have gone. A start ends the drain."
		case "stood down":
			grave, do = false, "Nothing for the stream. If it is this server that should have it: stop the other's publisher, then hlsorigin ctl end and the stream's name, here."
		}
		list = append(list, api.Warning{Grave: grave, Subject: cmp.Or(c.Of, c.Name), Kind: c.Kind, Text: c.Reason, Do: do})
	}
	for i := range o.Nodes {
		list = append(list, ofNode(&o.Nodes[i])...)
	}
	outside, stalled := map[string]string{}, map[string]bool{}
	for i := range o.Streams {
		s := &o.Streams[i]
		stalled[s.App+"/"+s.Name] = s.State == "stalled"
	}
	for _, l := range o.Ladders {
		for _, r := range l.Rungs {
			name := l.App + "/" + r.Stream
			outside[name] = r.Outside
			if why := ofRung(&r, &l, o.At); why != "" && !stalled[name] { // which is a warning of its own
				do := "Send all rungs from one encoder, with the same keyframe interval and time stamps."
				if r.Absent != "" {
					do = "Viewers have the source, and it is tried again. Is there ffmpeg 5.1 or newer, and has this machine cores to spare? What ffmpeg said is in the log."
				}
				list = append(list, api.Warning{Subject: name, Kind: "rung", Text: fmt.Sprintf("It is not in the ladder %s: %s", l.Name, why), Do: do})
			}
		}
	}
	for i := range o.Streams {
		s := o.Streams[i]
		if s.Problem != "" && s.Problem == outside[s.App+"/"+s.Name] {
			s.Problem = "" // it is said of the ladder
		}
		list = append(list, ofStream(&s, o.At)...)
	}
	slices.SortStableFunc(list, func(a, b api.Warning) int {
		switch {
		case a.Grave == b.Grave:
			return 0
		case a.Grave:
			return -1
		}
		return 1
	})
	return list
}

// ofRung says why a rung is not in its ladder; empty where it is, and as long as that is usual.
func ofRung(r *admin.Rung, l *admin.Stream, now time.Time) string {
	switch {
	case l.State == "ended" || l.State == "starting":
	case r.Usual:
	case r.Absent != "":
		return r.Absent
	case r.State == "outside":
		return r.Outside
	case r.State == "away":
		return "its segments come too late, or not at all; the others go on"
	case r.State == "waiting" && now.Sub(l.Started) > patient:
		return "nothing has come of it"
	}
	return ""
}

// ofStore is what is wrong with a bucket.
func ofStore(s *api.Store, now time.Time) (list []api.Warning) {
	waiting := ""
	if s.Segments > 0 {
		waiting = fmt.Sprintf(" %d segments wait; viewers are served, and nothing is lost as long as the spool has room.", s.Segments)
	}
	switch {
	case s.Act:
		return []api.Warning{{Grave: true, Subject: s.Name, Kind: "bucket", Text: "The " + s.Name + " refuses what it is sent: " + s.Error + "." + waiting,
			Do: "Does the bucket exist, and may these credentials write to it? Correct storage.url, the credentials or the bucket's policy. What waits goes by itself then."}}
	case s.Error != "":
		return []api.Warning{{Grave: true, Subject: s.Name, Kind: "bucket", Text: "The " + s.Name + " takes nothing: " + s.Error + "." + waiting,
			Do: "Is storage.endpoint right, and does the store run and answer from this machine? It is tried again without end."}}
	case s.Oldest != nil && now.Sub(*s.Oldest) > patient:
		return []api.Warning{{Subject: s.Name, Kind: "bucket", Text: fmt.Sprintf("The %s is %s behind.", s.Name, now.Sub(*s.Oldest).Round(time.Second)) + waiting,
			Do: "Where that grows, the way to the store is slower than the show: more uplink, fewer or smaller streams."}}
	}
	return nil
}

// muchClock is how far the clocks of two servers may be apart, in seconds.
const muchClock = 2.0

// ofNode is what is wrong with a server of the cluster.
func ofNode(n *api.Node) []api.Warning {
	w := api.Warning{Subject: n.Node, Kind: "node"}
	switch {
	case !n.Reachable && n.Self:
		w.Grave, w.Text, w.Do = true, "The other servers cannot reach this one: "+n.Problem+".", "Correct cluster.address, or what is between. Until then they count it as dead, and take over its streams where they are published to them."
	case !n.Reachable:
		w.Text, w.Do = "This server of the cluster is not reached: "+n.Problem+".", "Start it again, or look at the network between. If it is gone for good, remove its file below .cluster/_nodes/ in the bucket."
	case n.Ahead > muchClock || n.Ahead < -muchClock:
		w.Kind, w.Text, w.Do = "clock", fmt.Sprintf("The clock of this server of the cluster is %+.1f s ahead of that of the one that shows the page.", n.Ahead), "Let both keep to a time server: recordings that move between them have wrong times else."
	default:
		return nil
	}
	return []api.Warning{w}
}

// ofUploads reports whether a check tells of what a store's own warning tells.
func ofUploads(c *admin.Check, stores []api.Store) bool {
	return (c.Kind == "uploads" || c.Kind == "object") && slices.ContainsFunc(stores, func(s api.Store) bool { return s.Error != "" && s.Name == c.Of })
}

// ofStream is what is wrong with a stream.
func ofStream(s *admin.Stream, now time.Time) (list []api.Warning) {
	name := s.App + "/" + s.Name
	warn := func(grave bool, kind, do, text string, args ...any) {
		list = append(list, api.Warning{Grave: grave, Subject: name, Kind: kind, Text: fmt.Sprintf(text, args...), Do: do})
	}
	if s.Problem != "" {
		warn(true, "frames", "Change the encoder: nobody sees or hears what is not used.", "%s", s.Problem)
	}
	if s.State == "stalled" {
		what := "its publisher is gone"
		if s.Protocol != "" {
			what = "its publisher is connected and sends nothing"
		}
		warn(true, "uplink", "Look at the encoder and its way here. Viewers see the last picture until it is back.", "It stalls: %s, for %s.", what, max(now.Sub(s.LastFrame), 0).Round(time.Second))
	}
	if s.Standby != nil && s.Standby.SilentSince != nil {
		warn(true, "standby", "Look at the encoder and its way here. What viewers see is another server's, and goes on.",
			"It stands by, and nothing has come from its encoder for %s: it could not go on.", max(now.Sub(*s.Standby.SilentSince), 0).Round(time.Second))
	}
	if s.State != "live" || s.Input.At == 0 || now.Sub(time.Unix(s.Input.At, 0)) > fresh {
		return list
	}
	in := &s.Input
	switch limit := max(longInterval, float64(s.TargetDuration)+0.5); {
	case in.Pictures == 0:
	case in.KeyframeInterval > limit:
		warn(false, "keyframes", "Set the encoder's keyframe interval to 2 s.", "Keyframes come every %.1f s: segments are cut between them, and players start late.", in.KeyframeInterval)
	case in.KeyframeInterval > longInterval:
		warn(false, "keyframes", "Set the encoder's keyframe interval to 2 s.", "Keyframes come every %.1f s: segments are as long, and players start late.", in.KeyframeInterval)
	case in.KeyframeInterval > 0 && in.KeyframeInterval < shortInterval:
		warn(false, "keyframes", "Set the encoder's keyframe interval to 2 s.", "Keyframes come every %.2f s: they cost much of the bit rate.", in.KeyframeInterval)
	}
	if in.Pictures > 0 && in.Sounds == 0 && s.Width > 0 {
		if hasAudio(s) {
			warn(true, "audio", "Look at the encoder's sound input.", "The sound has stopped, the picture goes on.")
		} else {
			warn(false, "audio", "Where it should have sound: switch on the encoder's audio, AAC-LC.", "It has no sound.")
		}
	}
	if skew := in.Skew; in.Pictures > 0 && in.Sounds > 0 && (skew > muchSkew || skew < -muchSkew) {
		which := "ahead of"
		if skew < 0 {
			which, skew = "behind", -skew
		}
		warn(false, "skew", "Look at the encoder's audio delay and at how it interleaves: players need both at the same time.", "Sound is sent %.1f s %s the picture.", skew, which)
	}
	if in.Jitter > muchJitter {
		warn(false, "uplink", "Use a steadier uplink or a lower bit rate.", "Frames come in bursts: %.0f ms of jitter.", in.Jitter*1000)
	}
	switch {
	case in.Behind > muchBehind:
		warn(false, "clock", "Where it grows: a lower bit rate for the uplink, or NTP for the encoder's clock.", "The media comes %.1f s later than its time stamps say.", in.Behind)
	case in.Behind < -muchBehind:
		warn(false, "clock", "Set the encoder's clock by NTP; a file has to be sent at its own speed (ffmpeg -re).", "The media comes %.1f s earlier than its time stamps say: the encoder's clock is too fast.", -in.Behind)
	}
	return list
}

// hasAudio reports whether the publisher has sent sound that was used.
func hasAudio(s *admin.Stream) bool {
	return slices.ContainsFunc(s.Tracks, func(t admin.Track) bool { return t.Kind == "audio" && t.Written > 0 })
}
