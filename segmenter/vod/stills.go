package vod

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest/ffmpeg"
)

const (
	posterWidth = 1280 // pixels at most, of the longer side
	thumbWidth  = 160  // of the longer side
	sheet       = 5    // thumbnails in a row and rows in a sprite
	maxThumbs   = 500
	minInterval = 2 * time.Second // between thumbnails
	maxImage    = 16 << 20        // bytes
)

// stills makes the poster and the thumbnails, of those who have pictures.
func (w *work) stills(ctx context.Context, res *Result) error {
	if w.plan.src.video == nil {
		w.plan.note("there are no pictures to make a poster or thumbnails of")
		return nil
	}
	if w.plan.src.video.index < 0 {
		if err := w.reprobe(ctx); err != nil {
			return err
		}
	}
	if w.r.Options.Poster {
		if err := w.poster(ctx, res); err != nil {
			return err
		}
	}
	if w.r.Options.Thumbnails {
		return w.thumbnails(ctx, res.Duration)
	}
	return nil
}

// reprobe asks ffprobe where the pictures of a file are that was packaged without it.
func (w *work) reprobe(ctx context.Context) error {
	in, err := w.share()
	if err != nil {
		return err
	}
	src, err := probe(ctx, w.r.FFprobe, in, w.container)
	if err != nil {
		return err
	}
	if src.video == nil {
		return refuse(CodeDamaged, "ffprobe finds no pictures in the file")
	}
	w.plan.src.video = src.video
	if w.plan.hdr() {
		w.plan.tonemap, err = w.canToneMap(ctx)
	}
	return err
}

// fitted is the size of the picture within a square.
func fitted(v *videoTrack, side int) (width, height int) {
	scale := min(1, float64(side)/float64(max(v.width, v.height)))
	even := func(n int) int { return max(int(math.Round(float64(n)*scale/2))*2, 2) }
	return even(v.width), even(v.height)
}

func (w *work) poster(ctx context.Context, res *Result) error {
	width, height := fitted(w.plan.src.video, posterWidth)
	at := min(res.Duration.Seconds()/10, 10)
	for _, t := range []float64{at, 0} {
		images, err := w.images(ctx, []string{"-ss", strconv.FormatFloat(t, 'f', 3, 64)}, []string{"-frames:v", "1", "-vf", w.plan.chain(width, height, false), "-q:v", "3"}, 1)
		var refused *Refusal
		if err != nil && !errors.As(err, &refused) { // what can be played is not refused for its poster
			return err
		}
		if len(images) > 0 {
			res.Poster = posterName
			return w.up.now(ctx, posterName, typeJPEG, images[0])
		}
	}
	w.plan.note("no poster: no picture could be decoded")
	return nil
}

// thumbnails makes sprites of the keyframes, and the WebVTT file that tells which part of which shows what.
func (w *work) thumbnails(ctx context.Context, lasts time.Duration) error {
	width, height := fitted(w.plan.src.video, thumbWidth)
	every := max(minInterval, (lasts/maxThumbs).Truncate(time.Second)+time.Second)
	if lasts < time.Minute {
		every = minInterval
	}
	filter := fmt.Sprintf("fps=fps=1/%d:start_time=0:round=near,%s,tile=%dx%d", int(every.Seconds()), w.plan.chain(width, height, false), sheet, sheet)
	n := max(int((lasts+every*3/4)/every), 1) // a rest that is short belongs to the one before
	sheets := (n + sheet*sheet - 1) / (sheet * sheet)
	var images [][]byte
	var refused *Refusal
	for _, skip := range [][]string{{"-skip_frame", "nokey"}, nil} { // some decoders take a picture that is skipped for a fault
		var err error
		if images, err = w.images(ctx, skip, []string{"-vf", filter, "-q:v", "5"}, sheets+1); err == nil {
			break
		}
		if !errors.As(err, &refused) {
			return err
		}
	}
	if len(images) == 0 {
		w.plan.note("no thumbnails: no picture could be decoded")
		return nil
	}
	for i, b := range images[:min(len(images), sheets)] {
		if err := w.up.send(ctx, spriteName(i), typeJPEG, [][]byte{b}, nil); err != nil {
			return err
		}
	}
	var vtt bytes.Buffer
	vtt.WriteString("WEBVTT\n")
	for i := range min(n, len(images)*sheet*sheet) {
		from, in := time.Duration(i)*every, i%(sheet*sheet)
		to := from + every
		if i == n-1 {
			to = lasts
		}
		fmt.Fprintf(&vtt, "\n%s --> %s\n%s#xywh=%d,%d,%d,%d\n", clockOf(from), clockOf(to), spriteName(i/(sheet*sheet)), in%sheet*width, in/sheet*height, width, height)
	}
	return w.up.now(ctx, thumbsName, typeVTT, vtt.Bytes())
}

// images runs ffmpeg for JPEG images, at most so many.
func (w *work) images(ctx context.Context, before, after []string, most int) (images [][]byte, err error) {
	in, err := w.share()
	if err != nil {
		return nil, err
	}
	args := append(append(quiet(), before...), w.plan.steady()...)
	args = append(args, inputArgs(in, w.container)...)
	args = append(args, "-map", fmt.Sprintf("0:%d", w.plan.src.video.index), "-an", "-sn", "-dn", "-map_metadata", "-1")
	args = append(args, after...)
	args = append(args, "-fps_mode", "passthrough", "-pix_fmt", "yuvj420p", "-c:v", "mjpeg", "-f", "image2pipe", fmt.Sprintf("pipe:%d", ffmpeg.FirstPipe))
	_, err = ffmpeg.Run(ctx, ffmpeg.Job{Spec: ffmpeg.Spec{Command: w.r.FFmpeg, Args: args, Nice: niceness}, Source: in, Readers: []func(io.Reader) error{func(r io.Reader) error {
		b := bufio.NewReaderSize(r, 64<<10)
		for len(images) < most {
			image, err := nextJPEG(b)
			if err != nil || image == nil {
				return err
			}
			images = append(images, image)
		}
		return nil
	}}})
	if err != nil {
		return nil, explain("make pictures for the page", err)
	}
	return images, nil
}

// nextJPEG reads an image of several that follow each other: up to the first end-of-image marker, which nothing that is coded looks like
// (ISO/IEC 10918-1 B.1.1.2). nil at the end.
func nextJPEG(r *bufio.Reader) ([]byte, error) {
	var b []byte
	for {
		part, err := r.ReadSlice(0xD9)
		b = append(b, part...)
		switch {
		case err == bufio.ErrBufferFull:
		case err == io.EOF && len(b) == 0:
			return nil, nil
		case err == io.EOF:
			return nil, io.ErrUnexpectedEOF
		case err != nil:
			return nil, err
		case len(b) >= 2 && b[len(b)-2] == 0xFF:
			return b, nil
		}
		if len(b) > maxImage {
			return nil, fmt.Errorf("an image of more than %d bytes", maxImage)
		}
	}
}
