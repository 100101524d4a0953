package rtmp

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/ingest/codec"
	"github.com/hlsorigin/hlsorigin/ingest/rtmp/amf"
	"github.com/hlsorigin/hlsorigin/ingest/rtmp/chunk"
)

// encoder makes the tags of an ordinary encoder: 25 pictures a second of three slices, a keyframe every second, and audio at 48000 Hz.
type encoder struct {
	codec        ingest.Codec
	sets, small  [][]byte // 320x180, 160x90
	header       []byte   // the body of the sequence header
	key, other   []byte   // headers of slices
	first, later byte     // what follows: the beginning of a picture, or not
}

func raw(s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return b
}

func encoders() map[string]*encoder {
	return map[string]*encoder{
		"H.264": {
			codec:  ingest.H264,
			sets:   [][]byte{raw("6764000cacd941419f9f011000000300100000030320f1429960"), raw("68ef8fcb")},
			small:  [][]byte{raw("6764000bacd9428df93011000003000100000300320f142996"), raw("68ef8fcb")},
			header: raw("17000000000164000cffe1001a6764000cacd941419f9f011000000300100000030320f142996001000468ef8fcbfdf8f800"),
			key:    raw("65"), other: raw("41"), first: 0x88, later: 0x40,
		},
		"H.265": {
			codec: ingest.H265,
			sets: [][]byte{raw("40010c01ffff01600000030090000003000003003c959809"),
				raw("42010101600000030090000003000003003ca00a080b9f796566924caf016808000003000800000300c840"), raw("4401c172b46240")},
			small: [][]byte{raw("40010c01ffff01600000030090000003000003001e959809"),
				raw("42010101600000030090000003000003001ea0142061f265959a4932bc05a02000000300200000030321"), raw("4401c172b46240")},
			header: append([]byte("\x90hvc1"), raw("0101600000009000000000003cf000fcfdf8f800000f03a00001001840010c01ffff01600000030090000003000003003c959809a10001"+
				"002b42010101600000030090000003000003003ca00a080b9f796566924caf016808000003000800000300c840a2000100074401c172b46240")...),
			key: raw("2601"), other: raw("0201"), first: 0x80, later: 0x40,
		},
	}
}

// slice returns the i-th slice of picture n; its last bytes say so.
func (e *encoder) slice(n, i int) []byte {
	head, next := e.other, e.later
	if n%25 == 0 {
		head = e.key
	}
	if i == 0 {
		next = e.first
	}
	return append(bytes.Clone(head), next, 0x80|byte(n), 0x80|byte(i), 0x55)
}

// picture returns the NAL units of picture n.
func (e *encoder) picture(n int) (units [][]byte) {
	for i := range 3 {
		units = append(units, e.slice(n, i))
	}
	return units
}

// body returns the head of a tag with a picture: the frame type and, if the codec's form has one, the composition offset in ms.
func (e *encoder) body(n int, offset int64) []byte {
	frame := byte(0x20)
	if n%25 == 0 {
		frame = 0x10
	}
	o := []byte{byte(offset >> 16), byte(offset >> 8), byte(offset)}
	if e.codec == ingest.H264 {
		return append([]byte{frame | 7, 1}, o...)
	}
	return append([]byte{0x80 | frame | 1, 'h', 'v', 'c', '1'}, o...)
}

func lengths(units ...[]byte) (b []byte) {
	for _, u := range units {
		b = append(binary.BigEndian.AppendUint32(b, uint32(len(u))), u...)
	}
	return b
}

func startCodes(units ...[]byte) (b []byte) {
	for i, u := range units {
		if i == 0 {
			b = append(b, 0)
		}
		b = append(append(b, 0, 0, 1), u...)
	}
	return b
}

// tag is a tag on its way: its timestamp in ms, and its body.
type tag struct {
	at   int64
	body []byte
}

func (e *encoder) whole(n int) []tag {
	return []tag{{int64(40 * n), append(e.body(n, 0), lengths(e.picture(n)...)...)}}
}

// soundOf returns frame n, behind its header of two bytes.
func soundOf(n int) []byte { return []byte{0xaf, 1, 0x21, 0x80 | byte(n), 0x04, 0x49, 0x90} }

