package rtsp

import (
	"fmt"
	"testing"

	"github.com/bluenviron/gortsplib/v4/pkg/base"
	"github.com/bluenviron/gortsplib/v4/pkg/description"
	libsdp "github.com/bluenviron/gortsplib/v4/pkg/sdp"

	"github.com/hlsorigin/hlsorigin/ingest/rtsp/sdp"
)

func mustURL(t *testing.T, s string) *base.URL {
	t.Helper()
	u, err := base.ParseURL(s)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// checkLibrary checks that the protocol library can read what it gets instead of an SDP, and knows every payload type.
func checkLibrary(t *testing.T, o *offer) {
	t.Helper()
	var s libsdp.SessionDescription
	if err := s.Unmarshal(o.sdp()); err != nil {
		t.Fatalf("%v\n%s", err, o.sdp())
	}
	var d description.Session
	if err := d.Unmarshal(&s); err != nil {
		t.Fatalf("%v\n%s", err, o.sdp())
	}
	if len(d.Medias) != len(o.media) {
		t.Fatalf("%d media, want %d\n%s", len(d.Medias), len(o.media), o.sdp())
	}
	for i, m := range d.Medias {
		if m.Control != o.control[i] || m.IsBackChannel {
			t.Errorf("%+v", m)
		}
		for _, f := range o.media[i].Formats {
			if got := formatOf(m, f.PayloadType); got.ClockRate() < 0 {
				t.Errorf("clock of %d", got.ClockRate())
			}
		}
	}
}

func TestOfferHasEveryPayloadType(t *testing.T) {
	for from := 0; from < 128; from += sdp.MaxFormats {
		m := sdp.Media{Kind: "audio"}
		for n := from; n < from+sdp.MaxFormats; n++ {
			m.Formats = append(m.Formats, sdp.Format{PayloadType: uint8(n), Clock: n})
		}
		checkLibrary(t, newOffer(mustURL(t, "rtsp://x/live/cam"), []sdp.Media{m, {Kind: "text"}}))
	}
}

// TestOfferFindsTracks checks that two tracks with odd controls are told apart, and that tracks without one are taken in turn.
func TestOfferFindsTracks(t *testing.T) {
	for _, c := range []struct {
		first, second string // controls
		setups        [2]string
		want          [2]int
	}{
		{"streamid=0", "streamid=1", [2]string{"/streamid=1", "/streamid=0"}, [2]int{1, 0}},
		{"1", "11", [2]string{"/11", "/1"}, [2]int{1, 0}},
		{"a/1", "b/1", [2]string{"/b/1", "/a/1"}, [2]int{1, 0}},
		{"", "", [2]string{"", ""}, [2]int{0, 1}},
		{"*", "", [2]string{"/", ""}, [2]int{0, 1}},
		{"same", "same", [2]string{"/same", "/same"}, [2]int{0, 1}},
		{"rtsp://a/live/cam/1", "rtsp://b/live/cam/2", [2]string{"/2", "/1"}, [2]int{1, 0}},
		{"?t=1", "?t=2", [2]string{"?t=2", "?t=1"}, [2]int{1, 0}},
		{"t=1", "t=2", [2]string{"?key=x/t=2", "/t=1?key=x"}, [2]int{1, 0}},
		{"t=1", "t=2", [2]string{"/t=3", ""}, [2]int{-1, -1}},
	} {
		o := newOffer(mustURL(t, "rtsp://x/live/cam"), []sdp.Media{{Kind: "video", Control: c.first}, {Kind: "audio", Control: c.second}})
		if o.control[0] == o.control[1] {
			t.Errorf("%q and %q have one name", c.first, c.second)
		}
		for i, tail := range c.setups {
			got := o.track(mustURL(t, "rtsp://x/live/cam"+tail))
			if got != c.want[i] {
				t.Errorf("%q, %q: SETUP of %q is of track %d, want %d", c.first, c.second, tail, got, c.want[i])
			}
			if got >= 0 {
				o.setUp[got] = true
			}
		}
	}
}

// FuzzOffer announces arbitrary SDPs, and sets up arbitrary addresses.
func FuzzOffer(f *testing.F) {
	f.Add([]byte(sdpFull), "rtsp://x/live/cam/streamid=0?a=b/")
	f.Add([]byte("m=audio 0 RTP/AVP 0 1 2 98\na=control:rtsp://%\nm=x\na=control:?\n"), "rtsp://x/?")
	f.Fuzz(func(t *testing.T, body []byte, url string) {
		media, err := sdp.Parse(body)
		if err != nil {
			return
		}
		u, err := base.ParseURL(url)
		if err != nil {
			return
		}
		o := newOffer(u, media)
		checkLibrary(t, o)
		seen := map[string]bool{}
		for i, name := range o.control {
			if seen[name] {
				t.Errorf("two tracks are called %q", name)
			}
			seen[name] = true
			if _, err := base.ParseURL(fmt.Sprint(o.address(i))); err != nil && u.Host != "" {
				t.Errorf("address %v: %v", o.address(i), err)
			}
		}
		_ = o.track(u)
	})
}
