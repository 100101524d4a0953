package transcode

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
)

func TestTags(t *testing.T) {
	file := append([]byte("FLV\x01\x01\x00\x00\x00\x09"), 0, 0, 0, 0)
	file = appendTag(file, 9, 0x7f123456, []byte("one"))
	file = appendTag(file, 18, 7, []byte{})
	file = appendTag(file, 8, 8, []byte("three"))
	r := newTags(bytes.NewReader(file))
	for _, want := range []struct {
		kind uint8
		ms   uint32
		body string
	}{{9, 0x7f123456, "one"}, {18, 7, ""}, {8, 8, "three"}} {
		if kind, ms, body, err := r.next(); err != nil || kind != want.kind || ms != want.ms || string(body) != want.body {
			t.Errorf("%d %d %q %v, not %v", kind, ms, body, err, want)
		}
	}
	if _, _, _, err := r.next(); err != io.EOF {
		t.Errorf("at the end: %v", err)
	}
	for name, bad := range map[string][]byte{
		"no FLV":   []byte("<html>nothing</html>"),
		"size":     append(bytes.Clone(file[:13]), 9, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 'x', 0, 0, 9, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0),
		"too long": append(bytes.Clone(file[:13]), 9, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0),
		"cut":      file[:len(file)-6],
	} {
		r := newTags(bytes.NewReader(bad))
		var err error
		for err == nil {
			_, _, _, err = r.next()
		}
		if errors.Is(err, io.EOF) {
			t.Errorf("%s is taken for a proper end", name)
		}
	}
}

func FuzzTags(f *testing.F) {
	f.Add(append([]byte("FLV\x01\x01\x00\x00\x00\x09"), 0, 0, 0, 0, 9, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 'x', 0, 0, 0, 12))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, total := newTags(bytes.NewReader(b)), 0
		for {
			_, _, body, err := r.next()
			if err != nil {
				break
			}
			if total += len(body) + tagHeader; total > len(b) {
				t.Fatal("more came out than went in")
			}
		}
	})
}

// TestArgumentsAreFixed checks that the command line depends on the configuration, and on nothing else.
func TestArgumentsAreFixed(t *testing.T) {
	o := Options{Threads: 3}.withDefaults()
	line := strings.Join(arguments(&o, rungs), " ")
	for _, want := range []string{
		"-copyts -f mpegts", "-i pipe:0 -map 0:v:0 -vf scale=-2:720", "-b:v 2500000 -maxrate 2500000 -bufsize 3750000", "-threads 3",
		"-f flv pipe:3 -map 0:v:0 -vf scale=-2:480", "-force_key_frames source -forced-idr 1 -sc_threshold 0",
	} {
		if !strings.Contains(line, want) {
			t.Errorf("no %q in %s", want, line)
		}
	}
	if !strings.HasSuffix(line, "-f flv pipe:4") {
		t.Errorf("the second rung's pipe is not the second: %s", line)
	}
}
