package codec

import (
	"slices"
	"testing"
)

func TestCaptions(t *testing.T) {
	for name, c := range map[string]struct {
		data string // cc_data
		want []string
	}{
		"a caption in field 1":                  {"41 ff fc 9420 ff", []string{"CC1"}},
		"its second channel":                    {"41 ff fc 1c20 ff", []string{"CC2"}},
		"in field 2":                            {"42 ff fc 8080 fd 1520 ff", []string{"CC3"}},
		"its second channel in field 2":         {"42 ff fc 8080 fd 9d20 ff", []string{"CC4"}},
		"both fields":                           {"42 ff fc 9420 fd 1520 ff", []string{"CC1", "CC3"}},
		"text alone, whose channel is not said": {"41 ff fc c8e5 ff", nil},
		"nothing but padding":                   {"42 ff fc 8080 fd 8080 ff", nil},
		"extended data services, no captions":   {"42 ff fc 8080 fd 8103 ff", nil},
		"a pair that is not valid":              {"41 ff f8 9420 ff", nil},
		"data that are not to be processed":     {"01 ff fc 9420 ff", nil},
		"fewer than were announced":             {"5f ff fc 9420", []string{"CC1"}},
		"more than were announced":              {"40 ff fc 9420 ff", nil},
		"service 1":                             {"42 ff ff 0221 fe 4100 ff", []string{"SERVICE1"}},
		"services 1 and 2":                      {"43 ff ff 0321 fe 4141 fe 4200 ff", []string{"SERVICE1", "SERVICE2"}},
		"an extended service":                   {"43 ff ff 03e1 fe 0941 fe 0000 ff", []string{"SERVICE9"}},
		"more services than a decoder knows":    {"43 ff ff 03e1 fe 2041 fe 0000 ff", nil},
		"two packets":                           {"44 ff ff 0221 fe 4100 ff 4241 fe 4200 ff", []string{"SERVICE1", "SERVICE2"}},
		"the end of a packet of before":         {"41 ff fe 2141 ff", nil},
		"a packet of nothing":                   {"41 ff ff 0100 ff", nil},
		"a block that goes on in another":       {"41 ff ff 0b3f ff", []string{"SERVICE1"}},
		"both standards":                        {"44 ff fc 9420 fd 8080 ff 0221 fe 4100 ff", []string{"CC1", "SERVICE1"}},
		"no flags":                              {"", nil},
		"half of the head":                      {"41", nil},
		"a triplet cut short":                   {"41 ff fc 94", nil},
	} {
		got := captions(append([]byte(captionsPrefix), unhex(t, c.data)...)).InstreamIDs()
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

// What an SEI has of captions is in the survey of its picture, of both codecs, and of all its messages.
func TestSurveyOfCaptions(t *testing.T) {
	const one, two = "04 0e b5 0031 47413934 03 41 ff fc 9420 ff", "04 11 b5 0031 47413934 03 42 ff ff 0221 fe 4100 ff"
	for c, unit := range map[Codec]string{H264: "06" + one + two + "80", H265: "4e01" + one + two + "80"} {
		s := c.Survey([][]byte{unhex(t, unit)})
		if want := CC1 | CC4<<1; !s.Captions || s.Channels != want {
			t.Errorf("%v: %+v", c, s)
		}
	}
}

// FuzzCaptions checks that no cc_data is too much.
func FuzzCaptions(f *testing.F) {
	f.Add([]byte{0x42, 0xFF, 0xFF, 2, 0x21, 0xFE, 0x41, 0, 0xFF})
	f.Fuzz(func(t *testing.T, data []byte) {
		if c := captions(append([]byte(captionsPrefix), data...)); c >= CC4<<(maxService+1) {
			t.Errorf("%x", c)
		}
	})
}
