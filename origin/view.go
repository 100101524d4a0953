package origin

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/hlsorigin/hlsorigin/origin/directive"
)

// view is what a query asks to see of a stream other than its live edge. The zero value asks for nothing.
//
//	start=T           from T on: an ISO 8601 date and time, or seconds since 1970
//	end=T             up to T; without start it is ignored
//	time_delay=N      the live playlist as it was N seconds ago
//	aws.manifestfilter=...   see filter
//
// All other parameters change nothing, including those of signed URLs.
type view struct {
	start, end time.Time
	delay      time.Duration
	filter     filter
	filterText string
	instant    time.Time // selects the recording, if the view is of another time
}

// maxDelay is the longest time_delay: more than any archive could hold.
const maxDelay = 366 * 24 * time.Hour

// shifted reports whether the view is of another time than now.
func (v *view) shifted() bool { return !v.start.IsZero() || v.delay > 0 }

// plain reports whether it is the thing itself.
func (v *view) plain() bool { return !v.shifted() && v.filter == nil }

// from returns the instant that selects the recording.
func (v *view) from(now time.Time) time.Time {
	if v.delay > 0 {
		return now.Add(-v.delay)
	}
	return v.start
}

// carried returns the query for the children of a multivariant playlist, in one spelling for all equivalent ones; "" for none. It leaves
// out the filter, which has done its work.
func (v *view) carried() string {
	switch {
	case v.delay > 0:
		return "?time_delay=" + strconv.FormatInt(int64(v.delay/time.Second), 10)
	case v.start.IsZero():
		return ""
	case v.end.IsZero():
		return "?start=" + spell(v.start)
	}
	return "?start=" + spell(v.start) + "&end=" + spell(v.end)
}

func spell(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.999Z") }

// parseView reads the parameters that we know. Its error is written for the author of the URL.
func parseView(query string) (v view, err error) {
	var seen struct{ start, end, delay, filter bool }
	for query != "" {
		var pair string
		pair, query, _ = strings.Cut(query, "&")
		name, value, _ := strings.Cut(pair, "=")
		name = directive.Name(name)
		var once *bool
		switch name {
		case "start":
			once = &seen.start
		case "end":
			once = &seen.end
		case "time_delay":
			once = &seen.delay
		case "aws.manifestfilter":
			once = &seen.filter
		default:
			continue
		}
		if *once {
			return view{}, fmt.Errorf("%s: given more than once", name)
		}
		*once = true
		text, err := url.PathUnescape(value) // a plus sign stays: it is part of a time zone
		if err != nil {
			return view{}, fmt.Errorf("%s: %w", name, err)
		}
		switch name {
		case "start":
			v.start, err = parseInstant(text)
		case "end":
			v.end, err = parseInstant(text)
		case "time_delay":
			v.delay, err = parseDelay(text)
		default:
			v.filterText = strings.ToLower(text)
			v.filter, err = parseFilter(v.filterText)
		}
		if err != nil {
			return view{}, fmt.Errorf("%s: %w", name, err)
		}
	}
	switch {
	case seen.delay && seen.start:
		return view{}, fmt.Errorf("time_delay: not together with start")
	case !seen.start:
		v.end = time.Time{}
	case seen.end && !v.end.After(v.start):
		return view{}, fmt.Errorf("end: not after start")
	}
	return v, nil
}

// parseInstant reads seconds since 1970, or a date and time, which is in UTC unless it names a zone.
func parseInstant(s string) (time.Time, error) {
	if n, err := strconv.ParseUint(s, 10, 64); err == nil {
		if n == 0 || n > 1<<36 {
			return time.Time{}, fmt.Errorf("%q is not a number of seconds since 1970", s)
		}
		return time.Unix(int64(n), 0), nil
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05Z0700", "2006-01-02T15:04:05Z07", "2006-01-02T15:04:05"} {
		if t, err := time.Parse(layout, s); err == nil && t.Unix() > 0 {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("%.40q is neither seconds since 1970 nor a time like 2023-08-24T16:02:52Z", s)
}

func parseDelay(s string) (time.Duration, error) {
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil || time.Duration(n)*time.Second > maxDelay {
		return 0, fmt.Errorf("%.40q is not a number of seconds", s)
	}
	return time.Duration(n) * time.Second, nil
}
