package segmenter

import (
	"bytes"
	"fmt"
	"math/bits"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/segmenter/mpegts"
)

// NAL unit types (ISO/IEC 14496-10 table 7-1, ISO/IEC 23008-2 table 7-1).
const (
	h264IDR       = 5
	h264SEI       = 6
	h265FirstIRAP = 16
	h265LastIRAP  = 21
)

// isIDR tells whether an access unit lets a decoder begin: an IDR picture for H.264; any IRAP picture for H.265, whose
// encoders mostly send CRA.
func isIDR(codec ingest.Codec, units [][]byte) bool {
	for _, u := range units {
		if len(u) == 0 {
			continue
		}
		switch codec {
		case ingest.H264:
			if u[0]&0x1f == h264IDR {
				return true
			}
		case ingest.H265:
			if t := u[0] >> 1 & 0x3f; h265FirstIRAP <= t && t <= h265LastIRAP {
				return true
			}
		}
	}
	return false
}

// announcedInterval is the longest keyframe interval that an x264 encoder will make, from the settings it writes as text
// into an SEI of its first access unit ("… keyint=250 …"). x264 counts it in frames. 0 where there is none.
func announcedInterval(units [][]byte, frameRate float64) time.Duration {
	if frameRate <= 0 {
		return 0
	}
	for _, u := range units {
		if len(u) == 0 || u[0]&0x1f != h264SEI {
			continue
		}
		_, rest, ok := bytes.Cut(u, []byte(" keyint="))
		if !ok || !bytes.Contains(u, []byte("x264")) {
			continue
		}
		digits, _, _ := bytes.Cut(rest[:min(len(rest), 12)], []byte(" "))
		if n, err := strconv.Atoi(string(digits)); err == nil && n > 0 {
			return time.Duration(float64(n) / frameRate * float64(time.Second))
		}
	}
	return 0
}

// sameConfiguration tells whether a decoder may go on from a to b without a reset. Only what selects the decoder counts:
// picture parameter sets travel before every keyframe anyway.
func sameConfiguration(a, b *ingest.Track) bool {
	if a == b {
		return true
	}
	if a == nil || b == nil {
		return false
	}
	return a.Codec == b.Codec && bytes.Equal(a.ASC, b.ASC) && a.SampleRate == b.SampleRate && a.Channels == b.Channels &&
		slices.EqualFunc(a.SPS, b.SPS, bytes.Equal) && slices.EqualFunc(a.VPS, b.VPS, bytes.Equal)
}

// configured tells whether the track can be muxed. Who asks keeps the answer: it is not for every frame.
func configured(t *ingest.Track) bool {
	switch t.Codec {
	case ingest.H264:
		return len(t.SPS) > 0 && len(t.PPS) > 0 && len(t.SPS[0]) >= 4
	case ingest.H265:
		return len(t.SPS) > 0 && len(t.PPS) > 0 && len(t.VPS) > 0 && len(t.SPS[0]) >= 15
	case ingest.AAC:
		return mpegts.Config{Audio: mpegts.AAC, ASC: t.ASC}.Check() == nil
	case ingest.MP3:
		return true
	}
	return false
}

// parameterSets are those of a video track in the order in which they stand before a keyframe.
func parameterSets(t *ingest.Track) [][]byte {
	return slices.Concat(t.VPS, t.SPS, t.PPS)
}

func streamType(t *ingest.Track) mpegts.StreamType {
	if t == nil {
		return 0
	}
	switch t.Codec {
	case ingest.H264:
		return mpegts.H264
	case ingest.H265:
		return mpegts.H265
	case ingest.AAC:
		return mpegts.AAC
	}
	if t.SampleRate > 0 && t.SampleRate < 32000 {
		return mpegts.MP3MPEG2
	}
	return mpegts.MP3MPEG1
}

// codecs is the CODECS attribute of the tracks (RFC 6381; ISO/IEC 14496-15 annex E).
func codecs(video, audio *ingest.Track) string {
	var parts []string
	if video != nil {
		parts = append(parts, videoCodec(video))
	}
	if audio != nil {
		parts = append(parts, audioCodec(audio))
	}
	return strings.Join(parts, ",")
}

func videoCodec(t *ingest.Track) string {
	sps := t.SPS[0]
	if t.Codec == ingest.H264 {
		return fmt.Sprintf("avc1.%02x%02x%02x", sps[1], sps[2], sps[3])
	}
	// The profile_tier_level follows the two NAL header bytes and one byte of the SPS. Emulation prevention is undone
	// first: the constraint flags are often zero bytes in a row.
	ptl := bytes.ReplaceAll(sps[3:], []byte{0, 0, 3}, []byte{0, 0})
	if len(ptl) < 12 {
		return "hvc1"
	}
	space := []string{"", "A", "B", "C"}[ptl[0]>>6]
	tier := "L"
	if ptl[0]&0x20 != 0 {
		tier = "H"
	}
	compat := bits.Reverse32(uint32(ptl[1])<<24 | uint32(ptl[2])<<16 | uint32(ptl[3])<<8 | uint32(ptl[4]))
	s := fmt.Sprintf("hvc1.%s%d.%X.%s%d", space, ptl[0]&0x1f, compat, tier, ptl[11])
	constraints := bytes.TrimRight(ptl[5:11], "\x00")
	for _, c := range constraints {
		s += fmt.Sprintf(".%X", c)
	}
	return s
}

func audioCodec(t *ingest.Track) string {
	if t.Codec == ingest.MP3 {
		return "mp4a.40.34"
	}
	return "mp4a.40." + strconv.Itoa(int(t.ASC[0]>>3))
}