// oddity is what an encoder does differently. Fields that are nil are as usual.
type oddity struct {
	name         string
	codec        string                                  // the only one; empty: both
	noHeader     bool                                    // no sequence header for video
	noAACHeader  bool                                    // none for audio
	meta         []byte                                  // a data message; nil: a usual one
	video        func(e *encoder, n int) []tag           // picture n
	sound        func(n int, at int64) []tag             // frame n
	units        func(e *encoder, n int) [][]byte        // NAL units of picture n; nil: its three slices
	shown        func(n int) int64                       // presentation time in ms; nil: 40 n, or less by a common offset
	lostPictures int                                     // of 75
	extraSound   int                                     // frames beyond those sent
	dropped      map[ingest.Reason]int64                 // video and sound together
	refused      string                                  // why it is ended; empty: it is not
	warned       string                                  // logged once
	check        func(t *testing.T, v, a []ingest.Frame) // what else should be
}

const oddPictures = 75

var (
	usualMeta = amf.Append(nil, amf.Text("onMetaData"), amf.Obj(amf.Field{Name: "videocodecid", Value: amf.Num(7)},
		amf.Field{Name: "audiocodecid", Value: amf.Num(10)}))
	oddASC = []byte{0x11, 0x90} // LC, 48000 Hz, stereo
)

