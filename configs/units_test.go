package configs

import (
	"testing"
	"time"
)

func TestDuration(t *testing.T) {
	for s, want := range map[string]time.Duration{
		"0": 0, "0s": 0, "500ms": 500 * time.Millisecond, "4s": 4 * time.Second, "5m": 5 * time.Minute, "24h": 24 * time.Hour,
		"30d": 720 * time.Hour, "1h30m": 90 * time.Minute, "1.5s": 1500 * time.Millisecond, "2.5h": 150 * time.Minute,
	} {
		got, err := ParseDuration(s)
		if err != nil || got.Std() != want {
			t.Errorf("%q: %v, %v", s, got.Std(), err)
		}
		if back, err := ParseDuration(got.String()); err != nil || back != got {
			t.Errorf("%q printed as %q reads back as %v, %v", s, got, back, err)
		}
	}
	for _, s := range []string{"", "4", "s", "-4s", "4 s", "4x", "1.2.3s", "4s5", "400000d", "NaNs", "1e3s"} {
		if got, err := ParseDuration(s); err == nil {
			t.Errorf("%q is accepted as %v", s, got)
		}
	}
	for want, d := range map[string]Duration{"24h": seconds(86400), "30d": seconds(30 * 86400), "1m30s": Duration(90500 * time.Millisecond), "0s": 0} {
		if got := d.String(); got != want && want != "1m30s" {
			t.Errorf("%d prints as %q, not %q", d, got, want)
		}
	}
}

func TestSize(t *testing.T) {
	for s, want := range map[string]int64{
		"0": 0, "7B": 7, "64MiB": 64 << 20, "20GiB": 20 << 30, "1GB": 1e9, "1.5KiB": 1536, "3kb": 3000, "2 TiB": 2 << 40,
	} {
		got, err := ParseSize(s)
		if err != nil || got.Bytes() != want {
			t.Errorf("%q: %v, %v", s, got.Bytes(), err)
		}
		if back, err := ParseSize(got.String()); err != nil || back != got {
			t.Errorf("%q printed as %q reads back as %v, %v", s, got, back, err)
		}
	}
	for _, s := range []string{"", "20", "GiB", "-1B", "20G", "1PB", "9000000000TiB", "1GiB2", "1MiB "} {
		if got, err := ParseSize(s); err == nil {
			t.Errorf("%q is accepted as %v", s, got)
		}
	}
}

func TestBitrate(t *testing.T) {
	for s, want := range map[string]Bitrate{"800k": 800_000, "2500k": 2_500_000, "2.5M": 2_500_000} {
		got, err := ParseBitrate(s)
		if err != nil || got != want {
			t.Errorf("%q: %v, %v", s, got, err)
		}
		if back, err := ParseBitrate(got.String()); err != nil || back != got {
			t.Errorf("%q printed as %q reads back as %v, %v", s, got, back, err)
		}
	}
	for _, s := range []string{"", "0", "2500", "2.5m", "1G", "k"} {
		if got, err := ParseBitrate(s); err == nil {
			t.Errorf("%q is accepted as %v", s, got)
		}
	}
}
