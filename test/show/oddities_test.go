package show

import (
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest/codec"
	"github.com/hlsorigin/hlsorigin/ingest/rtmp/rtmpclient"
	"github.com/hlsorigin/hlsorigin/origin/admin"
	"github.com/hlsorigin/hlsorigin/test/rig"
)

// slicedSource is a clip with pictures of four slices, smallSource one of another size.
var (
	slicedSource = rig.Source{Name: "slices", Video: "-c:v libx264 -preset ultrafast -g 50 -keyint_min 50 -sc_threshold 0 -bf 0 -slices 4", Audio: "-c:a aac -b:a 96k", GOP: 2 * time.Second}
	smallSource  = rig.Source{Name: "small", Video: "-c:v libx264 -preset ultrafast -s 160x90 -g 50 -keyint_min 50 -sc_threshold 0 -bf 0", Audio: "-c:a aac -b:a 96k", GOP: 2 * time.Second}
)

// odd is an encoder that sends a clip differently than it should.
type odd struct {
	name   string
	source rig.Source
	drop   string // the sequence headers that it omits: v, a
	video  func(t rtmpclient.Tag, n int) []rtmpclient.Tag
	audio  func(t rtmpclient.Tag, n int) []rtmpclient.Tag
	breaks int  // discontinuities
	other  bool // the pictures that come out are not those of the clip
}

func parseClip(t *testing.T, s rig.Source, length time.Duration) []rtmpclient.Tag {
	t.Helper()
	b, err := os.ReadFile(s.Clip(t, length))
	if err != nil {
		t.Fatal(err)
	}
	c, err := rtmpclient.ParseFLV(b)
	if err != nil {
		t.Fatal(err)
	}
	return c.Tags()
}

// units returns the NAL units of a tag, after its five bytes.
func units(t rtmpclient.Tag) (all [][]byte) {
	for b := t.Data[5:]; len(b) >= 4; {
		n := binary.BigEndian.Uint32(b)
		all = append(all, b[4:4+n])
		b = b[4+n:]
	}
	return all
}

// with returns a tag with other units.
func with(t rtmpclient.Tag, units ...[]byte) rtmpclient.Tag {
	b := slices.Clone(t.Data[:5])
	for _, u := range units {
		b = append(binary.BigEndian.AppendUint32(b, uint32(len(u))), u...)
	}
	t.Data = b
	return t
}

func isKey(t rtmpclient.Tag) bool { return t.Data[0]>>4 == 1 }

// setsOf returns the parameter sets of a clip's sequence header.
func setsOf(t *testing.T, tags []rtmpclient.Tag) [][]byte {
	t.Helper()
	for _, x := range tags {
		if x.Type == 9 && x.Data[1] == 0 {
			v, _, err := codec.ParseRecord(codec.H264, x.Data[5:])
			if err != nil {
				t.Fatal(err)
			}
			return v.Sets()
		}
	}
	t.Fatal("the clip has no sequence header")
	return nil
}

