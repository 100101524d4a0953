package mpd

import (
	"encoding/base64"
	"strconv"
	"time"
)

// Event is a message of SCTE 35 on a period's time line.
type Event struct {
	ID       uint32        // the same in all manifests; another for each message
	At       time.Duration // since the period's start
	Duration time.Duration // 0: not said
	Signal   []byte        // splice_info_section
}

// spliceScheme is the scheme of events that are messages of SCTE 35 in their binary form (SCTE 214-1 6.7.4).
const spliceScheme = "urn:scte:scte35:2014:xml+bin"

// appendEvents appends the EventStream of a period, whose times are in milliseconds; nothing where there is no event. The namespace of SCTE 35 is
// the default one of its elements: players look for these by their plain names.
func appendEvents(b []byte, events []Event) []byte {
	if len(events) == 0 {
		return b
	}
	b = append(number(text(append(b, "<EventStream"...), "schemeIdUri", spliceScheme), "timescale", 1000), ">\n"...)
	for i := range events {
		e := &events[i]
		b = number(append(b, "<Event"...), "presentationTime", e.At.Milliseconds())
		if e.Duration > 0 {
			b = number(b, "duration", e.Duration.Milliseconds())
		}
		b = append(strconv.AppendUint(append(b, ` id="`...), uint64(e.ID), 10), `"><Signal xmlns="http://www.scte.org/schemas/35/2016"><Binary>`...)
		b = append(base64.StdEncoding.AppendEncode(b, e.Signal), "</Binary></Signal></Event>\n"...)
	}
	return append(b, "</EventStream>\n"...)
}
