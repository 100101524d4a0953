package vod

import (
	"context"
	"errors"
	"io"
	"slices"
	"strconv"

	"github.com/hlsorigin/hlsorigin/ingest/codec"
	"github.com/hlsorigin/hlsorigin/ingest/file"
)

// keySlack is how much before its time a keyframe may end a segment of a remux, ticks: files round.
const keySlack = codec.Clock / 20

// hiddenStart is how much of the pictures an edit list may hide without a word, ticks.
const hiddenStart = codec.Clock / 5

// own reports which tracks of an MP4 file are packaged without ffmpeg; false: it is ffmpeg's to read.
func own(m *file.Movie) (video *file.Track, audio []*file.Track, ok bool) {
	for _, t := range m.Tracks {
		switch {
		case t.Medium == file.Video && (t.Format == "jpeg" || t.Format == "png"): // a cover
		case t.Medium == file.Video && video == nil:
			video = t
		case t.Medium == file.Audio:
			audio = append(audio, t)
		}
	}
	if i := slices.IndexFunc(audio, func(t *file.Track) bool { return t.Enabled }); i > 0 {
		t := audio[i]
		audio = slices.Insert(slices.Delete(audio, i, i+1), 0, t)
	}
	audio = audio[:min(len(audio), maxAudio)]
	ok = video != nil || len(audio) > 0
	if video != nil {
		ok = ok && !video.Edited && video.Video != nil && video.Rotation == 0
	}
	for _, t := range audio {
		ok = ok && !t.Edited && t.Codec == codec.AAC && t.Sound.Channels <= 6
	}
	return video, audio, ok
}

// sourceOf says of a movie what ffprobe would, as far as a plan needs it.
func sourceOf(m *file.Movie, video *file.Track, audio []*file.Track) *source {
	s := &source{container: file.MP4, seconds: m.Duration.Seconds()}
	if video != nil {
		s.video = &videoTrack{index: -1, codec: video.Codec.String(), width: video.Video.Width, height: video.Video.Height, rotation: video.Rotation}
		if video.Video.Width == 0 {
			s.video.width, s.video.height = max(video.Width, 1), max(video.Height, 1)
		}
		s.seconds = max(s.seconds, video.Lasts.Seconds())
	}
	for _, t := range audio {
		s.audio = append(s.audio, audioTrack{codec: "aac", channels: min(t.Sound.Channels, 2), rate: t.Sound.Rate, language: t.Language})
		s.seconds = max(s.seconds, t.Lasts.Seconds())
	}
	return s
}

// refuseRemux is why a file cannot be packaged as it is; nil: it can.
func refuseRemux(s *source) error {
	v := s.video
	switch {
	case v == nil:
		return nil
	case v.codec != "h264" && v.codec != "hevc" && v.codec != "h265":
		return refuse(CodeCodec, "the pictures are coded as %s, and HLS carries H.264 and HEVC: make an adaptive_video package of the file, which codes them anew", clean(v.codec))
	case v.rotation != 0:
		return refuse(CodeCodec, "the picture is stored turned by %d°, as phones do, and segments cannot say that: make an adaptive_video package of the file, which turns it upright", v.rotation)
	}
	return nil
}

// remux packages the tracks of a movie as they are.
func (w *work) remux(ctx context.Context, m *file.Movie, video *file.Track, audio []*file.Track) error {
	tracks := slices.Clone(audio)
	if video != nil {
		tracks = append([]*file.Track{video}, tracks...)
	}
	in, err := m.Reader(tracks)
	if err != nil {
		return explain("read the file", err)
	}
	x := &remuxing{w: w, video: video, sounds: make(map[*file.Track][]*rung)}
	var rungs []*rung
	for i := range w.plan.outputs {
		o := &w.plan.outputs[i]
		r := w.newRung(o, keySlack)
		r.alone = video == nil
		rungs = append(rungs, r)
		var c codec.Codec
		var sound *codec.AACConfig
		if o.video {
			x.pictures, c = r, video.Codec
		}
		if o.audio >= 0 {
			t := audio[o.audio]
			x.sounds[t] = append(x.sounds[t], r)
			sound, r.spoken = &t.Sound, t.Sound.Name()
		}
		if err := r.configure(c, sound); err != nil {
			return explain("remux", err)
		}
	}
	w.gauge.begin(w.plan.outputs)
	for n := 0; ; n++ {
		u, err := in.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return explain("read the file", err)
		}
		if n%256 == 0 {
			if err := ctx.Err(); err != nil {
				return err
			}
			for i := range rungs {
				w.gauge.moved(i, u.DTS)
			}
		}
		if err := x.unit(ctx, u); err != nil {
			return err
		}
	}
	if m.Cut {
		w.plan.note("the file ends within a fragment, as an interrupted recording does: what is whole of it is in the package")
	}
	return x.close(ctx, rungs)
}