// TestOddEncoders publishes what encoders were reported to send, and checks the output against every promise, and its pictures against the
// encoder's own.
func TestOddEncoders(t *testing.T) {
	rig.Need(t, "ffmpeg")
	const length = 9 * time.Second
	dir := t.TempDir()
	p := rig.Serve(t, dir, "hls: {segment_duration: 2s, end_grace: 2s}\n")
	plain := rig.SourceNamed("plain")
	sets := setsOf(t, parseClip(t, plain, length))
	var small []rtmpclient.Tag
	smallTags := parseClip(t, smallSource, length)
	smallSets := setsOf(t, smallTags)
	for _, x := range smallTags {
		if x.Type == 9 && x.Data[1] == 1 {
			small = append(small, x)
		}
	}
	one := func(t rtmpclient.Tag) []rtmpclient.Tag { return []rtmpclient.Tag{t} }
	inBand := func(x rtmpclient.Tag, _ int) []rtmpclient.Tag {
		if isKey(x) {
			return one(with(x, append(slices.Clone(sets), units(x)...)...))
		}
		return one(x)
	}
	all := []odd{
		{name: "slice_per_message", source: slicedSource, video: func(x rtmpclient.Tag, _ int) (tags []rtmpclient.Tag) {
			for _, u := range units(x) {
				tags = append(tags, with(x, u))
			}
			return tags
		}},
		{name: "inband_sps", source: plain, breaks: 1, other: true, video: func(x rtmpclient.Tag, n int) []rtmpclient.Tag {
			if n < 100 {
				return one(x)
			}
			s := units(small[n])
			if isKey(small[n]) {
				s = append(slices.Clone(smallSets), s...)
			}
			return one(with(small[n], s...))
		}},
		{name: "no_video_header", source: plain, drop: "v", video: inBand},
		{name: "annexb", source: plain, video: func(x rtmpclient.Tag, _ int) []rtmpclient.Tag {
			b := slices.Clone(x.Data[:5])
			for _, u := range units(x) {
				b = append(append(b, 0, 0, 0, 1), u...)
			}
			x.Data = b
			return one(x)
		}},
		{name: "bad_video_header", source: plain, video: func(x rtmpclient.Tag, n int) []rtmpclient.Tag {
			if n == 75 {
				return []rtmpclient.Tag{{Type: 9, Timestamp: x.Timestamp, Data: []byte{0x17, 0, 0, 0, 0, 1, 0x64}}, x}
			}
			return one(x)
		}},
		{name: "no_audio_header", source: plain, drop: "a"},
		{name: "adts", source: plain, drop: "a", audio: func(x rtmpclient.Tag, _ int) []rtmpclient.Tag {
			c, err := codec.ParseASC([]byte{0x12, 0x08})
			if err != nil {
				panic(err)
			}
			x.Data = append(codec.AppendADTS([]byte{0xaf, 1}, c.ADTS(), len(x.Data)-2), x.Data[2:]...)
			return one(x)
		}},
		{name: "empty_audio_header", source: plain, audio: func(x rtmpclient.Tag, n int) []rtmpclient.Tag {
			if n == 150 {
				return []rtmpclient.Tag{{Type: 8, Timestamp: x.Timestamp, Data: []byte{0xaf, 0}}, x}
			}
			return one(x)
		}},
		{name: "aac_config_frame", source: plain, audio: func(x rtmpclient.Tag, n int) []rtmpclient.Tag {
			if n == 100 {
				return []rtmpclient.Tag{x, {Type: 8, Timestamp: x.Timestamp + 10, Data: []byte{0xaf, 1, 0x12, 0x08}}}
			}
			return one(x)
		}},
		{name: "negative_cts", source: rig.SourceNamed("b_frames"), video: func(x rtmpclient.Tag, _ int) []rtmpclient.Tag {
			offset := int32(x.Data[2])<<16 | int32(x.Data[3])<<8 | int32(x.Data[4]) - 80
			x.Data = slices.Clone(x.Data)
			x.Data[2], x.Data[3], x.Data[4] = byte(offset>>16), byte(offset>>8), byte(offset)
			x.Timestamp += 80
			return one(x)
		}},
		{name: "two_clocks", source: plain, video: func(x rtmpclient.Tag, _ int) []rtmpclient.Tag {
			x.Timestamp += 3_600_000
			return one(x)
		}},
	}
	var wg sync.WaitGroup
	for _, o := range all {
		tags := parseClip(t, o.source, length)
		wg.Go(func() {
			t.Run(o.name, func(t *testing.T) { o.check(t, p, tags, length) })
		})
	}
	wg.Wait()
}

// publish sends the clip's tags, at the pace of the clip.
func (o *odd) publish(p *rig.Process, tags []rtmpclient.Tag) error {
	c, err := rtmpclient.Dial(p.T.Context(), "rtmp://"+p.RTMP+"/live/"+o.name)
	if err != nil {
		return err
	}
	begun := time.Now()
	pictures, sounds := 0, 0
	for _, x := range tags {
		send := []rtmpclient.Tag{x}
		switch {
		case x.Type == 9 && x.Data[1] == 0 && strings.Contains(o.drop, "v"), x.Type == 8 && x.Data[1] == 0 && strings.Contains(o.drop, "a"):
			continue
		case x.Type == 9 && x.Data[1] == 1:
			if o.video != nil {
				send = o.video(x, pictures)
			}
			pictures++
		case x.Type == 8 && x.Data[1] == 1 && len(x.Data) > 2:
			if o.audio != nil {
				send = o.audio(x, sounds)
			}
			sounds++
		}
		if wait := time.Until(begun.Add(time.Duration(x.Timestamp) * time.Millisecond)); wait > 0 {
			if err := c.Flush(); err != nil {
				return err
			}
			time.Sleep(wait)
		}
		for _, x := range send {
			if err := c.Write(x); err != nil {
				return err
			}
		}
	}
	return c.Close()
}

