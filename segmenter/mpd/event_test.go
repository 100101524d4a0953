package mpd

import (
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/Eyevinn/dash-mpd/mpd"
)

// Events stand before the tracks, and another's reader finds each with its time and its message.
func TestEvents(t *testing.T) {
	signal := []byte{0xFC, 0x30, 0xFF, 0xFE, 0}
	m := MPD{Duration: time.Minute, Segment: 4 * time.Second, Periods: []Period{
		{ID: "0", Events: []Event{{ID: 1<<32 - 1, At: 1500 * time.Millisecond, Duration: 30 * time.Second, Signal: signal}, {ID: 7, At: 31500 * time.Millisecond, Signal: signal[:1]}}, Sets: []Set{{}}},
		{ID: "1", Sets: []Set{{}}},
	}}
	text := string(m.Append(nil))
	const want = `<Period id="0" start="PT0S">
<EventStream schemeIdUri="urn:scte:scte35:2014:xml+bin" timescale="1000">
<Event presentationTime="1500" duration="30000" id="4294967295"><Signal xmlns="http://www.scte.org/schemas/35/2016"><Binary>/DD//gA=</Binary></Signal></Event>
<Event presentationTime="31500" id="7"><Signal xmlns="http://www.scte.org/schemas/35/2016"><Binary>/A==</Binary></Signal></Event>
</EventStream>
<AdaptationSet id="0"`
	if !strings.Contains(text, want) {
		t.Errorf("%s\nwant in it\n%s", text, want)
	}
	read, err := mpd.ReadFromString(text)
	if err != nil || len(read.Periods) != 2 || len(read.Periods[0].EventStreams) != 1 || len(read.Periods[1].EventStreams) != 0 {
		t.Fatalf("another's reader: %v", err)
	}
	s := read.Periods[0].EventStreams[0]
	if s.SchemeIdUri != spliceScheme || *s.Timescale != 1000 || len(s.Events) != 2 || s.Events[0].Signal == nil {
		t.Fatalf("%+v", s)
	}
	if b, err := base64.StdEncoding.DecodeString(s.Events[0].Signal.Binary.Value); err != nil || string(b) != string(signal) || s.Events[0].PresentationTime != 1500 || s.Events[0].Duration != 30000 {
		t.Errorf("%+v, % x, %v", s.Events[0], b, err)
	}
}
