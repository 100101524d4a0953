package vod

import (
	"context"
	"encoding/json"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/hlsorigin/hlsorigin/ingest/ffmpeg"
	"github.com/hlsorigin/hlsorigin/ingest/file"
)

// source is what ffprobe says of a file.
type source struct {
	container file.Container
	seconds   float64 // 0: not known
	video     *videoTrack
	audio     []audioTrack // the one to be chosen by default first
	others    []string     // what else there is: "subrip subtitles"
}

type videoTrack struct {
	index         int
	codec         string
	width, height int // as it is shown: upright, in square pixels
	odd           bool
	rotation      int // degrees clockwise, as it is stored to be turned
	stretched     bool
	rate, average float64 // pictures per second; 0: not known
	rational      string  // rate as it was said: "30000/1001"
	transfer      string
	depth         int
	interlaced    bool
}

type audioTrack struct {
	index           int
	codec           string
	channels        int
	rate            int
	language, title string
}

// maxProbe bounds what ffprobe may say, bytes.
const maxProbe = 8 << 20

// probe asks ffprobe.
func probe(ctx context.Context, command string, in *ffmpeg.Shared, c file.Container) (*source, error) {
	var out []byte
	args := append([]string{"-hide_banner", "-loglevel", "error"}, inputArgs(in, c)...)
	args = append(args, "-of", "json", "-show_format", "-show_streams", "-show_programs")
	_, err := ffmpeg.Run(ctx, ffmpeg.Job{Spec: ffmpeg.Spec{Command: command, Args: args, Nice: niceness}, Source: in, Stdout: func(r io.Reader) (err error) {
		out, err = io.ReadAll(io.LimitReader(r, maxProbe))
		return err
	}})
	if err != nil {
		return nil, explain("probe the file", err)
	}
	var p probed
	if err := json.Unmarshal(out, &p); err != nil {
		return nil, refuse(CodeDamaged, "ffprobe says nothing of the file that can be understood: it is damaged, or no media")
	}
	s := p.source()
	s.container = c
	if start := number(p.Format.Start); c == "matroska" && start < s.seconds { // it says when its media end
		s.seconds -= start
	}
	return s, nil
}

// inputArgs are what both programs need to read a file: its container is known, and no other file is followed.
func inputArgs(in *ffmpeg.Shared, c file.Container) []string {
	return []string{"-protocol_whitelist", ffmpeg.Protocols, "-f", string(c), "-i", in.URL()}
}

// probed is ffprobe's answer.
type probed struct {
	Streams []struct {
		Index       int               `json:"index"`
		Type        string            `json:"codec_type"`
		Codec       string            `json:"codec_name"`
		Tag         string            `json:"codec_tag_string"`
		Width       int               `json:"width"`
		Height      int               `json:"height"`
		SAR         string            `json:"sample_aspect_ratio"`
		Rate        string            `json:"r_frame_rate"`
		Average     string            `json:"avg_frame_rate"`
		Duration    string            `json:"duration"`
		Transfer    string            `json:"color_transfer"`
		PixFmt      string            `json:"pix_fmt"`
		FieldOrder  string            `json:"field_order"`
		Channels    int               `json:"channels"`
		SampleRate  string            `json:"sample_rate"`
		Tags        map[string]string `json:"tags"`
		Disposition map[string]int    `json:"disposition"`
		SideData    []struct {
			Rotation json.Number `json:"rotation"`
		} `json:"side_data_list"`
	} `json:"streams"`
	Programs []struct {
		Streams []struct {
			Index int `json:"index"`
		} `json:"streams"`
	} `json:"programs"`
	Format struct {
		Start    string `json:"start_time"`
		Duration string `json:"duration"`
	} `json:"format"`
}

// together reports whether two streams are of one programme, or of none.
func (p *probed) together(a, b int) bool {
	of := func(index int) int {
		for i := range p.Programs {
			for _, s := range p.Programs[i].Streams {
				if s.Index == index {
					return i
				}
			}
		}
		return -1
	}
	return of(a) == of(b)
}

