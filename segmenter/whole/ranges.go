package whole

import (
	"regexp"
	"strings"
	"time"
)

// dates are the attributes of EXT-X-DATERANGE that are instants (rfc8216bis 4.4.5.1).
var dates = regexp.MustCompile(`([:,](?:START|END)-DATE=")([^"]*)(")`)

// Shift moves EXT-X-DATERANGE lines by as much as their segment was moved on the wall clock, from what its sender said to what our playlist
// says: a range stands for media, not for the time of day.
func Shift(lines string, said, is time.Time) string {
	by := is.Sub(said)
	if lines == "" || said.IsZero() || by.Abs() < time.Millisecond {
		return lines
	}
	return dates.ReplaceAllStringFunc(lines, func(attribute string) string {
		m := dates.FindStringSubmatch(attribute)
		at, err := time.Parse(time.RFC3339Nano, strings.TrimSpace(m[2]))
		if err != nil {
			return attribute
		}
		return m[1] + at.Add(by).UTC().Format("2006-01-02T15:04:05.000Z") + m[3]
	})
}
