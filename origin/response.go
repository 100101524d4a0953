package origin

import (
	"strconv"

	"github.com/hlsorigin/hlsorigin/segmenter"
)

// field is one header field; the name in the spelling that goes onto the wire.
type field struct{ name, value string }

// maxFields is more than any answer has; a test holds it.
const maxFields = 20

// response is an answer before a front-end sends it. It is made by Origin.answer, sent once, and closed once.
type response struct {
	kind   Kind
	status int
	n      int
	fields [maxFields]field

	// The body is at most one of these, from offset on, length bytes of it. Nothing is sent for HEAD.
	bytes   []byte
	segment *segmenter.Segment // retained
	object  Object
	offset  int64
	length  int64

	// hold asks the front-end to wait for a newer snapshot than this and to ask again; nothing else is set then.
	hold *segmenter.Snapshot
}

// add appends a header field.
func (r *response) add(name, value string) {
	r.fields[r.n] = field{name, value}
	r.n++
}

// header lists the fields. Date and Connection are the front-end's business.
func (r *response) header() []field { return r.fields[:r.n] }

// close gives back what the answer borrowed.
func (r *response) close() {
	if r.segment != nil {
		r.segment.Release()
		r.segment = nil
	}
	if r.object.Body != nil {
		r.object.Body.Close()
		r.object.Body = nil
	}
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

// cut finds length bytes from offset on in consecutive slices: they are slices[first:last], whose ends are cut in place.
func cut(slices [][]byte, offset, length int64) (first, last int) {
	for first < len(slices) && offset >= int64(len(slices[first])) {
		offset -= int64(len(slices[first]))
		first++
	}
	for last = first; last < len(slices) && length > 0; last++ {
		slices[last] = slices[last][offset:]
		offset = 0
		if int64(len(slices[last])) > length {
			slices[last] = slices[last][:length]
		}
		length -= int64(len(slices[last]))
	}
	return first, last
}
