package segmenter

import (
	"bytes"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/ingest/codec"
	"github.com/hlsorigin/hlsorigin/segmenter/cut"
)

// fuzzShow is a show of one stream or of a ladder that bytes decide on, two for each thing that happens.
type fuzzShow struct {
	*stage
	o       AppOptions
	streams []string
	tracks  [2]*ingest.Track
	off     [2]bool   // the track is away
	at      int64     // media time, ticks
	frame   int64     // ticks from picture to picture
	skew    int64     // ticks by which sound is ahead of the picture
	sound   int64     // time of the next sound frame, ticks
	gop     int64     // pictures
	keys    keyKind   //
	delay   int64     // pictures by which a keyframe is shown later than it is decoded
	flagged bool      // every picture is marked
	n       [2]int64  // frames made
	since   int64     // pictures since the last keyframe
	budget  int       // frames that may still be made
	pause   [3]int    // frames for which a rung is silent
	bad     [2]string // an odd frame that comes once
}

const fuzzFrames = 2500

// FuzzRecording lets bytes decide what publishers do: frames, jumps, changes of tracks, silence, lost connections, a restart
// of the server. Whatever they do, what viewers were shown stays true (see witness), rows tile the time line, no frame stands
// twice, the transport stream is sound, the playlists stay within their bounds, and at the end all memory is given back.
func FuzzRecording(f *testing.F) {
	f.Add([]byte{0, 0, 60, 0, 200})
	f.Add([]byte{1, 0, 200, 4, 3, 0, 120, 4, 9, 0, 200, 10, 20, 0, 255, 11, 0, 0, 100})
	f.Add([]byte{2, 0, 200, 5, 0, 0, 200, 5, 0, 0, 100, 6, 0, 0, 200, 6, 0, 0, 200, 8, 1, 0, 50, 8, 2, 0, 90})
	f.Add([]byte{4, 0, 200, 7, 0, 0, 200, 21, 7, 10, 3, 0, 200, 22, 90, 0, 200, 9, 80, 0, 255})
	f.Add([]byte{5, 0, 200, 13, 49, 14, 4, 0, 200, 15, 200, 0, 200, 17, 30, 0, 80, 18, 9, 0, 100, 20, 3, 0, 200, 12, 0, 0, 90})
	f.Add([]byte{12, 0, 255, 16, 1, 13, 3, 0, 255, 19, 1, 19, 2, 19, 3, 0, 255, 15, 20, 10, 255, 0, 100})
	f.Add([]byte{7, 0, 90, 23, 3, 0, 255, 23, 2, 0, 255, 23, 1, 0, 255, 4, 5, 0, 255, 21, 200, 0, 255})
	// What was found once.
	for _, script := range [][]byte{
		{14, 0, 116, 18, 0, 22, 8, 2, 0, 12, 2, 2, 63, 17, 0, 0, 32},                                                           // a rung's segment in hand is given up
		{7, 0, 2, 0, 63, 6, 0, 0, 8, 17, 14, 0, 4, 0, 62},                                                                      // sound leads, and pictures are slow when they come back
		{22, 3, 0, 6, 0, 6, 0, 23, 202, 0, 0, 0, 63, 0, 8, 0, 26},                                                              // a rung is silent, and goes on within a number
		{6, 3, 0, 9, 0, 4, 8, 23, 4, 0, 0, 0, 63},                                                                              // one rung jumps with the others, and misses the first frames
		{22, 0, 230, 0, 16, 6, 0, 0, 1, 11, 207, 0, 62, 11, 178, 21, 0, 0, 0},                                                  // a rung that had ended comes back after a restart
		{10, 2, 0, 12, 0, 0, 24, 3, 32, 0, 16, 13, 63, 0, 32, 13, 2, 2, 4, 6, 0, 17, 53, 6, 0, 0, 8, 0, 8, 0, 8, 14, 63, 0, 1}, // pictures slow down, of which none is a keyframe
		{15, 0, 16, 23, 38, 5, 0, 0, 32, 0, 63, 21, 0, 0, 63},                                                                  // a rung outside with another target duration, and a restart
		{3, 8, 4, 17, 63, 6, 0, 1, 8, 18, 0, 0, 32},                                                                            // sound with holes, and no picture
		{29, 17, 63, 23, 80, 0, 0, 5, 0, 10, 127, 2, 16, 5, 0, 1, 4},                                                           // a rung is lost while it is behind
	} {
		f.Add(script)
	}
	f.Fuzz(func(t *testing.T, script []byte) {
		if len(script) == 0 {
			return
		}
		s := newFuzzShow(t, script[0])
		for i := 1; i+1 < len(script) && i < 400 && s.budget > 0; i += 2 {
			s.happen(script[i], script[i+1])
			for _, name := range s.streams {
				if tl := s.reg.Timeline("live", name); tl != nil {
					bounded(t, tl.Snapshot())
				}
			}
		}
		s.judge()
		s.end()
	})
}

