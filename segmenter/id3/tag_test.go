package id3

import (
	"bytes"
	"strings"
	"testing"
)

// What Tag makes is what players read, byte by byte, and Check takes it.
func TestTag(t *testing.T) {
	got, err := Tag([]Text{{"song", "Für Elise"}, {"", "x"}})
	want := "ID3\x04\x00\x00\x00\x00\x00\x2f" +
		"TXXX\x00\x00\x00\x10\x00\x00\x03song\x00Für Elise" +
		"TXXX\x00\x00\x00\x03\x00\x00\x03\x00x"
	if want = strings.Replace(want, "\x2f", string(rune(len(want)-10)), 1); err != nil || string(got) != want {
		t.Errorf("%q, wanted %q, %v", got, want, err)
	}
	if err := Check(got); err != nil {
		t.Error(err)
	}
	for name, texts := range map[string][]Text{
		"nothing": nil, "too many": make([]Text, maxTexts+1), "NUL": {{"a", "b\x00c"}}, "no UTF-8": {{"a", "\xff"}}, "no UTF-8 where joined": {{"\xc3", "\xbc"}}, "too long": {{"a", strings.Repeat("b", MaxTag)}},
	} {
		if tag, err := Tag(texts); err == nil {
			t.Errorf("%s: %q", name, tag)
		}
	}
	longest := []Text{{"a", strings.Repeat("b", MaxTag-2*headSize-3)}}
	if tag, err := Tag(longest); err != nil || len(tag) != MaxTag || Check(tag) != nil {
		t.Errorf("the longest has %d bytes: %v, %v", len(tag), err, Check(tag))
	}
}

func TestCheck(t *testing.T) {
	const frame = "PRIV\x00\x00\x00\x02\x00\x00ab"
	head := func(version, flags, size int) string {
		return "ID3" + string([]byte{byte(version), 0, byte(flags), 0, 0, byte(size >> 7), byte(size & 127)})
	}
	for name, tc := range map[string]struct {
		tag  string
		says string // empty: it is taken
	}{
		"a frame":                  {head(4, 0, 12) + frame, ""},
		"padding":                  {head(4, 0, 15) + frame + "\x00\x00\x00", ""},
		"an extended header":       {head(4, 0x40, 18) + "\x00\x00\x00\x06\x01\x00" + frame, ""},
		"a footer":                 {head(4, 0x10, 12) + frame + "3DI" + head(4, 0x10, 12)[3:], ""},
		"nothing":                  {"", "ID3 header"},
		"something else":           {"RIFF000000000", "ID3 header"},
		"version 2.3":              {head(3, 0, 12) + frame, "2.3"},
		"unknown flags":            {head(4, 0x01, 12) + frame, "flags"},
		"cut short":                {head(4, 0, 12) + frame[:11], "size"},
		"two":                      {strings.Repeat(head(4, 0, 12)+frame, 2), "size"},
		"a size with high bits":    {"ID3\x04\x00\x00\x00\x00\x00\x8c" + frame, "size"},
		"no frame":                 {head(4, 0, 0), "no frame"},
		"padding alone":            {head(4, 0, 3) + "\x00\x00\x00", "no frame"},
		"a frame too long":         {head(4, 0, 11) + frame[:11], "longer"},
		"an empty frame":           {head(4, 0, 10) + "PRIV\x00\x00\x00\x00\x00\x00", "empty"},
		"a frame without name":     {head(4, 0, 12) + "priv" + frame[4:], "no header"},
		"half a frame's header":    {head(4, 0, 5) + frame[:5], "no header"},
		"padding with something":   {head(4, 0, 14) + frame + "\x00x", "padding"},
		"a damaged footer":         {head(4, 0x10, 12) + frame + "3DI" + head(4, 0x10, 13)[3:], "footer"},
		"no room for extended":     {head(4, 0x40, 12) + frame, "extended"},
		"too long":                 {head(4, 0, 12) + strings.Repeat(frame, 2000), "16384"},
		"a header without a whole": {"ID3\x04", "ID3 header"},
	} {
		err := Check([]byte(tc.tag))
		if (err == nil) != (tc.says == "") || err != nil && !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzCheck(f *testing.F) {
	tag, _ := Tag([]Text{{"a", "b"}})
	f.Add(tag)
	f.Add([]byte("ID3\x04\x00\x50\x00\x00\x00\x12\x00\x00\x00\x06\x01\x00PRIV\x00\x00\x00\x02\x00\x00ab3DI\x04\x00\x50\x00\x00\x00\x12"))
	f.Fuzz(func(t *testing.T, tag []byte) {
		was := bytes.Clone(tag)
		if err := Check(tag); err == nil && (len(tag) > MaxTag || len(tag) < 2*headSize+1) {
			t.Errorf("%q is taken", tag)
		}
		if !bytes.Equal(tag, was) {
			t.Error("it was changed")
		}
	})
}