func (o *odd) check(t *testing.T, p *rig.Process, tags []rtmpclient.Tag, length time.Duration) {
	v, stop := rig.Watch(t, p.URL("live/streams/"+o.name+".m3u8"))
	if err := o.publish(p, tags); err != nil {
		t.Error(err)
	}
	rig.Eventually(t, 20*time.Second, o.name+" ends", func() bool {
		v.Mu.Lock()
		defer v.Mu.Unlock()
		return v.Ended
	})
	stop()
	v.Again()
	v.Good()
	var segments [][]byte
	breaks := 0
	for _, uri := range v.Order {
		if v.Rows[uri].Discontinuity {
			breaks++
		}
		segments = append(segments, v.Body[uri])
	}
	if breaks != o.breaks {
		t.Errorf("%d discontinuities, want %d", breaks, o.breaks)
	}
	rig.CheckStream(t, segments, o.breaks == 0)
	out := filepath.Join(t.TempDir(), "all.ts")
	if err := os.WriteFile(out, v.All(), 0o600); err != nil {
		t.Fatal(err)
	}
	if o.breaks == 0 {
		rig.Decodes(t, out)
	}
	if o.other {
		return
	}
	want, got := rig.Frames(t, o.source.Clip(t, length)), rig.Frames(t, out)
	if strings.Join(want, "\n") != strings.Join(got, "\n") {
		t.Errorf("%d pictures came out of %d, or others", len(got), len(want))
	}
}

// TestLostTracks checks that a track whose frames arrive but are not used is visible in the API, in the metrics and in the log, and that an
// encoder from which nothing can be used is told why.
func TestLostTracks(t *testing.T) {
	rig.Need(t, "ffmpeg")
	t.Parallel()
	const length = 9 * time.Second
	p := rig.Serve(t, t.TempDir(), "hls: {segment_duration: 2s, end_grace: 30s, reconnect_grace: 30s}\n")
	tags := parseClip(t, rig.SourceNamed("plain"), length)
	var twice []rtmpclient.Tag // for the time that a refusal takes
	for i := range 2 {
		for _, x := range tags {
			if i == 0 || x.Type != 18 {
				x.Timestamp += uint32(i) * uint32(length.Milliseconds())
				twice = append(twice, x)
			}
		}
	}
	shows := map[string]*odd{
		"lost_video": {name: "lost_video", drop: "v"},
		"nothing":    {name: "nothing", drop: "v", audio: func(rtmpclient.Tag, int) []rtmpclient.Tag { return nil }},
		"still": {name: "still", video: func(x rtmpclient.Tag, _ int) []rtmpclient.Tag {
			x.Timestamp = min(x.Timestamp, 240)
			return []rtmpclient.Tag{x}
		}},
	}
	errs := map[string]error{}
	var mu sync.Mutex
	var wg sync.WaitGroup
	defer wg.Wait()
	for name, o := range shows {
		wg.Go(func() {
			err := o.publish(p, twice)
			mu.Lock()
			defer mu.Unlock()
			errs[name] = err
		})
	}
	const words = "video: no usable sequence header or parameter sets came"
	rig.Eventually(t, 30*time.Second, "the lost track is named", func() bool {
		return strings.HasPrefix(p.Streams()["lost_video"].Problem, words) && strings.HasPrefix(p.Streams()["nothing"].Problem, words)
	})
	if s := p.Streams()["nothing"]; s.State != "starting" || s.Recording != "" || s.Protocol != "rtmp" || len(s.Tracks) != 1 {
		t.Errorf("%+v", s)
	}
	var s admin.Stream
	rig.Eventually(t, 30*time.Second, "the other is written", func() bool {
		s = p.Streams()["lost_video"]
		return len(s.Tracks) == 2 && s.Tracks[1].Written > 100
	})
	if s.Tracks[0].Kind != "video" || s.Tracks[0].Dropped["no_header"] < 100 || s.Tracks[0].Written != 0 || s.Tracks[1].Codec != "aac" ||
		len(s.Tracks[1].Dropped) != 0 || !strings.HasPrefix(s.Problem, words) {
		t.Errorf("%+v", s)
	}
	wg.Wait()
	for name, want := range map[string]string{"lost_video": "", "nothing": words, "still": "the video's time stamps stand still at 0.24 s"} {
		var said *rtmpclient.StatusError
		if errors.As(errs[name], &said) != (want != "") || want != "" && !strings.Contains(said.Description, want) {
			t.Errorf("%s: %v", name, errs[name])
		}
	}
	if n := p.Metric(`hlsorigin_ingest_frames_dropped_total{reason="no_header"}`); n < 300 {
		t.Errorf("%v frames without a header in the metrics, of publishers that have left", n)
	}
	if n := strings.Count(p.Log.String(), "frames arrive and none is used"); n != 2 {
		t.Errorf("it was said %d times:\n%s", n, p.Log)
	}
}
