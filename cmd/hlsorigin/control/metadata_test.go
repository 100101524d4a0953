package control

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hlsorigin/hlsorigin/segmenter/id3"
)

func TestMetadataCall(t *testing.T) {
	for _, tc := range []struct {
		flags      Flags
		body, says string // no body: it makes no sense
	}{
		{Flags{Text: []string{"song=a=b", "by="}}, `{"text":[{"description":"song","value":"a=b"},{"description":"by","value":""}]}`, ""},
		{Flags{ID3: []byte("ID3")}, `{"id3":"SUQz"}`, ""},
		{Flags{}, "", "either -text or -id3"}, {Flags{Text: []string{"a=b"}, ID3: []byte("ID3")}, "", "either -text or -id3"}, {Flags{Text: []string{"song"}}, "", "DESCRIPTION=VALUE"},
	} {
		c, err := Parse("metadata", []string{"live/cam"}, tc.flags)
		if tc.body == "" {
			if err == nil || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("%+v: %v", tc.flags, err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if body, _ := json.Marshal(c.body); string(body) != tc.body || c.method != "POST" || c.path != "/v1/streams/live/cam/metadata" {
			t.Errorf("%s %s %s", c.method, c.path, body)
		}
		for answer, says := range map[string]string{
			`{"deferred":true,"sequence":7}`: "segment 7 begins", `{"program_date_time":"2026-01-02T03:04:05.6Z","deferred":false}`: "at 2026-01-02T03:04:05.600Z",
		} {
			var out bytes.Buffer
			if err := c.show(&out, []byte(answer)); err != nil || !strings.Contains(out.String(), says) {
				t.Errorf("%s: %q, %v", answer, out.String(), err)
			}
		}
	}
}

func TestReadTag(t *testing.T) {
	tag, err := id3.Tag([]id3.Text{{Description: "a", Value: "b"}})
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "tag")
	if _, err := ReadTag(name); err == nil {
		t.Error("a file that is not there is read")
	}
	for says, data := range map[string][]byte{"": tag, "more than": make([]byte, id3.MaxTag+1), "no ID3 tag": []byte("x"), "ID3 header": nil} {
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := ReadTag(name); (err == nil) != (says == "") || says == "" && !bytes.Equal(got, tag) || err != nil && !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %q, %v", data[:min(9, len(data))], got, err)
		}
	}
}
