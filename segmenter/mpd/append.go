package mpd

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// Append renders the manifest behind b.
func (m *MPD) Append(b []byte) []byte {
	b = append(b, `<?xml version="1.0" encoding="UTF-8"?>`+"\n"+`<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" profiles="urn:mpeg:dash:profile:isoff-live:2011"`...)
	if m.Start.IsZero() {
		b = append(b, ` type="static"`...)
		b = duration(b, "mediaPresentationDuration", m.Duration)
	} else {
		b = append(b, ` type="dynamic"`...)
		b = instant(b, "availabilityStartTime", m.Start)
		b = instant(b, "publishTime", m.Published)
		b = duration(b, "minimumUpdatePeriod", m.Update)
		if m.Window > 0 {
			b = duration(b, "timeShiftBufferDepth", m.Window)
		}
		if m.Delay > 0 {
			b = duration(b, "suggestedPresentationDelay", m.Delay)
		}
	}
	b = duration(b, "minBufferTime", m.Segment)
	b = duration(b, "maxSegmentDuration", m.Segment)
	b = append(b, ">\n"...)
	if m.Latency.Target > 0 {
		// Shaka counts it from where suggestedPresentationDelay lets it be, and would be farther behind by both. Of two it takes none;
		// dash.js takes the one of the scope that it knows.
		b = m.Latency.append(b, "")
		b = m.Latency.append(b, `<Scope schemeIdUri="urn:dvb:dash:lowlatency:scope:2019"/>`)
	}
	for i := range m.Periods {
		b = m.Periods[i].append(b)
	}
	if !m.Start.IsZero() && m.Clock != "" {
		b = append(b, `<UTCTiming schemeIdUri="urn:mpeg:dash:utc:http-iso:2014"`...)
		b = append(text(b, "value", m.Clock), "/>\n"...)
	}
	return append(b, "</MPD>\n"...)
}

// append appends the service description for those of a scope.
func (l *Latency) append(b []byte, scope string) []byte {
	b = append(append(append(b, "<ServiceDescription>"...), scope...), "<Latency"...)
	b = number(b, "target", l.Target.Milliseconds())
	b = number(number(b, "max", l.Max.Milliseconds()), "min", l.Min.Milliseconds())
	return append(b, `/><PlaybackRate max="1.1" min="0.96"/></ServiceDescription>`+"\n"...)
}

func (p *Period) append(b []byte) []byte {
	b = append(b, "<Period"...)
	b = text(b, "id", p.ID)
	b = appendEvents(append(duration(b, "start", p.Start), ">\n"...), p.Events)
	for i := range p.Sets {
		b = p.Sets[i].append(b, i)
	}
	return append(b, "</Period>\n"...)
}

func (s *Set) append(b []byte, id int) []byte {
	b = number(append(b, "<AdaptationSet"...), "id", int64(id))
	if s.Audio {
		b = append(b, ` contentType="audio" mimeType="audio/mp4"`...)
	} else {
		b = append(b, ` contentType="video" mimeType="video/mp4"`...)
	}
	if s.Language != "" {
		b = text(b, "lang", s.Language)
	}
	b = append(b, ` segmentAlignment="true" startWithSAP="1">`+"\n"...)
	if s.Inband != "" {
		b = append(text(append(b, "<InbandEventStream"...), "schemeIdUri", s.Inband), "/>\n"...)
	}
	for i := range s.Representations {
		b = s.Representations[i].append(b)
	}
	return append(b, "</AdaptationSet>\n"...)
}

