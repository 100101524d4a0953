package fmp4

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hlsorigin/hlsorigin/ingest/codec"
	"github.com/hlsorigin/hlsorigin/segmenter/mpegts"
)

// withSBR is a raw AAC frame with the data of spectral band replication in a fill element before its end (ISO/IEC 14496-3 4.4.2.8): a header, and
// envelopes of nothing but zeros, whose codes are bits of zero.
func withSBR(frame []byte) []byte {
	var bits []bool
	for _, b := range frame {
		for i := 7; i >= 0; i-- {
			bits = append(bits, b>>i&1 == 1)
		}
	}
	for !bits[len(bits)-1] { // alignment
		bits = bits[:len(bits)-1]
	}
	bits = bits[:len(bits)-3] // ID_END
	put := func(v, n int) {
		for n--; n >= 0; n-- {
			bits = append(bits, v>>n&1 == 1)
		}
	}
	const size = 60 // of the element, bytes
	put(6, 3)       // ID_FIL
	put(15, 4)      // its size is more than four bits have
	put(size-14, 8) // the rest of it
	put(13, 4)      // EXT_SBR_DATA
	put(1, 1)       // bs_header_flag
	put(0, 1)       // bs_amp_res
	put(5, 4)       // bs_start_freq
	put(9, 4)       // bs_stop_freq
	put(0, 3+2+1+1) // bs_xover_band, reserved, no more of the header
	for range size*8 - 4 - 1 - 9 - 7 {
		put(0, 1)
	}
	put(7, 3) // ID_END
	out := make([]byte, (len(bits)+7)/8)
	for i, b := range bits {
		if b {
			out[i/8] |= 0x80 >> (i % 8)
		}
	}
	return out
}

// HE-AAC keeps the rate of its core in CMAF: each frame lasts 1,024 of its samples, and each segment goes on where the one before ended, to the
// tick, over the wrap of time stamps too. Decoders find the replicated half in the frames.
func TestHEAAC(t *testing.T) {
	for _, channels := range []int{1, 2} {
		t.Run(fmt.Sprint(channels, " channels"), func(t *testing.T) {
			adts := tool(t, nil, "ffmpeg", strings.Fields(fmt.Sprintf("-v error -f lavfi -i sine=frequency=440:sample_rate=24000 -t 6 -ac %d -c:a aac -b:a 48k -f adts -", channels))...)
			var frames [][]byte
			for b := adts; len(b) > 0; {
				_, frame, ok := codec.ParseADTS(b)
				if !ok {
					t.Fatal("no frame")
				}
				frames = append(frames, withSBR(frame))
				b = b[codec.ADTSSize+len(frame):]
			}
			asc := []byte{0x13, byte(channels << 3)} // the core alone is announced
			m, err := mpegts.NewMuxer(mpegts.Config{Audio: mpegts.AAC, ASC: asc})
			if err != nil {
				t.Fatal(err)
			}
			const frame, from = 3840, 1<<33 - mpegts.Offset - 3*90000 - 17 // 1,024 samples at 24 kHz
			pool := new(mpegts.Pool)
			var r Remuxer
			var init []byte
			var all [][]byte
			segment := func(some [][]byte, n int) {
				b := pool.Buffer()
				m.Begin(b)
				for i, f := range some {
					m.Audio(b, from+int64(n+i)*frame, f)
				}
				m.FlushAudio(b)
				ts := pieces(b)
				if n == 0 {
					h, err := r.Head(ts)
					if err != nil || h.Audio == nil || h.Audio.Rate != 24000 || h.Audio.Channels != channels {
						t.Fatalf("%+v, %v", h, err)
					}
					init = AppendAudioInit(nil, *h.Audio)
				}
				_, a, err := render(&r, ts, Segment{Number: uint64(len(all)), Start: wall() + int64(n)*frame, Duration: int64(len(some)) * frame})
				if err != nil {
					t.Fatal(err)
				}
				all = append(all, a.Data)
			}
			for n := 0; n < len(frames); n += 47 {
				segment(frames[n:min(n+47, len(frames))], n)
			}
			p := parse(t, init, all...)
			if d := p.file.Init.Moov.Trak.Mdia.Minf.Stbl.Stsd.Mp4a.Esds.DecConfigDescriptor; !bytes.Equal(d.DecSpecificInfo.DecConfig, asc) || p.file.Init.Moov.Trak.Mdia.Mdhd.Timescale != 24000 {
				t.Errorf("%+v", d)
			}
			for i, s := range p.samples {
				if s.Dur != 1024 || s.DecodeTime != p.samples[0].DecodeTime+uint64(i)*1024 || !bytes.Equal(s.Data, frames[i]) {
					t.Fatalf("frame %d is decoded at %d, lasts %d", i, s.DecodeTime, s.Dur)
				}
			}
			if len(p.samples) != len(frames) {
				t.Errorf("%d frames of %d", len(p.samples), len(frames))
			}
			file := filepath.Join(t.TempDir(), "a.mp4")
			if err := os.WriteFile(file, append(init, bytes.Join(all, nil)...), 0o600); err != nil {
				t.Fatal(err)
			}
			said := string(tool(t, nil, "ffprobe", "-v", "error", "-show_entries", "stream=profile,sample_rate,channels", "-of", "csv=p=0", file))
			if !strings.HasPrefix(said, "HE-AAC") || !strings.Contains(said, ",48000,") { // of one channel it is prepared for two
				t.Errorf("ffprobe says %q", said)
			}
			shown := strings.Fields(string(tool(t, nil, "ffprobe", "-v", "error", "-show_entries", "frame=pts,nb_samples", "-of", "csv=p=0", file)))
			for i, line := range shown {
				if want := fmt.Sprintf("%d,2048", p.samples[0].DecodeTime+uint64(i)*1024); line != want {
					t.Fatalf("ffprobe shows frame %d as %s, want %s", i, line, want)
				}
			}
			if len(shown) < len(frames)-1 {
				t.Errorf("ffprobe shows %d frames of %d", len(shown), len(frames))
			}
		})
	}
}
