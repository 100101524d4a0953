package listen

import (
	"encoding/binary"
	"errors"
	"io"
	"net/netip"
	"strings"
	"testing"
)

// v2 returns a header of version 2.
func v2(command, family byte, body string) string {
	return signature2 + string(binary.BigEndian.AppendUint16([]byte{command, family}, uint16(len(body)))) + body
}

const (
	body4 = "\xcb\x00\x71\x09\x0a\x00\x00\x01\x30\x39\x07\x8f" // 203.0.113.9:12345 to 10.0.0.1:1935
	body6 = "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x07" + "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01" + "\x30\x39\x07\x8f"
)

func TestHeader(t *testing.T) {
	for name, tc := range map[string]struct{ in, want string }{
		"v1":            {"PROXY TCP4 203.0.113.9 10.0.0.1 12345 1935\r\n", "203.0.113.9:12345"},
		"v1 TCP6":       {"PROXY TCP6 2001:db8::7 ::1 12345 1935\r\n", "[2001:db8::7]:12345"},
		"v1 unknown":    {"PROXY UNKNOWN\r\n", ""},
		"v1 unknown +":  {"PROXY UNKNOWN ffff:f...f ffff:f...f 65535 65535\r\n", ""},
		"v2":            {v2(0x21, 0x11, body4), "203.0.113.9:12345"},
		"v2 with notes": {v2(0x21, 0x11, body4+"\x03\x00\x04crc!"), "203.0.113.9:12345"},
		"v2 TCP6":       {v2(0x21, 0x21, body6), "[2001:db8::7]:12345"},
		"v2 local":      {v2(0x20, 0x00, ""), ""},
		"v2 unix":       {v2(0x21, 0x31, strings.Repeat("x", 216)), ""},
		"v2 longest":    {v2(0x21, 0x11, body4+strings.Repeat("x", maxHeader2-len(body4))), "203.0.113.9:12345"},
	} {
		t.Run(name, func(t *testing.T) {
			r := strings.NewReader(tc.in + "\x03rest")
			got, err := readHeader(r)
			want := netip.AddrPort{}
			if tc.want != "" {
				want = netip.MustParseAddrPort(tc.want)
			}
			if err != nil || got != want {
				t.Errorf("%v, %v, want %v", got, err, want)
			}
			if rest, _ := io.ReadAll(r); string(rest) != "\x03rest" {
				t.Errorf("what follows is %q", rest)
			}
		})
	}
}

func TestBadHeader(t *testing.T) {
	for name, tc := range map[string]struct {
		in   string
		want error
	}{
		"nothing":        {"", errNoHeader},
		"RTMP":           {"\x03" + strings.Repeat("\x00", 1536), errNoHeader},
		"HTTP":           {"GET / HTTP/1.1\r\n\r\n", errNoHeader},
		"short":          {"PROXY", errBadHeader},
		"no end":         {"PROXY TCP4 " + strings.Repeat("1", 200), errBadHeader},
		"bare line feed": {"PROXY TCP4 203.0.113.9 10.0.0.1 1 2\n" + strings.Repeat("x", 100), errBadHeader},
		"no port":        {"PROXY TCP4 203.0.113.9 10.0.0.1\r\n", errBadHeader},
		"high port":      {"PROXY TCP4 203.0.113.9 10.0.0.1 65536 1\r\n", errBadHeader},
		"wrong family":   {"PROXY TCP4 ::1 ::1 1 2\r\n", errBadHeader},
		"other family":   {"PROXY TCP6 1.2.3.4 1.2.3.4 1 2\r\n", errBadHeader},
		"zone":           {"PROXY TCP6 fe80::1%lo ::1 1 2\r\n", errBadHeader},
		"UDP":            {"PROXY UDP4 1.2.3.4 1.2.3.4 1 2\r\n", errBadHeader},
		"v2 version 3":   {v2(0x31, 0x11, body4), errBadHeader},
		"v2 command":     {v2(0x22, 0x11, body4), errBadHeader},
		"v2 cut":         {v2(0x21, 0x11, body4)[:20], errBadHeader},
		"v2 short":       {v2(0x21, 0x11, body4[:11]), errBadHeader},
		"v2 long":        {v2(0x21, 0x11, strings.Repeat("x", maxHeader2+1)), errBadHeader},
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := readHeader(strings.NewReader(tc.in)); !errors.Is(err, tc.want) || got.IsValid() {
				t.Errorf("%v, %v", got, err)
			}
		})
	}
}

// FuzzHeader checks that no more is read than the maximum length of a header, and that the result is an address.
func FuzzHeader(f *testing.F) {
	f.Add([]byte("PROXY TCP4 203.0.113.9 10.0.0.1 12345 1935\r\nrest"))
	f.Add([]byte("PROXY UNKNOWN\r\n"))
	f.Add([]byte(v2(0x21, 0x11, body4)))
	f.Add([]byte(v2(0x21, 0x21, body6)))
	f.Add([]byte(v2(0x20, 0, "")))
	f.Fuzz(func(t *testing.T, b []byte) {
		r := strings.NewReader(string(b))
		got, err := readHeader(r)
		if read := len(b) - r.Len(); read > 16+maxHeader2 {
			t.Errorf("%d bytes were read", read)
		}
		if err != nil && got.IsValid() || got.Addr().Zone() != "" {
			t.Errorf("%v, %v", got, err)
		}
		_ = address(got).String()
	})
}
