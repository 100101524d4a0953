package segmenter

import (
	"slices"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/ingest/codec"
	"github.com/hlsorigin/hlsorigin/segmenter/cut"
)

// keyKind is what a group of pictures begins with.
type keyKind uint8

const (
	keyIDR          keyKind = iota // an IDR picture
	keyCRA                         // H.265: a CRA picture without leading pictures
	keyCRASkipped                  // H.265: a CRA picture with leading pictures that refer to what was before it (RASL)
	keyCRADecodable                // H.265: an IDR picture with leading pictures that do not (RADL)
	keyRecovery                    // H.264: a picture with a recovery point, after which nothing is shown that was before it
	keyRecoveryOpen                // H.264: the same with leading pictures
	keyRecoverySlow                // H.264: gradual refresh, whole after half a group
	keyNone                        // nothing that a decoder could know; only the encoder's flag says it
)

// encoderShape describes an encoder: what it sends, in which order, and when. The first picture of all is an IDR, except of
// CRAs. The zero value of a field is what most encoders do.
type encoderShape struct {
	name     string
	codec    ingest.Codec        // of the picture; 0: sound alone
	num, den int64               // pictures per num/den second: 25, 1
	show     func(n int64) int64 // ticks at which picture n is shown, in place of a steady rate
	gop      int64               // pictures
	between  int64               // pictures that are shown before a reference and decoded after it
	keys     keyKind             //
	isKey    func(n int64) bool  // which pictures, in the order of showing, begin a group, in place of every gop-th
	flag     func(n int64) bool  // which pictures, in the order of decoding, the encoder marks, in place of the keyframes
	slices   int                 // of a picture; 0: 1
	audio    string              // see audioTrack; "": no sound
	late     [2]time.Duration    // picture and sound are sent so long after their time
	waits    bool                // both tracks begin with the same time stamp, and who is late comes later; else both come at once
	clump    time.Duration       // frames come together in clumps of so much
	ms       bool                // time stamps are whole milliseconds
	base     int64               // the first time stamp, ticks
	jitter   func(n int64) int64 // nanoseconds by which sound comes later still
	size     func(n int64) int   // bytes of a picture, in the order of decoding
	tracks   [2]*ingest.Track    // in place of those that the shape describes
}

// sentFrame is one frame on its way to the segmenter.
type sentFrame struct {
	ingest.Frame
	id     int64 // number of the frame in its track, which stands in its bytes
	begins bool  // a decoder may begin here
	at     time.Duration
	stream string
}

func (f *sentFrame) video() bool { return f.Track.Codec.IsVideo() }

// frameTicks is the usual distance between pictures.
func (s *encoderShape) frameTicks() int64 {
	if s.num == 0 {
		return Clock / 25
	}
	return Clock * s.den / s.num
}

func (s *encoderShape) shown(n int64) int64 {
	if s.show != nil {
		return s.show(n)
	}
	if s.num == 0 {
		return n * Clock / 25
	}
	return n * Clock * s.den / s.num
}

func (s *encoderShape) startsGroup(n int64) bool {
	if s.isKey != nil {
		return s.isKey(n)
	}
	return n%max(s.gop, 1) == 0
}

// order is the pictures 0 to n-1 in the order of decoding.
func (s *encoderShape) order(n int64) (list []int64) {
	var inner func(from, to int64)
	inner = func(from, to int64) { // those between two references, the middle one first
		if to-from < 2 {
			return
		}
		mid := (from + to) / 2
		list = append(list, mid)
		inner(from, mid)
		inner(mid, to)
	}
	open := s.keys == keyCRASkipped || s.keys == keyCRADecodable || s.keys == keyRecoveryOpen
	last := int64(-1)
	for at := int64(0); at < n; {
		list = append(list, at)
		inner(last, at)
		last = at
		next := at + 1
		for next < n && next-at <= s.between && !s.startsGroup(next) && (open || next+1 >= n || !s.startsGroup(next+1)) {
			next++
		}
		if next >= n {
			next = n - 1
			if next == at {
				break
			}
		}
		at = next
	}
	return list
}

// frames is what the encoder sends in d, in the order of arrival.
func (s *encoderShape) frames(d time.Duration) []sentFrame {
	var list []sentFrame
	if s.codec != 0 {
		list = append(list, s.pictures(codec.Ticks(d))...)
	}
	if s.audio != "" || s.tracks[1] != nil {
		list = append(list, s.sound(codec.Ticks(d))...)
	}
	slices.SortStableFunc(list, func(a, b sentFrame) int {
		if a.at != b.at {
			return int(max(-1, min(1, a.at-b.at)))
		}
		return int(max(-1, min(1, a.DTS-b.DTS)))
	})
	return s.begin(list)
}

