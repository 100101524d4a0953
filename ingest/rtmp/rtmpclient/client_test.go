package rtmpclient

import (
	"encoding/binary"
	"io"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// flvFile returns an FLV file with the given tags.
func flvFile(tags ...Tag) []byte {
	b := []byte{'F', 'L', 'V', 1, 5, 0, 0, 0, 9, 0, 0, 0, 0}
	for _, t := range tags {
		n := len(t.Data)
		b = append(b, t.Type, byte(n>>16), byte(n>>8), byte(n), byte(t.Timestamp>>16), byte(t.Timestamp>>8), byte(t.Timestamp), byte(t.Timestamp>>24), 0, 0, 0)
		b = append(b, t.Data...)
		b = binary.BigEndian.AppendUint32(b, uint32(11+n))
	}
	return b
}

func TestLoop(t *testing.T) {
	file := flvFile(
		Tag{18, 0, []byte{2, 0, 0}},
		Tag{9, 0, []byte{0x17, 0, 0, 0, 0, 1}},
		Tag{8, 0, []byte{0xaf, 0, 0x12, 0x10}},
		Tag{9, 0, []byte{0x17, 1, 0, 0, 0}},
		Tag{8, 3, []byte{0xaf, 1, 1}},
		Tag{9, 40, []byte{0x27, 1, 0, 0, 0}},
		Tag{8, 26, []byte{0xaf, 1, 1}},
		Tag{9, 80, []byte{0x17, 2, 0, 0, 0}},
	)
	clip, err := ParseFLV(file)
	if err != nil {
		t.Fatal(err)
	}
	var video, audio []uint32
	headers := 0
	for src := clip.Loop(3); ; {
		tag, err := src.Next()
		if err == io.EOF {
			break
		}
		switch {
		case tag.header():
			headers++
		case tag.Type == 9:
			video = append(video, tag.Timestamp)
		default:
			audio = append(audio, tag.Timestamp)
		}
	}
	want := []uint32{0, 40, 80, 120, 160, 200}
	for i := range want {
		if video[i] != want[i] {
			t.Errorf("video at %v, want %v", video, want)
			break
		}
	}
	if len(audio) != 6 || audio[2] != 83 || headers != 4 {
		t.Errorf("audio at %v, %d headers", audio, headers)
	}
}

func TestParseFLV(t *testing.T) {
	good := flvFile(Tag{9, 0, []byte{0x17, 1}}, Tag{9, 40, []byte{0x17, 1}})
	for _, b := range [][]byte{nil, []byte("not FLV at all"), good[:12], good[:20], good[:len(good)-1], flvFile()} {
		if _, err := ParseFLV(b); err == nil {
			t.Errorf("%d bytes were taken", len(b))
		}
	}
	if _, err := ParseFLV(good); err != nil {
		t.Error(err)
	}
}