func newFuzzShow(t *testing.T, kind byte) *fuzzShow {
	o := AppOptions{ReconnectGrace: 10 * time.Second, EndGrace: 3 * time.Second, EndedTTL: time.Minute, ArchiveSplit: time.Minute}
	s := &fuzzShow{streams: []string{"cam"}, frame: 3600, gop: 50, budget: fuzzFrames}
	c := ingest.H264
	if kind&1 != 0 {
		c = ingest.H265
	}
	s.tracks = [2]*ingest.Track{videoTrack(c), audioTrack("aac")}
	if kind&2 != 0 {
		o.Window, o.SegmentDuration = 10*time.Second, time.Second
	}
	if kind&4 != 0 {
		o.Groups, o.Audio = map[string][]string{"show": ladderRungs}, kind&16 != 0
		s.streams = ladderRungs
	}
	s.off[astVideo] = kind&24 == 24
	o.LowLatency = kind&32 != 0
	s.o, s.stage = o, newStage(t, o)
	return s
}

// ticksOf is a distance in time, from a tick to days, forward or back.
func ticksOf(arg byte) int64 {
	d := []int64{1, 90, 1800, 3600, Clock / 2, Clock, 3 * Clock, 20 * Clock, 1000 * Clock, 1 << 33}[arg%10]
	if arg&0x80 != 0 {
		return -d
	}
	return d
}

func (s *fuzzShow) happen(op, arg byte) {
	switch op % 24 {
	default:
		for range arg%64 + 1 {
			s.picture()
		}
	case 4:
		s.at += ticksOf(arg)
		s.sound = s.at
	case 5:
		s.off[astAudio] = !s.off[astAudio]
		s.sound = s.at
	case 6:
		s.off[astVideo] = !s.off[astVideo]
	case 7:
		if s.tracks[0] = videoTrack(s.tracks[0].Codec); arg&1 == 0 {
			s.tracks[0] = otherVideo(s.tracks[0])
		}
		if s.since = s.gop; arg&2 != 0 {
			s.since = 1
		}
	case 8:
		s.tracks[1] = audioTrack([]string{"aac", "aac44", "mono", "mp3", "he", "mp3low"}[arg%6])
	case 9:
		s.until(s.now.Add(time.Duration(arg) * 100 * time.Millisecond))
		if arg&1 != 0 {
			s.at += int64(arg) * 9000
			s.sound = s.at
		}
	case 10, 11:
		cause := errReset
		if op%24 == 11 {
			cause = ingest.ErrUnpublished
		}
		for i, name := range s.streams {
			if arg>>(6+i)&1 == 0 {
				s.disconnect(name, cause)
			}
		}
		s.until(s.now.Add(time.Duration(arg) * 50 * time.Millisecond))
	case 12: // the connection hangs, and its publisher comes back beside it
		name := s.streams[int(arg)%len(s.streams)]
		if old := s.sessions[name]; old != nil {
			s.until(s.now.Add(3 * time.Second))
			s.connect(name)
			old.Close(errReset)
		}
	case 13:
		s.gop, s.keys = 1+int64(arg%120), keyKind(arg%8)
	case 14:
		s.delay = int64(arg%8) - 2
	case 15:
		s.skew = int64(int8(arg)) * 4000
		s.sound = s.at + s.skew
	case 16:
		s.flagged = arg&1 != 0
	case 17:
		s.frame = []int64{3600, 3003, 1500, 90, 1, 9000, Clock, 5 * Clock}[arg%8]
	case 18:
		s.frame = 0
	case 19:
		s.bad[arg%2] = []string{"no units", "empty units", "no sets", "small"}[arg/2%4]
	case 20:
		s.now = s.now.Add(time.Duration(arg) * time.Second)
		s.look()
	case 21:
		s.restart(time.Duration(arg) * time.Second)
	case 22:
		s.at = -int64(arg) * 1000
		s.sound = s.at
	case 23: // one rung falls silent
		s.pause[int(arg)%len(s.streams)] = int(arg)
	}
}