func oddities() []oddity {
	key := func(n int) bool { return n%25 == 0 }
	inBand := func(e *encoder, n int, sets [][]byte) []tag {
		units := e.picture(n)
		if key(n) {
			units = append(slices.Clone(sets), units...)
		}
		return []tag{{int64(40 * n), append(e.body(n, 0), lengths(units...)...)}}
	}
	withSets := func(e *encoder, n int) [][]byte {
		if key(n) {
			return append(slices.Clone(e.sets), e.picture(n)...)
		}
		return e.picture(n)
	}
	return []oddity{
		{name: "nothing odd"},
		{name: "a message for each slice", video: func(e *encoder, n int) (tags []tag) {
			for _, u := range e.picture(n) {
				tags = append(tags, tag{int64(40 * n), append(e.body(n, 0), lengths(u)...)})
			}
			return tags
		}},
		{name: "a message for each unit, slices of later times", units: withSets, video: func(e *encoder, n int) (tags []tag) {
			for i, u := range withSets(e, n) {
				tags = append(tags, tag{int64(40*n + i), append(e.body(n, 0), lengths(u)...)})
			}
			return tags
		}, shown: func(n int) int64 { return -1 }},
		{name: "another size in band", units: func(e *encoder, n int) [][]byte {
			if n >= 50 && key(n) {
				return append(slices.Clone(e.small), e.picture(n)...)
			}
			return e.picture(n)
		}, video: func(e *encoder, n int) []tag {
			if n < 50 {
				return e.whole(n)
			}
			return inBand(e, n, e.small)
		}, check: func(t *testing.T, v, _ []ingest.Frame) {
			if v[0].Track != v[49].Track || v[49].Track == v[50].Track || v[50].Track != v[74].Track || v[50].Track.Width != 160 || v[50].Track.Height != 90 {
				t.Errorf("tracks %+v, %+v", v[49].Track, v[50].Track)
			}
		}},
		{name: "no sequence header", noHeader: true, units: withSets, video: func(e *encoder, n int) []tag { return inBand(e, n, e.sets) }},
		{name: "start codes", video: func(e *encoder, n int) []tag {
			return []tag{{int64(40 * n), append(e.body(n, 0), startCodes(e.picture(n)...)...)}}
		}},
		{name: "start codes and no sequence header", noHeader: true, units: withSets, video: func(e *encoder, n int) []tag {
			return []tag{{int64(40 * n), append(e.body(n, 0), startCodes(withSets(e, n)...)...)}}
		}},
		{name: "a bad header in the middle", dropped: map[ingest.Reason]int64{ingest.Malformed: 1}, video: func(e *encoder, n int) []tag {
			if n == 40 {
				return append([]tag{{int64(40 * n), e.header[:9]}}, e.whole(n)...)
			}
			return e.whole(n)
		}},
		{name: "no sets at all", noHeader: true, lostPictures: oddPictures, dropped: map[ingest.Reason]int64{ingest.NoHeader: oddPictures}},
		{name: "no AAC header", noAACHeader: true, warned: "no AAC header came"},
		{name: "no AAC header, but a rate", noAACHeader: true, warned: "no AAC header came", meta: amf.Append(nil, amf.Text("onMetaData"), amf.Obj(
			amf.Field{Name: "audiosamplerate", Value: amf.Num(48000)}, amf.Field{Name: "stereo", Value: amf.Value{Kind: amf.Boolean, Bool: true}}))},
		{name: "ADTS", noAACHeader: true, sound: func(n int, at int64) []tag {
			c, err := codec.ParseASC(oddASC)
			if err != nil {
				panic(err)
			}
			f := soundOf(n)[2:]
			return []tag{{at, append(codec.AppendADTS([]byte{0xaf, 1}, c.ADTS(), len(f)), f...)}}
		}},
		{name: "an empty AAC header in the middle", dropped: map[ingest.Reason]int64{ingest.Malformed: 1}, sound: func(n int, at int64) []tag {
			if n == 50 {
				return []tag{{at, []byte{0xaf, 0}}, {at, soundOf(n)}}
			}
			return []tag{{at, soundOf(n)}}
		}},
		{name: "the AAC configuration as a frame", dropped: map[ingest.Reason]int64{ingest.NotAFrame: 1}, sound: func(n int, at int64) []tag {
			if n == 50 {
				return []tag{{at, soundOf(n)}, {at + 10, append([]byte{0xaf, 1}, oddASC...)}}
			}
			return []tag{{at, soundOf(n)}}
		}},
		{name: "video from an hour on", warned: "of two clocks", video: func(e *encoder, n int) []tag {
			return []tag{{int64(3_600_000 + 40*n), append(e.body(n, 0), lengths(e.picture(n)...)...)}}
		}, shown: func(n int) int64 { return -1 }, check: func(t *testing.T, v, a []ingest.Frame) {
			if d := (v[0].DTS - a[0].DTS) / 90; d < -50 || d > 50 {
				t.Errorf("the picture begins %d ms behind the sound", d)
			}
		}},
		{name: "composition offsets below 0", video: func(e *encoder, n int) []tag {
			shown := int64(40 * (n/3*3 + []int{0, 2, 1}[n%3]))
			return []tag{{int64(40*n + 67), append(e.body(n, shown-int64(40*n+67)), lengths(e.picture(n)...)...)}}
		}, shown: func(n int) int64 { return int64(40 * (n/3*3 + []int{0, 2, 1}[n%3])) }},
		{name: "time stamps that stand still", refused: "the video's time stamps stand still at 0.2", lostPictures: -1, video: func(e *encoder, n int) []tag {
			at := int64(40 * n)
			if n > 6 {
				at = 212 + int64(n*7%28)
			}
			var all []tag
			for range 3 { // longer than the show
				all = append(all, tag{at, append(e.body(n, 0), lengths(e.picture(n)...)...)})
			}
			return all
		}},
		{name: "a modifier before each packet", codec: "H.265", video: func(e *encoder, n int) []tag {
			b := e.body(n, 0)
			b = append([]byte{b[0]&0xf0 | 7, 2, 0x07, 0xa1, 0x20, 0x01}, b[1:]...) // 500,000 ns
			return []tag{{int64(40 * n), append(b, lengths(e.picture(n)...)...)}}
		}, shown: func(int) int64 { return -1 }, check: func(t *testing.T, v, _ []ingest.Frame) {
			if v[0].PTS != 45 || v[1].PTS != 3645 {
				t.Errorf("pictures at %d and %d ticks", v[0].PTS, v[1].PTS)
			}
		}},
		{name: "a multitrack packet of one track", codec: "H.265", video: func(e *encoder, n int) []tag {
			b := e.body(n, 0)
			b = slices.Concat([]byte{b[0]&0xf0 | 6, 0x01}, b[1:5], []byte{0}, b[5:])
			return []tag{{int64(40 * n), append(b, lengths(e.picture(n)...)...)}}
		}},
		{name: "two tracks of video", codec: "H.265", warned: "several tracks of a kind", dropped: map[ingest.Reason]int64{ingest.ExtraTrack: oddPictures},
			video: func(e *encoder, n int) []tag {
				b := e.body(n, 0)
				one := append(bytes.Clone(b[5:]), lengths(e.picture(n)...)...)
				two := append(bytes.Clone(b[5:]), lengths(e.slice(n, 0))...)
				size := func(t []byte) []byte { return []byte{0, byte(len(t) >> 8), byte(len(t))} }
				return []tag{{int64(40 * n), slices.Concat([]byte{b[0]&0xf0 | 6, 0x11}, b[1:5], []byte{0}, size(one), one, []byte{1}, size(two), two)}}
			}},
		{name: "two tracks of sound", warned: "several tracks of a kind", dropped: map[ingest.Reason]int64{ingest.ExtraTrack: 141},
			sound: func(n int, at int64) []tag {
				one, two := soundOf(n)[2:], []byte{0x21, 1, 2, 3}
				return []tag{{at, soundOf(n)}, {at, slices.Concat([]byte{0x95, 0x01}, []byte("mp4a"), []byte{7}, two, one[:0])}}
			}},
		{name: "sound that cannot be carried", warned: "the sound is left out", noAACHeader: true, extraSound: -141, dropped: map[ingest.Reason]int64{ingest.Uncarried: 141},
			sound: func(n int, at int64) []tag { return []tag{{at, []byte("\x91Opus\x01\x02")}} }},
	}
}

