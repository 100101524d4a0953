package m3u8

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// DateRange is one EXT-X-DATERANGE (rfc8216bis 4.4.5.1), as far as an ad break needs it.
type DateRange struct {
	ID       string
	Start    time.Time
	Duration time.Duration // 0: not known yet
	Planned  time.Duration // PLANNED-DURATION; 0: none
	Out, In  []byte        // SCTE35-OUT and SCTE35-IN: splice_info_sections; nil: none
}

// rangePrefix begins the tag.
const rangePrefix = "#EXT-X-DATERANGE:"

// Append renders the tag's line behind b.
func (d *DateRange) Append(b []byte) []byte {
	b = append(b, rangePrefix+`ID="`...)
	b = append(b, d.ID...)
	b = append(b, `",START-DATE="`...)
	b = append(appendTime(b, d.Start), '"')
	for _, a := range []struct {
		name string
		d    time.Duration
	}{{",DURATION=", d.Duration}, {",PLANNED-DURATION=", d.Planned}} {
		if a.d > 0 {
			b = append(b, a.name...)
			b = strconv.AppendFloat(b, a.d.Seconds(), 'f', 3, 64)
		}
	}
	for _, a := range []struct {
		name string
		b    []byte
	}{{",SCTE35-OUT=0x", d.Out}, {",SCTE35-IN=0x", d.In}} {
		if a.b != nil {
			b = append(b, a.name...)
			b = append(b, strings.ToUpper(hex.EncodeToString(a.b))...)
		}
	}
	return append(b, '\n')
}

// ParseDateRange reads the tag's line. Attributes that it does not know are skipped.
func ParseDateRange(line string) (d DateRange, err error) {
	list, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), rangePrefix)
	if !ok {
		return d, fmt.Errorf("m3u8: %.64q is no date range", line)
	}
	a, err := parseAttributes(list)
	if err != nil {
		return d, fmt.Errorf("m3u8: date range: %w", err)
	}
	d.ID = a["ID"]
	if d.Start, err = time.Parse(time.RFC3339Nano, a["START-DATE"]); err != nil {
		return d, fmt.Errorf("m3u8: date range %.64q: START-DATE %.64q is no time", d.ID, a["START-DATE"])
	}
	for name, to := range map[string]*time.Duration{"DURATION": &d.Duration, "PLANNED-DURATION": &d.Planned} {
		s, ok := a[name]
		if !ok {
			continue
		}
		f, err := strconv.ParseFloat(s, 64)
		if err != nil || !(f >= 0 && f < 1e6) {
			return d, fmt.Errorf("m3u8: date range %.64q: %s %.64q is no duration", d.ID, name, s)
		}
		*to = time.Duration(f*1000+0.5) * time.Millisecond
	}
	for name, to := range map[string]*[]byte{"SCTE35-OUT": &d.Out, "SCTE35-IN": &d.In} {
		s, ok := a[name]
		if !ok {
			continue
		}
		digits := strings.TrimPrefix(strings.TrimPrefix(s, "0x"), "0X")
		if *to, err = hex.DecodeString(digits); err != nil || digits == s || digits == "" {
			return d, fmt.Errorf("m3u8: date range %.64q: %s %.64q is no hexadecimal sequence", d.ID, name, s)
		}
	}
	return d, nil
}

// Running are those lines of a run of date ranges that began before an instant and are not over then, of which a playlist that begins
// there has to tell. Lines that are none, or say nothing of their end, are left out.
func Running(lines string, at time.Time) (running string) {
	for line := range strings.Lines(lines) {
		d, err := ParseDateRange(line)
		if lasts := max(d.Duration, d.Planned); err == nil && d.In == nil && d.Start.Before(at) && d.Start.Add(lasts).After(at) {
			running += line
		}
	}
	return running
}

// Ranges are those lines of a text from outside that are date ranges, each with its line end; none where it is beyond any measure.
func Ranges(text string) (lines string) {
	if len(text) > maxRanges {
		return ""
	}
	for line := range strings.Lines(text) {
		if _, err := ParseDateRange(line); err == nil && strings.HasSuffix(line, "\n") && !strings.ContainsAny(line, "\r\x00") {
			lines += line
		}
	}
	return lines
}

// maxRanges bounds the date ranges before one segment, in bytes.
const maxRanges = 4096