// picture makes a picture and the sound up to it, on all streams.
func (s *fuzzShow) picture() {
	if s.budget--; s.budget < 0 {
		return
	}
	soundFrame := samplesOf(s.tracks[1]) * Clock / int64(s.tracks[1].SampleRate)
	for range 40 {
		if s.off[astAudio] || s.sound > s.at+s.skew {
			break
		}
		s.send(astAudio, s.sound, s.sound, true, [][]byte{audioBytes(s.tracks[1])})
		s.sound += soundFrame
	}
	if !s.off[astVideo] {
		shape := encoderShape{codec: s.tracks[0].Codec, keys: s.keys, gop: s.gop}
		begins := s.since >= s.gop || s.n[astVideo] == 0
		if s.since++; begins {
			s.since = 1
		}
		s.send(astVideo, s.at+s.delay*max(s.frame, 1), s.at, begins || s.flagged, shape.units(s.n[astVideo], begins, !begins && s.since < 3))
	}
	s.at += s.frame
	s.until(s.now.Add(max(cut.Duration(s.frame), 2*time.Millisecond)))
}

func (s *fuzzShow) send(kind int, pts, dts int64, key bool, units [][]byte) {
	f := sentFrame{id: s.n[kind]}
	s.n[kind]++
	f.Track, f.PTS, f.DTS, f.Key, f.Units, f.Arrival = s.tracks[kind], pts, dts, key, units, s.now
	switch s.bad[kind] {
	case "":
		f.number()
	case "no units":
		f.Units = nil
	case "empty units":
		f.Units = [][]byte{nil, {}}
	case "no sets":
		f.Track = &ingest.Track{Codec: f.Track.Codec, SampleRate: 48000}
	case "small":
		f.Units = [][]byte{{0x65}}
	}
	s.bad[kind] = ""
	for i, name := range s.streams {
		if s.pause[i] > 0 {
			s.pause[i]--
			continue
		}
		if s.sessions[name] == nil {
			session, err := s.publish(name, "me")
			if err != nil {
				continue
			}
			s.sessions[name] = session
		}
		frame := f.Frame
		frame.Units = make([][]byte, len(f.Units))
		for k := range f.Units {
			frame.Units[k] = bytes.Clone(f.Units[k])
		}
		if err := s.sessions[name].WriteFrame(&frame); err != nil {
			s.disconnect(name, err)
		}
		for _, u := range frame.Units { // they were borrowed
			clear(u)
		}
	}
}

// restart ends the server, and begins it anew with what storage would know.
func (s *fuzzShow) restart(away time.Duration) {
	s.judge()
	old := s.stage
	var streams []string
	for _, tl := range old.reg.Timelines() {
		if snap := tl.Snapshot(); snap.State == Live || snap.State == Stalled {
			streams = append(streams, snap.Stream)
		}
	}
	next := old.restarted(s.o, streams...)
	next.witness = old.witness
	clear(next.witness.last)
	next.now = old.now.Add(away)
	for name, session := range old.sessions {
		session.Close(ingest.ErrShutdown)
		delete(old.sessions, name)
	}
	old.witness = newWitness(s.t) // what it lists now nobody is shown
	old.witness.grid = next.witness.grid
	old.reg.Close(true)
	old.end()
	s.stage = next
	s.look()
}

// judge reads all back that was listed.
func (s *fuzzShow) judge() {
	for name, tape := range s.tapes {
		r := &tsReader{t: s.t, name: name, said: map[string]int{}, lenient: true}
		of := RecordingID("")
		seen := [2]map[int64]bool{{}, {}}
		for i := range tape.rows {
			row := &tape.rows[i]
			if row.recording != of {
				r.counters, of = map[uint16]uint8{}, row.recording
			}
			if row.Gap || row.bytes == nil {
				clear(r.counters)
				continue
			}
			r.pcr, r.dts = -1, -1
			seg := r.segment(row.bytes)
			if !seg.tables {
				s.t.Errorf("%s: %d does not begin with PAT and PMT", name, row.Sequence)
			}
			for kind, units := range seg.units {
				for _, u := range units {
					if u.id >= 0 && seen[kind][u.id] {
						s.t.Errorf("%s: frame %d stands twice", name, u.id)
					}
					seen[kind][u.id] = true
				}
			}
			if pictures := seg.units[astVideo]; row.Independent && len(pictures) > 0 && seg.firstIsVideo &&
				seg.codecs[astVideo].Survey(pictures[0].units).Access == codec.NoAccess {
				s.t.Errorf("%s: %d is not independent", name, row.Sequence)
			}
		}
	}
}
