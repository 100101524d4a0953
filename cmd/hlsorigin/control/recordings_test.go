package control

import (
	"errors"
	"strings"
	"testing"

	"github.com/hlsorigin/hlsorigin/origin/admin/api"
	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
)

// ladder puts a ladder over live/cam into the bucket, and returns the name of its recording.
func (s *shelf) ladder() string {
	id := segmenter.NewRecordingID(s.start)
	m := m3u8.Master{Variants: []m3u8.Variant{{URI: "cam-" + string(id) + ".m3u8", Bandwidth: 1}}}
	s.put(s.stores[0], segmenter.Name{Kind: segmenter.KindArchive, App: "live", Stream: "show", Recording: id}, m.Append(nil))
	return "show-" + string(id)
}

// A rung is not removed without its ladder, which is no fault of the bucket.
func TestRecordingsKeepRungs(t *testing.T) {
	s := newShelf(t, 1)
	s.add(2, s.stores...)
	name := s.ladder()
	var failure *api.Failure
	_, err := Recordings{Libraries: s.Libraries}.Remove(t.Context(), "live", strings.Replace(name, "show", "cam", 1), true, true)
	if !errors.As(err, &failure) || failure.Kind != api.Conflict || !strings.Contains(failure.Reason, name) {
		t.Errorf("%v", err)
	}
}
