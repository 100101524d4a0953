package mpd

import (
	"strings"
	"testing"
	"time"

	"github.com/Eyevinn/dash-mpd/mpd"
)

// what a manifest looks like, to the byte.
const growing = `<?xml version="1.0" encoding="UTF-8"?>
<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" profiles="urn:mpeg:dash:profile:isoff-live:2011" type="dynamic" availabilityStartTime="2026-03-04T05:06:07.080Z" publishTime="2026-03-04T05:08:07.000Z" minimumUpdatePeriod="PT2S" timeShiftBufferDepth="PT60.04S" suggestedPresentationDelay="PT12S" minBufferTime="PT4S" maxSegmentDuration="PT4S">
<Period id="3" start="PT10.5S">
<AdaptationSet id="0" contentType="video" mimeType="video/mp4" segmentAlignment="true" startWithSAP="1">
<Representation id="a&amp;b" codecs="avc1.64001f" bandwidth="2000000" width="1280" height="720" frameRate="30000/1001">
<SegmentTemplate timescale="90000" presentationTimeOffset="90" initialization="v/init.mp4" media="v/$Number%09d$.m4s" startNumber="7">
<SegmentTimeline><S t="90" d="360000" r="2"/><S d="180000"/><S t="1300000" d="180000"/></SegmentTimeline>
</SegmentTemplate>
</Representation>
</AdaptationSet>
<AdaptationSet id="1" contentType="audio" mimeType="audio/mp4" segmentAlignment="true" startWithSAP="1">
<Representation id="a" codecs="mp4a.40.2" bandwidth="128000" audioSamplingRate="48000">
<AudioChannelConfiguration schemeIdUri="urn:mpeg:dash:23003:3:audio_channel_configuration:2011" value="7"/>
<SegmentTemplate timescale="90000" presentationTimeOffset="0" initialization="a/init.mp4" media="a/$Number%09d$.m4s" startNumber="0">
<SegmentTimeline></SegmentTimeline>
</SegmentTemplate>
</Representation>
</AdaptationSet>
</Period>
<UTCTiming schemeIdUri="urn:mpeg:dash:utc:http-iso:2014" value="../../time"/>
</MPD>
`

func TestAppend(t *testing.T) {
	var runs []Run
	at := int64(90)
	for _, d := range []int64{360000, 360000, 360000, 180000} {
		runs = Add(runs, at, d, 0)
		at += d
	}
	runs = Add(runs, 1300000, 180000, 0) // after a hole
	begun := time.Date(2026, 3, 4, 5, 6, 7, 80e6, time.UTC)
	m := MPD{
		Start: begun, Published: begun.Add(2*time.Minute - 80*time.Millisecond), Update: 2 * time.Second, Window: 60*time.Second + 40*time.Millisecond, Delay: 12 * time.Second,
		Segment: 4 * time.Second, Clock: "../../time",
		Periods: []Period{{ID: "3", Start: 10500 * time.Millisecond, Sets: []Set{
			{Representations: []Representation{{
				ID: "a&b", Codecs: "avc1.64001f", Bandwidth: 2_000_000, Width: 1280, Height: 720, FrameRate: 29.97, Init: "v/init.mp4", Media: "v/$Number%09d$.m4s", First: 7, Offset: 90, Runs: runs,
			}}},
			{Audio: true, Representations: []Representation{{
				ID: "a", Codecs: "mp4a.40.2", Bandwidth: 128_000, Rate: 48000, Channels: 8, Init: "a/init.mp4", Media: "a/$Number%09d$.m4s",
			}}},
		}}},
	}
	got := string(m.Append(nil))
	if got != growing {
		t.Errorf("%s\nwant\n%s", got, growing)
	}
	read, err := mpd.ReadFromString(got)
	if err != nil || len(read.Periods) != 1 || len(read.Periods[0].AdaptationSets) != 2 || *read.Periods[0].AdaptationSets[0].Representations[0].SegmentTemplate.StartNumber != 7 {
		t.Errorf("another's reader: %v, %+v", err, read)
	}
}

// A manifest of low latency says of how many parts segments are, how early they may be asked for, and how far behind players should be.
func TestAppendInParts(t *testing.T) {
	runs := Add(Add(Add(nil, 0, 180000, 4), 180000, 180000, 4), 360000, 180000, 5)
	m := MPD{
		Start: time.Unix(1, 0), Latency: Latency{time.Second, 3 * time.Second, 6 * time.Second},
		Periods: []Period{{ID: "0", Sets: []Set{{Representations: []Representation{{ID: "v", Media: "v/$Number%09d$.$SubNumber$.m4s", Runs: runs, Early: 500 * time.Millisecond, Cadence: 5}}}}}},
	}
	text := string(m.Append(nil))
	for _, want := range []string{
		">\n" + `<ServiceDescription><Latency target="3000" max="6000" min="1000"/><PlaybackRate max="1.1" min="0.96"/></ServiceDescription>` + "\n" +
			`<ServiceDescription><Scope schemeIdUri="urn:dvb:dash:lowlatency:scope:2019"/><Latency target="3000" max="6000" min="1000"/>`,
		`<SegmentSequenceProperties sapType="1" cadence="5"/>` + "\n<SegmentTemplate ",
		` startNumber="0" availabilityTimeOffset="0.5">`, `<S t="0" d="180000" r="1" k="4"/><S d="180000" k="5"/>`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s in\n%s", want, text)
		}
	}
	if _, err := mpd.ReadFromString(text); err != nil {
		t.Errorf("another's reader: %v", err)
	}
}

func TestFraction(t *testing.T) {
	for fps, want := range map[float64]string{25: "25", 30: "30", 29.97: "30000/1001", 23.976: "24000/1001", 59.94: "60000/1001", 12.5: "12500/1000"} {
		if got := fraction(fps); got != want {
			t.Errorf("%v: %s, want %s", fps, got, want)
		}
	}
}