func (r *Representation) append(b []byte) []byte {
	b = text(append(b, "<Representation"...), "id", r.ID)
	b = text(b, "codecs", r.Codecs)
	b = number(b, "bandwidth", int64(r.Bandwidth))
	if r.Width > 0 && r.Height > 0 {
		b = number(number(b, "width", int64(r.Width)), "height", int64(r.Height))
	}
	if r.FrameRate > 0 {
		b = text(b, "frameRate", fraction(r.FrameRate))
	}
	if r.Rate > 0 {
		b = number(b, "audioSamplingRate", int64(r.Rate))
	}
	b = append(b, ">\n"...)
	if r.Channels > 0 {
		b = append(b, `<AudioChannelConfiguration schemeIdUri="urn:mpeg:dash:23003:3:audio_channel_configuration:2011"`...)
		b = append(number(b, "value", int64(channels(r.Channels))), "/>\n"...)
	}
	if r.Cadence > 0 {
		b = append(number(append(b, `<SegmentSequenceProperties sapType="1"`...), "cadence", int64(r.Cadence)), "/>\n"...)
	}
	b = number(append(b, "<SegmentTemplate"...), "timescale", Timescale)
	b = number(b, "presentationTimeOffset", r.Offset)
	b = text(text(b, "initialization", r.Init), "media", r.Media)
	b = append(b, ` startNumber="`...)
	b = strconv.AppendUint(b, r.First, 10)
	b = append(b, '"')
	if r.Early > 0 {
		b = attribute(b, "availabilityTimeOffset")
		b = append(strconv.AppendFloat(b, r.Early.Seconds(), 'f', -1, 64), '"')
	}
	b = append(b, ">\n<SegmentTimeline>"...)
	next := int64(-1)
	for _, run := range r.Runs {
		b = append(b, "<S"...)
		if run.Time != next {
			b = number(b, "t", run.Time)
		}
		b = number(b, "d", run.Duration)
		if run.Count > 1 {
			b = number(b, "r", int64(run.Count-1))
		}
		if run.Parts > 0 {
			b = number(b, "k", int64(run.Parts))
		}
		b = append(b, "/>"...)
		next = run.Time + run.Duration*int64(run.Count)
	}
	return append(b, "</SegmentTimeline>\n</SegmentTemplate>\n</Representation>\n"...)
}

// channels is the ChannelConfiguration (ISO/IEC 23001-8) of so many channels of AAC.
func channels(n int) int {
	if n == 8 {
		return 7
	}
	return n
}

// fraction is a frame rate as DASH writes it: "25", "30000/1001".
func fraction(fps float64) string {
	whole := math.Round(fps)
	if math.Abs(fps-whole) < 0.001 {
		return strconv.Itoa(int(whole))
	}
	if up := math.Round(fps * 1001 / 1000); math.Abs(fps-up*1000/1001) < 0.001 {
		return strconv.Itoa(int(up)*1000) + "/1001"
	}
	return strconv.Itoa(int(math.Round(fps*1000))) + "/1000"
}

func number(b []byte, name string, v int64) []byte {
	b = attribute(b, name)
	return append(strconv.AppendInt(b, v, 10), '"')
}

func text(b []byte, name, value string) []byte {
	b = attribute(b, name)
	if strings.ContainsAny(value, `&<>"`) {
		value = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;").Replace(value)
	}
	return append(append(b, value...), '"')
}

// duration writes an xs:duration in seconds, to the microsecond.
func duration(b []byte, name string, d time.Duration) []byte {
	b = append(attribute(b, name), "PT"...)
	us := max(d, 0).Round(time.Microsecond).Microseconds()
	b = strconv.AppendInt(b, us/1e6, 10)
	if us %= 1e6; us > 0 {
		digits := strconv.Itoa(int(us) + 1e6)[1:]
		b = append(append(b, '.'), strings.TrimRight(digits, "0")...)
	}
	return append(b, `S"`...)
}

func instant(b []byte, name string, t time.Time) []byte {
	b = attribute(b, name)
	return append(t.UTC().AppendFormat(b, "2006-01-02T15:04:05.000Z"), '"')
}

func attribute(b []byte, name string) []byte {
	b = append(append(b, ' '), name...)
	return append(b, '=', '"')
}