// TestOddities publishes what encoders were reported to send, over real RTMP, on a clock of its own.
func TestOddities(t *testing.T) {
	for name, e := range encoders() {
		for _, o := range oddities() {
			if o.codec == "" || o.codec == name {
				t.Run(name+"/"+o.name, func(t *testing.T) { publishOdd(t, e, &o) })
			}
		}
	}
}

// publishOdd runs a show of three seconds and checks what came out.
func publishOdd(t *testing.T, e *encoder, o *oddity) {
	var said bytes.Buffer
	timed(t, &said, func(t *testing.T, p *peer, s *Server, pub *fakePublisher) {
		p.shake()
		p.publish("cam")
		words := make(chan string, 1)
		go func() { // what the server sends after that
			defer close(words)
			for {
				m, err := p.chunks.Next()
				if err != nil {
					return
				}
				if v, err := amf.DecodeAll(m.Payload, amf.Limits{}); err == nil && m.Type == chunk.TypeCommandAMF0 && len(v) > 3 && v[0].Text == "onStatus" {
					words <- v[3].Get("description").Text
				}
			}
		}()
		send := func(kind byte, at int64, body []byte) bool {
			_, err := p.Write(chunk.Append(nil, int(kind), chunk.DefaultSize, chunk.Message{Type: kind, StreamID: 1, Timestamp: uint32(at), Payload: body}))
			return err == nil
		}
		meta := o.meta
		if meta == nil {
			meta = usualMeta
		}
		send(chunk.TypeDataAMF0, 0, meta)
		if !o.noHeader {
			send(chunk.TypeVideo, 0, e.header)
		}
		if !o.noAACHeader {
			send(chunk.TypeAudio, 0, append([]byte{0xaf, 0}, oddASC...))
		}
		begun, sounds := time.Now(), 0
		open := true
		for n := 0; n < oddPictures && open; n++ {
			tags := e.whole(n)
			if o.video != nil {
				tags = o.video(e, n)
			}
			for _, x := range tags {
				open = open && send(chunk.TypeVideo, x.at, x.body)
				if o.refused != "" {
					time.Sleep(40 * time.Millisecond)
				}
			}
			for ; sounds*64/3 <= 40*n+38 && open; sounds++ {
				at := int64(sounds * 64 / 3)
				tags := []tag{{at, soundOf(sounds)}}
				if o.sound != nil {
					tags = o.sound(sounds, at)
				}
				for _, x := range tags {
					open = open && send(chunk.TypeAudio, x.at, x.body)
				}
			}
			time.Sleep(time.Until(begun.Add(time.Duration(n+1) * 40 * time.Millisecond)))
		}
		if open {
			p.command(0, amf.Text("FCUnpublish"), amf.Num(6), amf.Value{}, amf.Text("cam"))
		}
		frames, cause := (<-pub.sessions).wait(t)
		_ = p.Close()
		if word := <-words; o.refused == "" && word != "" || !strings.Contains(word, o.refused) {
			t.Errorf("the server said %q", word)
		}
		if open != (o.refused == "") {
			t.Errorf("ended with %v", cause)
		}
		checkOdd(t, e, o, frames, sounds, &s.Stats.Frames)
	})
	if n := strings.Count(said.String(), "level=WARN"); o.warned == "" && n > 0 && o.lostPictures == 0 || o.warned != "" && strings.Count(said.String(), o.warned) != 1 {
		t.Errorf("%d warnings: %s", n, said.String())
	}
}