// remuxing is a movie on its way.
type remuxing struct {
	w        *work
	video    *file.Track
	pictures *rung // nil: there are none
	sounds   map[*file.Track][]*rung
	units    [][]byte
	sets     [][]byte
	begun    bool
	shift    int64
	count    int
	broken   int // pictures that cannot be read
	mute     int // frames that are none
}

func (x *remuxing) unit(ctx context.Context, u *file.Unit) error {
	if !x.begun {
		x.begun = true
		if u.DTS < -codec.Clock { // what an edit list hides, and cannot be left out
			x.shift = -u.DTS
		}
	}
	if u.Track != x.video {
		if !codec.IsAACFrame(u.Data, u.Track.ASC) {
			x.mute++
			return nil
		}
		t := tone{pts: u.PTS + x.shift, lasts: codec.AACSamples * codec.Clock / int64(u.Track.Sound.Rate), frame: u.Data}
		for _, r := range x.sounds[u.Track] {
			if err := r.sound(ctx, &t); err != nil {
				return err
			}
		}
		return nil
	}
	x.count++
	var ok bool
	x.units, ok = u.Track.Units(x.units[:0], u.Data)
	p := pictureOf(u.Track.Codec, u.PTS+x.shift, u.DTS+x.shift, x.units)
	if !ok || p.survey.Slices == 0 {
		x.broken++
		return nil
	}
	if x.sets == nil {
		x.sets = u.Track.Video.Sets()
		if u.PTS < -hiddenStart {
			x.w.plan.note("the file's edit list hides its first %.1f s, and begins within pictures that need those before: they are in the package", codec.Duration(-u.PTS).Seconds())
		}
	}
	p.sets, p.lasts = x.sets, u.Duration
	if p.key && p.sps == nil {
		p.sps = spsOf(u.Track.Codec, x.sets)
	}
	r := x.pictures
	before := len(r.rows)
	if err := r.video(ctx, &p); err != nil {
		return err
	}
	if len(r.rows) > before {
		for _, all := range x.sounds {
			for _, s := range all {
				s.due = s != r
			}
		}
	}
	return nil
}

func (x *remuxing) close(ctx context.Context, rungs []*rung) error {
	w := x.w
	if x.broken > 0 {
		if x.broken > x.count/20 {
			return refuse(CodeDamaged, "%d of %d pictures cannot be read: the file is damaged; export or upload it again", x.broken, x.count)
		}
		w.plan.note("%d of %d pictures cannot be read, and are left out", x.broken, x.count)
	}
	if x.mute > 0 {
		w.plan.note("%d frames of sound cannot be read, and are left out", x.mute)
	}
	type made struct {
		name string
		d    RungDone
	}
	var all []made
	for _, r := range rungs {
		d, ok, err := r.close(ctx)
		if err != nil {
			return err
		}
		if !ok {
			if r == x.pictures || x.pictures == nil && r.name == soundName {
				return refuse(CodeDamaged, "the file has nothing to show: its index has no samples, or none can be read")
			}
			w.plan.note("the sound track %s has nothing in it, and is left out", r.name)
			continue
		}
		w.notes(r)
		all = append(all, made{r.name, d})
	}
	if err := w.up.wait(); err != nil {
		return err
	}
	for _, m := range all {
		if err := w.finished(m.name, m.d); err != nil {
			return err
		}
	}
	w.gauge.end(w.plan.outputs)
	return nil
}

// remuxNotes says what a remux by ffmpeg changes.
func remuxNotes(p *plan) {
	for i := range p.audio {
		if a := &p.audio[i]; !p.copies(a) {
			p.note("the sound (%s, %s channels) is coded anew as AAC, the pictures stay as they are", clean(a.codec), strconv.Itoa(a.channels))
		}
	}
}