func (p *probed) source() *source {
	s := &source{seconds: number(p.Format.Duration)}
	standard := -1 // place in s.audio of the one that says that it is the default
	for i := range p.Streams {
		x := &p.Streams[i]
		switch {
		case x.Type == "video" && x.Disposition["attached_pic"] == 0 && x.Disposition["timed_thumbnails"] == 0 && s.video == nil && x.Width > 0 && x.Height > 0:
			v := &videoTrack{index: x.Index, codec: x.Codec, width: x.Width, height: x.Height, transfer: x.Transfer, rational: x.Rate, depth: 8}
			v.rate, v.average = rational(x.Rate), rational(x.Average)
			v.odd = x.Width%2 != 0 || x.Height%2 != 0
			v.interlaced = slices.Contains([]string{"tt", "bb", "tb", "bt"}, x.FieldOrder)
			for _, d := range []string{"10", "12", "14", "16"} {
				if strings.Contains(x.PixFmt, "p"+d) {
					v.depth, _ = strconv.Atoi(d)
				}
			}
			if w, h, ok := strings.Cut(x.SAR, ":"); ok {
				if a, b := number(w), number(h); a > 0 && b > 0 && a != b && a/b < 8 && b/a < 8 {
					v.width, v.stretched = max(int(math.Round(float64(v.width)*a/b)), 1), true
				}
			}
			for _, d := range x.SideData {
				if r, err := d.Rotation.Float64(); err == nil {
					v.rotation = (int(math.Round(-r/90))*90%360 + 360) % 360
				}
			}
			if v.rotation%180 == 90 {
				v.width, v.height = v.height, v.width
			}
			s.video = v
		case x.Type == "audio" && x.Codec != "" && x.Channels > 0:
			a := audioTrack{index: x.Index, codec: x.Codec, channels: x.Channels, rate: int(number(x.SampleRate)), language: language(x.Tags["language"]), title: x.Tags["title"]}
			if x.Disposition["default"] == 1 && standard < 0 {
				standard = len(s.audio)
			}
			s.audio = append(s.audio, a)
		case x.Type == "audio":
			s.others = append(s.others, "a sound track that ffmpeg does not know ("+clean(x.Tag)+")")
		case x.Type == "subtitle":
			s.others = append(s.others, "subtitles ("+clean(x.Codec)+")")
		}
		if s.seconds == 0 {
			s.seconds = number(x.Duration)
		}
	}
	if v := s.video; v != nil { // a multiplex carries the sound of other pictures too
		before := len(s.audio)
		var first *audioTrack
		if standard >= 0 {
			first = &s.audio[standard]
		}
		kept := slices.DeleteFunc(slices.Clone(s.audio), func(a audioTrack) bool { return !p.together(v.index, a.index) })
		if n := before - len(kept); n > 0 {
			s.others = append(s.others, strconv.Itoa(n)+" sound tracks of other programmes")
		}
		if standard = -1; first != nil {
			standard = slices.IndexFunc(kept, func(a audioTrack) bool { return a.index == first.index })
		}
		s.audio = kept
	}
	if standard > 0 {
		a := s.audio[standard]
		s.audio = slices.Insert(slices.Delete(s.audio, standard, standard+1), 0, a)
	}
	return s
}

// number is a decimal number; 0 where it is none.
func number(s string) float64 {
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsNaN(f) || math.IsInf(f, 0) || f < 0 {
		return 0
	}
	return f
}

// rational is a/b; 0 where it is none.
func rational(s string) float64 {
	a, b, _ := strings.Cut(s, "/")
	if d := number(b); d > 0 {
		return number(a) / d
	}
	return number(a)
}

// language is a code of ISO 639, or nothing.
func language(s string) string {
	if len(s) < 2 || len(s) > 8 || s == "und" {
		return ""
	}
	for _, c := range s {
		if c != '-' && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
			return ""
		}
	}
	return s
}

// clean is a text of the file's, fit for a message or a playlist: short, and of printable characters.
func clean(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == '"' || r == 0x7F || !strconv.IsPrint(r) {
			return -1
		}
		return r
	}, s)
	if r := []rune(s); len(r) > 64 {
		s = string(r[:64])
	}
	return strings.TrimSpace(s)
}
