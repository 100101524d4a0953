package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
)

// Text is a TXXX frame of an ID3 tag.
type Text struct {
	Description string `json:"description" maxLength:"1024" doc:"What the text is."`
	Value       string `json:"value" maxLength:"16384" doc:"The text."`
}

// TagPlace is where timed metadata stands in a stream.
type TagPlace struct {
	At       time.Time // on the clock of EXT-X-PROGRAM-DATE-TIME; zero where Deferred is set
	Deferred bool      // it stands where the segment Sequence begins
	Sequence uint64
}

type tagOrder struct {
	StreamPath
	Body struct {
		Text []Text `json:"text,omitempty" minItems:"1" maxItems:"64" doc:"A tag is made of it, with a TXXX frame for each."`
		ID3  []byte `json:"id3,omitempty" maxLength:"21848" doc:"A whole ID3v2.4 tag, 16 KiB at most."`
	}
}

type tagged struct {
	Body struct {
		At       *time.Time `json:"program_date_time,omitempty" doc:"When it is shown, on the clock of EXT-X-PROGRAM-DATE-TIME. Not where it is deferred."`
		Deferred bool       `json:"deferred" doc:"The stream has had no metadata yet: this is shown where the next segment begins, the first that announces metadata."`
		Sequence *uint64    `json:"sequence,omitempty" doc:"Of that segment, where it is deferred."`
	}
}

// metadata registers timed metadata.
func (a *API) metadata() {
	huma.Register(a.api, op(http.MethodPost, "/v1/streams/{app}/{stream}/metadata", "metadata", "streams", "Send timed metadata",
		"An ID3 tag in the transport stream, at the time of the next picture or sound that comes; of a ladder, in every rung and its audio-only variant at the same time. Either `text` or `id3`; 10 in a second for each stream. "+
			"From the first on the recording's segments announce metadata, so the first waits for the next segment.",
		http.StatusNotFound, http.StatusConflict, http.StatusNotImplemented, http.StatusServiceUnavailable),
		func(ctx context.Context, in *tagOrder) (*tagged, error) {
			if a.o.Streams == nil {
				return nil, missing("this server has no streams")
			}
			if (len(in.Body.Text) == 0) == (len(in.Body.ID3) == 0) {
				return nil, answered(Fail(Invalid, "the body has to have either text or id3"))
			}
			place, err := a.o.Streams.Metadata(in.App, in.Stream, in.Body.Text, in.Body.ID3)
			if err != nil {
				return nil, a.absent(ctx, &in.StreamPath, err)
			}
			out := &tagged{}
			if out.Body.Deferred = place.Deferred; place.Deferred {
				out.Body.Sequence = &place.Sequence
			} else {
				at := place.At.UTC().Truncate(time.Millisecond)
				out.Body.At = &at
			}
			return out, nil
		})
}
