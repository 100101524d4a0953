package players

import (
	"slices"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest/rtmp/rtmpclient"
)

// sent is one tag, and when it is sent, from the beginning of the show.
type sent struct {
	at  time.Duration
	tag rtmpclient.Tag
}

// connection is one time that an encoder is there.
type connection struct {
	stream  string
	headers []rtmpclient.Tag // what is repeated after the server cut it off
	tags    []sent           // in sending order
	cut     bool             // broken off after the last tag, like a dead encoder; otherwise it ends properly
}

// span is a part of the show.
type span struct{ from, to time.Duration }

func (s span) has(ms uint32) bool {
	at := time.Duration(ms) * time.Millisecond
	return s.from <= at && at < s.to
}

// delivery is how an encoder sends a clip: unless stated otherwise, everything is sent when it is due.
type delivery struct {
	span                   // which part of the show
	cut      bool          // at its end
	anew     bool          // timestamps begin at zero
	video    time.Duration // how late pictures are sent; their timestamps are correct
	audio    time.Duration // how late audio is sent
	noVideo  span          // nothing of this is sent
	noAudio  span
	sound    *clip // another clip's audio from a time on
	soundsAt time.Duration
}

// connect schedules a delivery. A track that is late is sent to its end before the encoder ends the stream.
func (c *clip) connect(stream string, d delivery) connection {
	base := uint32(0)
	if d.anew {
		base = uint32(d.from.Milliseconds())
	}
	out := connection{stream: stream, cut: d.cut}
	add := func(t rtmpclient.Tag, late time.Duration) {
		at := time.Duration(t.Timestamp)*time.Millisecond + late
		t.Timestamp -= base
		out.tags = append(out.tags, sent{at, t})
	}
	for _, t := range c.headers {
		t.Timestamp = uint32(d.from.Milliseconds())
		add(t, 0)
		t.Timestamp -= base
		out.headers = append(out.headers, t)
	}
	for _, t := range c.video {
		if d.has(t.Timestamp) && !d.noVideo.has(t.Timestamp) {
			add(t, d.video)
		}
	}
	audio := c.audio
	if d.sound != nil {
		audio = slices.DeleteFunc(slices.Clone(audio), func(t rtmpclient.Tag) bool { return !(span{0, d.soundsAt}).has(t.Timestamp) })
		for _, t := range d.sound.headers {
			if t.Type == 8 {
				t.Timestamp = uint32(d.soundsAt.Milliseconds())
				audio = append(audio, t)
			}
		}
		for _, t := range d.sound.audio {
			if (span{d.soundsAt, time.Hour}).has(t.Timestamp) {
				audio = append(audio, t)
			}
		}
	}
	for _, t := range audio {
		if d.has(t.Timestamp) && !d.noAudio.has(t.Timestamp) {
			add(t, d.audio)
		}
	}
	slices.SortStableFunc(out.tags, func(a, b sent) int { return int(a.at - b.at) })
	return out
}

func TestConnect(t *testing.T) {
	c := &clip{headers: []rtmpclient.Tag{{Type: 9, Data: []byte{0x17, 0}}, {Type: 8, Data: []byte{0xaf, 0}}}}
	other := &clip{headers: []rtmpclient.Tag{{Type: 9, Data: []byte{0x17, 0}}, {Type: 8, Data: []byte{0xaf, 0, 1}}}}
	for ms := uint32(0); ms < 8000; ms += 1000 {
		c.video = append(c.video, rtmpclient.Tag{Type: 9, Timestamp: ms, Data: []byte{0x17, 1}})
		c.audio = append(c.audio, rtmpclient.Tag{Type: 8, Timestamp: ms, Data: []byte{0xaf, 1}})
		other.audio = append(other.audio, rtmpclient.Tag{Type: 8, Timestamp: ms, Data: []byte{0x2f, 1}})
	}
	// short lists kind, time sent and timestamp, in seconds, of all but headers.
	short := func(c connection) (s string) {
		for _, x := range c.tags {
			if x.tag.Data[1] == 1 {
				s += string([]byte{map[uint8]byte{8: 'a', 9: 'v'}[x.tag.Type], '0' + byte(x.at/time.Second), '0' + byte(x.tag.Timestamp/1000), ' '})
			}
		}
		return s
	}
	for _, x := range []struct {
		name string
		d    delivery
		want string
	}{
		{"a piece", delivery{span: span{2 * time.Second, 4 * time.Second}}, "v22 a22 v33 a33 "},
		{"anew", delivery{span: span{2 * time.Second, 4 * time.Second}, anew: true}, "v20 a20 v31 a31 "},
		{"late sound", delivery{span: span{0, 3 * time.Second}, audio: 2 * time.Second}, "v00 v11 v22 a20 a31 a42 "},
		{"late pictures", delivery{span: span{0, 2 * time.Second}, video: time.Second}, "a00 v10 a11 v21 "},
		{"no pictures", delivery{span: span{0, 4 * time.Second}, noVideo: span{time.Second, 3 * time.Second}}, "v00 a00 a11 a22 v33 a33 "},
		{"no sound", delivery{span: span{0, 3 * time.Second}, noAudio: span{time.Second, 2 * time.Second}}, "v00 a00 v11 v22 a22 "},
	} {
		got := c.connect("cam", x.d)
		if short(got) != x.want {
			t.Errorf("%s: %s, want %s", x.name, short(got), x.want)
		}
		if h := got.tags[:2]; h[0].tag.Data[1] != 0 || h[1].tag.Data[1] != 0 || h[0].at != x.d.from {
			t.Errorf("%s begins with %+v", x.name, h)
		}
	}
	changed := c.connect("cam", delivery{span: span{0, 8 * time.Second}, sound: other, soundsAt: 5 * time.Second})
	var sound []byte
	for _, x := range changed.tags {
		if x.tag.Type == 8 {
			sound = append(sound, x.tag.Data[0]>>4+'0'-2, x.tag.Data[1]+'0')
		}
	}
	if string(sound) != "80"+"8181818181"+"80"+"010101" {
		t.Errorf("the sound changes as %s", sound)
	}
}