func checkOdd(t *testing.T, e *encoder, o *oddity, frames []ingest.Frame, sounds int, totals *ingest.Totals) {
	t.Helper()
	var v, a []ingest.Frame
	for _, f := range frames {
		if f.Track.Codec.IsVideo() {
			v = append(v, f)
		} else {
			a = append(a, f)
		}
	}
	if o.lostPictures < 0 { // it was ended
		return
	}
	if len(v) != oddPictures-o.lostPictures || len(a) != sounds+o.extraSound {
		t.Fatalf("%d pictures, %d frames of %d of sound", len(v), len(a), sounds)
	}
	for n, f := range v {
		want := e.picture(n)
		if o.units != nil {
			want = o.units(e, n)
		}
		if !slices.EqualFunc(f.Units, want, bytes.Equal) {
			t.Fatalf("picture %d is %x, want %x", n, f.Units, want)
		}
		shown := int64(40 * n)
		if o.shown != nil {
			shown = o.shown(n)
		}
		if f.PTS < f.DTS || n > 0 && f.DTS <= v[n-1].DTS || shown >= 0 && f.PTS != shown*90 || f.Key != (n%25 == 0) || f.Track.Codec != e.codec {
			t.Fatalf("picture %d: PTS %d, DTS %d, key %t, want it at %d ms", n, f.PTS, f.DTS, f.Key, shown)
		}
	}
	for n, f := range a {
		if !bytes.Equal(f.Units[0], soundOf(n)[2:]) || n > 0 && (f.PTS-a[n-1].PTS < 1915 || f.PTS-a[n-1].PTS > 1925) || f.Track.SampleRate != 48000 || f.Track.Channels != 2 {
			t.Fatalf("frame %d of sound: %+v behind %d", n, f, a[max(n-1, 0)].PTS)
		}
	}
	for r := range ingest.NumReasons {
		if got := totals.Dropped[r].Load(); got != o.dropped[r] {
			t.Errorf("%d were dropped for %v, want %d", got, r, o.dropped[r])
		}
	}
	if o.check != nil {
		o.check(t, v, a)
	}
}

// TestNothingUsable checks that an encoder that sends nothing usable is told why.
func TestNothingUsable(t *testing.T) {
	for name, e := range encoders() {
		timed(t, nil, func(t *testing.T, p *peer, _ *Server, pub *fakePublisher) {
			p.shake()
			p.publish("cam")
			var sending sync.WaitGroup
			defer sending.Wait()
			sending.Go(func() {
				for n := range 25 * 60 {
					b := append(e.body(n, 0), lengths(e.picture(n)...)...)
					if _, err := p.Write(chunk.Append(nil, 6, chunk.DefaultSize, chunk.Message{Type: chunk.TypeVideo, StreamID: 1, Timestamp: uint32(40 * n), Payload: b})); err != nil {
						return
					}
					time.Sleep(40 * time.Millisecond)
				}
			})
			took := after(func() {
				p.refused("NetStream.Publish.Rejected", "video: no usable sequence header or parameter sets came")
			})
			if took < 10*time.Second || took > 13*time.Second {
				t.Errorf("%s: refused after %v", name, took)
			}
			if frames, cause := (<-pub.sessions).wait(t); len(frames) != 0 {
				t.Errorf("%s: %d frames, cause %v", name, len(frames), cause)
			}
		})
	}
}