// begin lets the first frame arrive at 0. Where the tracks do not wait for each other, what would have come before both had
// begun was never sent.
func (s *encoderShape) begin(list []sentFrame) []sentFrame {
	if len(list) == 0 {
		return nil
	}
	first := list[0].at
	if !s.waits && s.codec != 0 && s.audio != "" {
		key := slices.IndexFunc(list, func(f sentFrame) bool { return f.video() && f.begins && f.at >= max(s.late[0], s.late[1]) })
		first = list[max(0, key)].at
		list = slices.DeleteFunc(list, func(f sentFrame) bool { return f.at < first })
	}
	var count [2]int64
	for i := range list {
		f := &list[i]
		f.at -= first
		k := f.kind()
		f.id = count[k]
		count[k]++
		f.number()
	}
	return list
}

// kind is 0 of a picture and 1 of sound, as in encoderShape.
func (f *sentFrame) kind() int {
	if f.video() {
		return 0
	}
	return 1
}

func (s *encoderShape) stamp(t int64) int64 {
	if s.ms {
		t = (t + 45) / 90 * 90
	}
	return t + s.base
}

func (s *encoderShape) arrival(t int64, track int) time.Duration {
	at := cut.Duration(t) + s.late[track]
	if s.clump > 0 {
		at = (at + s.clump - 1).Truncate(s.clump)
	}
	return at
}

func (s *encoderShape) pictures(end int64) (list []sentFrame) {
	track := s.tracks[0]
	if track == nil {
		track = videoTrack(s.codec)
		track.FrameRate = float64(Clock) / float64(s.frameTicks())
	}
	n := int64(0)
	for s.shown(n) < end {
		n++
	}
	order := s.order(n)
	shift := int64(0)
	for d, p := range order {
		shift = max(shift, s.shown(int64(d))-s.shown(p))
	}
	key := int64(-1) // the newest, as it is shown
	for d, p := range order {
		begins := s.startsGroup(p)
		if begins {
			key = p
		}
		dts := s.shown(int64(d))
		f := sentFrame{begins: begins && s.keys != keyNone || d == 0, at: s.arrival(dts, 0)}
		f.Track, f.DTS, f.PTS, f.Key = track, s.stamp(dts), s.stamp(s.shown(p)+shift), begins
		if s.flag != nil {
			f.Key = s.flag(int64(d))
		}
		f.Units = s.units(int64(d), begins, p < key)
		list = append(list, f)
	}
	return list
}

// units are the NAL units of a picture, with room for its number.
func (s *encoderShape) units(d int64, begins, leading bool) (units [][]byte) {
	size := 90
	if begins {
		size = 400
	}
	if s.size != nil {
		size = s.size(d)
	}
	kind := s.keys
	if d == 0 && (s.codec == ingest.H264 || kind == keyNone) {
		kind = keyIDR
	}
	head := []byte{0x41}
	if s.codec == ingest.H265 {
		head = []byte{1 << 1, 1}
	}
	switch {
	case leading && kind == keyCRASkipped:
		head[0] = 9 << 1 // RASL_R
	case leading && kind == keyCRADecodable:
		head[0] = 7 << 1 // RADL_R
	case !begins, kind == keyNone:
	case s.codec == ingest.H265 && kind == keyIDR:
		head[0] = 20 << 1 // IDR_N_LP
	case s.codec == ingest.H265 && kind == keyCRADecodable:
		head[0] = 19 << 1 // IDR_W_RADL
	case s.codec == ingest.H265:
		head[0] = 21 << 1 // CRA
	case kind == keyIDR:
		head[0] = 0x65
	case kind == keyRecoverySlow:
		units = append(units, recoveryPoint(int(s.gop/2)))
	default:
		units = append(units, recoveryPoint(0))
	}
	n := max(s.slices, 1)
	for k := range n {
		first := byte(0x88) // first_mb_in_slice 0, or first_slice_segment_in_pic_flag
		if k > 0 {
			first = 0x58
		}
		u := append(append([]byte(nil), head...), first, 0, 0, 0, 0)
		for len(u) < size/n {
			u = append(u, byte(len(u))|1)
		}
		units = append(units, u)
	}
	return units
}

// recoveryPoint is an SEI message (ISO/IEC 14496-10 D.1.8) that says after how many frames all is right.
func recoveryPoint(frames int) []byte {
	bits, width := uint64(frames+1), 0
	for v := frames + 1; v > 1; v >>= 1 {
		width++
	}
	length := 2*width + 1
	bits = bits<<4 | 8 // exact_match_flag, broken_link_flag, changing_slice_group_idc
	length += 4
	if length%8 != 0 {
		bits, length = bits<<1|1, length+1
		for length%8 != 0 {
			bits, length = bits<<1, length+1
		}
	}
	u := []byte{0x06, 6, byte(length / 8)}
	for length > 0 {
		length -= 8
		u = append(u, byte(bits>>length))
	}
	return append(u, 0x80)
}

