package vod

import (
	"slices"
	"testing"
)

func TestRemuxOfMP4(t *testing.T) {
	path := create(t, "a film.mp4", join(pictures("320x180", "25", "20"), tones("20"), h264, []string{"-c:a", "aac", "-shortest"})...)
	out, res := pack(t, path, Remux, Options{})
	if len(res.Notes) > 0 || len(res.Rungs) != 2 || res.Rungs[0].Name != "180p" || res.Rungs[0].Segments != 4 {
		t.Errorf("%+v", res)
	}
	if last := out.order[len(out.order)-1]; last != "master.m3u8" {
		t.Errorf("%s was put last", last)
	}
	dir := out.save(t)
	if got := run(t, "ffprobe", "-v", "warning", "-select_streams", "v", "-count_packets", "-show_entries", "stream=nb_read_packets", "-of", "csv=p=0", dir+"/180p/stream.m3u8"); !slices.Contains([]string{"500\n"}, got[:min(4, len(got))]) {
		t.Errorf("%q pictures", got)
	}
}
