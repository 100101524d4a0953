package configs

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Duration is a time span that is written with its unit: 500ms, 4s, 5m, 24h, 30d, or several of them, 1h30m.
type Duration time.Duration

// Std is the duration as the standard library has it.
func (d Duration) Std() time.Duration { return time.Duration(d) }

// String is the shortest exact form that ParseDuration reads back.
func (d Duration) String() string {
	for _, u := range []unit{{"d", 24 * float64(time.Hour)}, {"h", float64(time.Hour)}, {"m", float64(time.Minute)}, {"s", float64(time.Second)}, {"ms", float64(time.Millisecond)}} {
		if n := Duration(u.factor); d != 0 && d%n == 0 {
			if u.name == "d" && d == n {
				return "24h" // as everybody says
			}
			return strconv.FormatInt(int64(d/n), 10) + u.name
		}
	}
	return time.Duration(d).String()
}

const durationForm = "a duration such as 500ms, 4s, 5m, 24h or 30d"

// ParseDuration reads a Duration. Zero needs no unit; negative ones do not exist.
func ParseDuration(s string) (Duration, error) {
	if s == "0" {
		return 0, nil
	}
	var sum float64
	for rest := s; ; {
		n, name, tail := cutNumber(rest)
		i := indexUnit(durationUnits, name)
		if n == "" || i < 0 {
			return 0, fmt.Errorf("%q is not %s", s, durationForm)
		}
		v, err := strconv.ParseFloat(n, 64)
		if err != nil {
			return 0, fmt.Errorf("%q is not %s", s, durationForm)
		}
		if sum += v * durationUnits[i].factor; sum >= math.MaxInt64 {
			return 0, fmt.Errorf("%q is longer than 292 years", s)
		}
		if rest = tail; rest == "" {
			return Duration(math.Round(sum)), nil
		}
	}
}

// Size is a number of bytes that is written with its unit: kB, MB, GB, TB are powers of 1000, KiB, MiB, GiB, TiB of 1024.
type Size int64

// Bytes is the size as a plain number.
func (s Size) Bytes() int64 { return int64(s) }

// String is the shortest exact form that ParseSize reads back.
func (s Size) String() string {
	for _, u := range sizeUnits {
		if n := Size(u.factor); s != 0 && s%n == 0 {
			return strconv.FormatInt(int64(s/n), 10) + u.name
		}
	}
	return strconv.FormatInt(int64(s), 10)
}

const sizeForm = "a size such as 64MiB, 20GiB or 1GB"

// ParseSize reads a Size. Zero needs no unit; negative ones do not exist.
func ParseSize(s string) (Size, error) {
	if s == "0" {
		return 0, nil
	}
	n, err := parseUnit(s, sizeUnits, sizeForm)
	return Size(n), err
}

// Bitrate is in bits per second, written 800k or 2.5M.
type Bitrate int

// String is the shortest exact form that ParseBitrate reads back.
func (b Bitrate) String() string {
	for _, u := range bitrateUnits {
		if n := Bitrate(u.factor); b != 0 && b%n == 0 {
			return strconv.Itoa(int(b/n)) + u.name
		}
	}
	return strconv.Itoa(int(b))
}

const bitrateForm = "a bit rate such as 800k or 2.5M (bits per second)"

// ParseBitrate reads a Bitrate. The unit is needed: 2500 alone could be meant in two ways.
func ParseBitrate(s string) (Bitrate, error) {
	n, err := parseUnit(s, bitrateUnits, bitrateForm)
	return Bitrate(n), err
}

type unit struct {
	name   string
	factor float64
}

// Largest first; the binary ones before the decimal, since an exact binary size reads better so.
var (
	durationUnits = []unit{{"d", 24 * 3600e9}, {"h", 3600e9}, {"m", 60e9}, {"s", 1e9}, {"ms", 1e6}, {"us", 1e3}, {"µs", 1e3}, {"ns", 1}}
	sizeUnits     = []unit{{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"TB", 1e12}, {"GB", 1e9}, {"MB", 1e6}, {"kB", 1e3}, {"B", 1}}
	bitrateUnits  = []unit{{"M", 1e6}, {"k", 1e3}}
)

func indexUnit(units []unit, name string) int {
	for i, u := range units {
		if u.name == name || len(name) > 1 && strings.EqualFold(u.name, name) {
			return i
		}
	}
	return -1
}

// cutNumber splits "1.5GiB…" into number, unit name and what follows.
func cutNumber(s string) (number, name, rest string) {
	digit := func(r rune) bool { return '0' <= r && r <= '9' || r == '.' }
	i := strings.IndexFunc(s, func(r rune) bool { return !digit(r) })
	if i <= 0 {
		return "", "", s
	}
	j := strings.IndexFunc(s[i:], digit)
	if j < 0 {
		j = len(s) - i
	}
	return s[:i], s[i : i+j], s[i+j:]
}

func parseUnit(s string, units []unit, form string) (int64, error) {
	n, name, rest := cutNumber(s)
	i := indexUnit(units, strings.TrimLeft(name, " "))
	if n == "" || i < 0 || rest != "" {
		return 0, fmt.Errorf("%q is not %s", s, form)
	}
	v, err := strconv.ParseFloat(n, 64)
	if err != nil {
		return 0, fmt.Errorf("%q is not %s", s, form)
	}
	if v *= units[i].factor; v >= math.MaxInt64 {
		return 0, fmt.Errorf("%q is too large", s)
	}
	return int64(math.Round(v)), nil
}