// number writes a frame's number into its bytes: behind the slice header, or near the front of an audio frame.
func (f *sentFrame) number() {
	u := f.Units[len(f.Units)-1]
	if f.video() {
		for _, unit := range f.Units {
			if at := numberAt(f.Track.Codec, unit); at > 0 {
				putNumber(unit[at:], f.id)
			}
		}
		return
	}
	putNumber(u[4:], f.id)
}

// numberAt is where in a NAL unit the number stands; 0 where the unit is no slice of ours.
func numberAt(c ingest.Codec, u []byte) int {
	switch {
	case len(u) < 7:
	case c == ingest.H264 && (u[0] == 0x65 || u[0] == 0x41):
		return 2
	case c == ingest.H265 && u[0]>>1 < 32:
		return 3
	}
	return 0
}

func putNumber(b []byte, n int64) {
	for i := range 4 {
		b[i] = 0x80 | byte(n>>(21-7*i))
	}
}

func getNumber(b []byte) (n int64) {
	for _, c := range b[:4] {
		n = n<<7 | int64(c&0x7F)
	}
	return n
}

func (s *encoderShape) sound(end int64) (list []sentFrame) {
	track := s.tracks[1]
	if track == nil {
		track = audioTrack(s.audio)
	}
	samples := samplesOf(track)
	for n := int64(0); ; n++ {
		t := n * samples * Clock / int64(track.SampleRate)
		if t >= end {
			return list
		}
		f := sentFrame{begins: true, at: s.arrival(t, 1)}
		if s.jitter != nil {
			f.at += time.Duration(s.jitter(n))
		}
		f.Track, f.PTS, f.DTS, f.Key, f.Units = track, s.stamp(t), s.stamp(t), true, [][]byte{audioBytes(track)}
		list = append(list, f)
	}
}

func samplesOf(t *ingest.Track) int64 {
	switch {
	case t.Codec == ingest.AAC:
		return 1024
	case t.SampleRate < 32000:
		return 576
	}
	return 1152
}

func audioBytes(t *ingest.Track) []byte {
	head, size := []byte{0x21, 0x10, 0x05, 0x20}, 60
	if t.Codec == ingest.MP3 {
		head, size = []byte{0xFF, 0xFB, 0x50, 0x04}, 208 // 64 kb/s at 44.1 kHz
		if t.SampleRate < 32000 {
			head, size = []byte{0xFF, 0xF3, 0x50, 0x04}, 130 // 40 kb/s at 22.05 kHz
		}
	}
	for len(head) < size {
		head = append(head, byte(len(head))|1)
	}
	return head
}

// videoTrack is a new track of 1280x720 or so.
func videoTrack(c ingest.Codec) *ingest.Track {
	t := &ingest.Track{Codec: c, SPS: [][]byte{testSPS}, PPS: [][]byte{{0x68, 0xee, 0x3c, 0x80}}, Width: 1280, Height: 720, FrameRate: 25}
	if c == ingest.H265 {
		t.VPS = [][]byte{{0x40, 0x01, 0x0c, 0x01, 0xff, 0xff, 0x01, 0x60, 0, 0, 3, 0, 0x90, 0, 0, 3, 0, 0, 3, 0, 0x3f, 0x95, 0x98, 0x09}}
		t.SPS = [][]byte{{0x42, 0x01, 0x01, 0x01, 0x60, 0, 0, 3, 0, 0x90, 0, 0, 3, 0, 0, 3, 0, 0x3f, 0xa0, 0x05, 0x02, 0x01, 0x69, 0x65,
			0x95, 0x9a, 0x49, 0x32, 0xbc, 0x05, 0xa0, 0x20, 0, 0, 3, 0, 0x20, 0, 0, 3, 3, 0x21}}
		t.PPS = [][]byte{{0x44, 0x01, 0xc1, 0x72, 0xb4, 0x62, 0x40}}
		t.Width, t.Height = 640, 360
	}
	return t
}

// otherVideo is a track with other parameter sets than t.
func otherVideo(t *ingest.Track) *ingest.Track {
	o := *t
	o.SPS = [][]byte{append(slices.Clone(t.SPS[0]), 0x80)}
	return &o
}

// audioTrack is a new track: "aac", "aac44", "mono", "he" (HE-AAC, core at 24 kHz), "mp3", "mp3low" (22.05 kHz).
func audioTrack(kind string) *ingest.Track {
	t := &ingest.Track{Codec: ingest.AAC, ASC: []byte{0x11, 0x90}, SampleRate: 48000, Channels: 2}
	switch kind {
	case "aac44":
		t.ASC, t.SampleRate = []byte{0x12, 0x10}, 44100
	case "mono":
		t.ASC, t.Channels = []byte{0x11, 0x88}, 1
	case "he":
		t.ASC, t.SampleRate = []byte{0x2B, 0x11, 0x88, 0x00}, 24000
	case "mp3":
		t = &ingest.Track{Codec: ingest.MP3, SampleRate: 44100, Channels: 2}
	case "mp3low":
		t = &ingest.Track{Codec: ingest.MP3, SampleRate: 22050, Channels: 2}
	}
	return t
}
