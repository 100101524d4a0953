package vod

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest/codec"
	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
	"github.com/hlsorigin/hlsorigin/segmenter/mpd"
)

// groupName is the GROUP-ID of the sound.
const groupName = "audio"

// finish puts what lists the segments, and master.m3u8 last.
func (w *work) finish(ctx context.Context) (Result, error) {
	res := Result{Notes: w.plan.notes}
	var made []Made
	for _, o := range w.plan.outputs {
		if d, ok := w.done[o.name]; ok {
			made = append(made, Made{o.name, d})
			res.Duration = max(res.Duration, codec.Duration(d.Ticks))
		}
	}
	if w.r.Options.Poster || w.r.Options.Thumbnails {
		if err := w.stills(ctx, &res); err != nil {
			return res, err
		}
	}
	if err := w.playlists(ctx, made, false); err != nil {
		return res, err
	}
	if w.r.Options.CMAF {
		if err := w.playlists(ctx, made, true); err != nil {
			return res, err
		}
		if err := w.up.now(ctx, manifestName, typeDASH, w.manifest(made)); err != nil {
			return res, err
		}
		m := w.master(made, true)
		if err := w.up.now(ctx, cmafMasterName, typePlaylist, m.Append(nil)); err != nil {
			return res, err
		}
	}
	m := w.master(made, false)
	if err := w.up.now(ctx, masterName, typePlaylist, m.Append(nil)); err != nil {
		return res, err
	}
	res.Rungs, res.Objects, res.Bytes, res.Notes = made, w.up.put, w.up.total, w.plan.notes
	w.gauge.enter("finishing", 1)
	return res, nil
}

// playlists puts the media playlists, which share a target duration (RFC 8216 6.2.4).
func (w *work) playlists(ctx context.Context, made []Made, cmaf bool) error {
	lists := make([]*m3u8.Media, len(made))
	target := 0
	for i := range made {
		text := made[i].Playlist
		if cmaf {
			text = made[i].CMAF
		}
		l, err := m3u8.ParseMedia([]byte(text))
		if err != nil {
			return refuse(CodeBadRequest, "what is kept of the rung %s cannot be read: %s; begin anew", made[i].Name, err)
		}
		lists[i], target = l, max(target, l.TargetDuration)
	}
	name := streamName
	if cmaf {
		name = cmafStreamName
	}
	for i, l := range lists {
		l.TargetDuration = target
		if err := w.up.send(ctx, made[i].Name+"/"+name, typePlaylist, [][]byte{l.Append(nil)}, nil); err != nil {
			return err
		}
	}
	return w.up.wait()
}

// master is the multivariant playlist. In CMAF sound is always apart from the pictures.
func (w *work) master(made []Made, cmaf bool) *m3u8.Master {
	m := &m3u8.Master{IndependentSegments: true}
	name, apart := "/"+streamName, w.plan.apart
	if cmaf {
		name, apart = "/"+cmafStreamName, true
	}
	var sound []Made
	pictures := false
	for _, d := range made {
		if l, err := m3u8.ParseMedia([]byte(d.Playlist)); err != nil || !l.IndependentSegments {
			m.IndependentSegments = false
		}
		if d.Video == "" {
			sound = append(sound, d)
		} else {
			pictures = true
		}
	}
	group := apart && len(sound) > 0 && (pictures || len(sound) > 1)
	for _, d := range made {
		if d.Video == "" && pictures && apart || d.Video == "" && !pictures && d.Name != sound[0].Name {
			continue
		}
		v := m3u8.Variant{URI: d.Name + name, Bandwidth: d.Peak, AverageBandwidth: d.Average, Codecs: d.Video, Width: d.Width, Height: d.Height, FrameRate: d.FrameRate, VideoRange: d.Range}
		if d.Video != "" {
			v.ClosedCaptions = m3u8.NoCaptions
		}
		spoken := d.Audio
		if group {
			v.Audio = groupName
			if d.Video != "" {
				spoken = sound[0].Audio
				if d.Audio == "" { // else it is in these figures already
					v.Bandwidth, v.AverageBandwidth = v.Bandwidth+sound[0].Peak, v.AverageBandwidth+sound[0].Average
				}
			}
		}
		if spoken != "" {
			if v.Codecs != "" {
				v.Codecs += ","
			}
			v.Codecs += spoken
		}
		m.Variants = append(m.Variants, v)
	}
	if group {
		names := map[string]int{}
		for i, d := range sound {
			label := d.Title
			if label == "" {
				label = d.Language
			}
			if label == "" {
				label = "Audio " + strconv.Itoa(i+1)
			}
			if names[label]++; names[label] > 1 {
				label += " (" + strconv.Itoa(names[label]) + ")"
			}
			m.Renditions = append(m.Renditions, m3u8.Rendition{GroupID: groupName, Name: label, Language: d.Language, Default: i == 0, AutoSelect: true, URI: d.Name + name})
		}
	}
	return m
}

// manifest is the DASH manifest of the fragments.
func (w *work) manifest(made []Made) []byte {
	p := mpd.Period{ID: "0"}
	m := mpd.MPD{}
	zero := int64(0)
	for i, d := range made {
		if i == 0 || d.Video != "" && d.Start > 0 && made[0].Video == "" {
			zero = d.Start
		}
	}
	for _, d := range made {
		l, err := m3u8.ParseMedia([]byte(d.CMAF))
		if err != nil { // playlists has read it
			continue
		}
		r := mpd.Representation{
			ID: d.Name, Bandwidth: d.Peak, Init: d.Name + "/" + initName, Media: d.Name + "/segment-$Number$.m4s", Offset: zero,
		}
		at := d.Start
		for j := range l.Segments {
			s := &l.Segments[j]
			if s.Gap && len(r.Runs) == 0 { // its pictures begin later
				r.First, at = r.First+1, at+s.Duration
				continue
			}
			if s.Gap { // a time line of numbers cannot leave one out
				break
			}
			r.Runs = mpd.Add(r.Runs, at, s.Duration, 0)
			at += s.Duration
			m.Segment = max(m.Segment, codec.Duration(s.Duration))
		}
		m.Duration = max(m.Duration, codec.Duration(d.Ticks))
		sound := d.Video == ""
		if sound {
			r.Codecs, r.Rate, r.Channels = d.Audio, d.Rate, d.Channels
		} else {
			r.Codecs, r.Width, r.Height, r.FrameRate = d.Video, d.Width, d.Height, d.FrameRate
		}
		if n := len(p.Sets); !sound && n > 0 && !p.Sets[n-1].Audio {
			p.Sets[n-1].Representations = append(p.Sets[n-1].Representations, r)
			continue
		}
		p.Sets = append(p.Sets, mpd.Set{Audio: sound, Language: d.Language, Representations: []mpd.Representation{r}})
	}
	m.Periods = []mpd.Period{p}
	return m.Append(nil)
}

// clockOf is a time of a WebVTT cue.
func clockOf(d time.Duration) string {
	ms := d.Milliseconds()
	return fmt.Sprintf("%02d:%02d:%02d.%03d", ms/3_600_000, ms/60_000%60, ms/1000%60, ms%1000)
}
