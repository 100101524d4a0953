package transcode

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/asticode/go-astits"
	"go.uber.org/goleak"

	"github.com/hlsorigin/hlsorigin/ingest/ffmpeg"
)

// The test binary is its own ffmpeg. With fakeModes in its environment it behaves accordingly, one mode for each run, and the last one for
// all that follow. fakeRuns is a directory in which runs are counted.
const (
	fakeModes = "HLSORIGIN_TEST_TRANSCODE_MODES"
	fakeRuns  = "HLSORIGIN_TEST_TRANSCODE_RUNS"
)

func TestMain(m *testing.M) {
	if modes := os.Getenv(fakeModes); modes != "" {
		os.Exit(fake(strings.Split(modes, ","), os.Getenv(fakeRuns)))
	}
	code := m.Run()
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// fake is an ffmpeg that copies its video to all its outputs, or fails.
func fake(modes []string, runs string) int {
	run := 0
	for ; ; run++ {
		f, err := os.OpenFile(filepath.Join(runs, strconv.Itoa(run)), os.O_CREATE|os.O_EXCL, 0o600)
		if err == nil {
			_ = f.Close()
			break
		}
	}
	var outs []io.Writer
	for _, a := range os.Args {
		if n, err := strconv.Atoi(strings.TrimPrefix(a, "pipe:")); err == nil && strings.HasPrefix(a, "pipe:") && n >= ffmpeg.FirstPipe {
			outs = append(outs, os.NewFile(uintptr(n), a))
		}
	}
	mode, limit := modes[min(run, len(modes)-1)], 0
	if name, n, ok := strings.Cut(mode, ":"); ok {
		mode = name
		limit, _ = strconv.Atoi(n)
	}
	switch mode {
	case "hang": // reads nothing
		select {}
	case "mute": // reads all and writes nothing
		_, _ = io.Copy(io.Discard, os.Stdin)
		return 0
	case "garbage":
		_, _ = outs[0].Write(bytes.Repeat([]byte("no video at all "), 64))
		_, _ = io.Copy(io.Discard, os.Stdin)
		return 0
	case "half": // writes only the first rung
		outs = outs[:1]
	}
	err := copyVideo(os.Stdin, outs, func(n int) error {
		switch {
		case mode == "exit" && n == limit:
			return errors.New("out of luck")
		case mode == "slow":
			time.Sleep(time.Duration(limit) * time.Millisecond)
		}
		return nil
	})
	if mode == "late" { // does not end when its input does
		select {}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "fake:", err)
		return 1
	}
	return 0
}

// copyVideo makes FLV from the H.264 in a transport stream. each is called before every picture.
func copyVideo(in io.Reader, outs []io.Writer, each func(n int) error) error {
	d := astits.NewDemuxer(context.Background(), struct{ io.Reader }{in}, astits.DemuxerOptPacketSize(188))
	for n := 0; ; {
		data, err := d.NextData()
		if errors.Is(err, astits.ErrNoMorePackets) {
			return nil
		}
		if err != nil {
			return err
		}
		if data.PES == nil {
			continue
		}
		if err := each(n); err != nil {
			return err
		}
		h := data.PES.Header.OptionalHeader
		pts := h.PTS.Base
		dts := pts
		if h.DTS != nil {
			dts = h.DTS.Base
		}
		b := pictureTags(data.PES.Data, pts, dts, n == 0)
		for _, w := range outs {
			if _, err := w.Write(b); err != nil {
				return err
			}
		}
		n++
	}
}

// pictureTags returns one picture in Annex B form as an FLV tag; the first is preceded by the file's header and the sequence header.
func pictureTags(annexB []byte, pts, dts int64, first bool) (out []byte) {
	var sps, pps, body []byte
	key := byte(0x27)
	for _, u := range bytes.Split(annexB, []byte{0, 0, 1}) {
		u = bytes.TrimRight(u, "\x00")
		if len(u) == 0 {
			continue
		}
		switch u[0] & 0x1f {
		case 9:
			continue
		case 7:
			sps = u
			continue
		case 8:
			pps = u
			continue
		case 5:
			key = 0x17
		}
		body = append(binary.BigEndian.AppendUint32(body, uint32(len(u))), u...)
	}
	ms, offset := round(dts), uint32(round(pts)-round(dts))
	if first {
		out = append(out, 'F', 'L', 'V', 1, 1, 0, 0, 0, 9, 0, 0, 0, 0)
		avcC := []byte{1, sps[1], sps[2], sps[3], 0xff, 0xe1, byte(len(sps) >> 8), byte(len(sps))}
		avcC = append(append(append(avcC, sps...), 1, byte(len(pps)>>8), byte(len(pps))), pps...)
		out = appendTag(out, 9, ms, append([]byte{0x17, 0, 0, 0, 0}, avcC...))
	}
	return appendTag(out, 9, ms, append([]byte{key, 1, byte(offset >> 16), byte(offset >> 8), byte(offset)}, body...))
}

func appendTag(out []byte, kind byte, ms int64, body []byte) []byte {
	n := len(body)
	out = append(out, kind, byte(n>>16), byte(n>>8), byte(n), byte(ms>>16), byte(ms>>8), byte(ms), byte(ms>>24), 0, 0, 0)
	return binary.BigEndian.AppendUint32(append(out, body...), uint32(n+tagHeader))
}

// round converts 90 kHz ticks to milliseconds, rounding to the nearest.
func round(ticks int64) int64 { return (ticks + 45) / 90 }
