package cmaf

import (
	"hash/crc32"
	"strings"
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
	"github.com/hlsorigin/hlsorigin/segmenter/mpd"
)

// breaks are the ad breaks of rows as events of a period that begins at an instant: where one goes out, and where the programme comes back,
// each with the message that its date range has. first says that no period is before it: a break that runs from before the rows is told of
// then, from where it began, or from the period's begin on. A date range without a message of SCTE 35 is no ad break, and is left out.
func breaks(rows []segmenter.Row, begin time.Time, first bool) (events []mpd.Event) {
	add := func(lines string) {
		for line := range strings.Lines(lines) {
			d, err := m3u8.ParseDateRange(line)
			if err != nil {
				continue
			}
			lasts := max(d.Planned, d.Duration)
			if d.Out != nil {
				at, left := d.Start.Sub(begin), lasts
				if at < 0 {
					at, left = 0, max(lasts+at, 0)
				}
				if left > 0 || lasts == 0 {
					events = append(events, mpd.Event{ID: eventID("out", d.ID), At: at, Duration: left, Signal: d.Out})
				}
			}
			if d.In != nil {
				events = append(events, mpd.Event{ID: eventID("in", d.ID), At: max(d.Start.Add(d.Duration).Sub(begin), 0), Signal: d.In})
			}
		}
	}
	if first {
		add(rows[0].Running)
	}
	for i := range rows {
		add(rows[i].Cues)
	}
	return events
}

// eventID tells events apart: players take those with one id for one.
func eventID(end, id string) uint32 { return crc32.ChecksumIEEE([]byte(end + " " + id)) }
