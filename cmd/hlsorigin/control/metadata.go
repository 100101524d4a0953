package control

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/hlsorigin/hlsorigin/origin/admin/api"
	"github.com/hlsorigin/hlsorigin/segmenter/id3"
)

// metadata makes the call send timed metadata.
func (c *Call) metadata(f Flags) error {
	c.path, c.show = c.path+"/metadata", showMetadata
	if (len(f.Text) == 0) == (f.ID3 == nil) {
		return errors.New("ctl metadata: either -text or -id3 says what is sent")
	}
	if f.ID3 != nil {
		c.body = map[string][]byte{"id3": f.ID3}
		return nil
	}
	texts := make([]api.Text, len(f.Text))
	for i, s := range f.Text {
		description, value, ok := strings.Cut(s, "=")
		if !ok {
			return fmt.Errorf("ctl metadata: -text %q is no DESCRIPTION=VALUE", s)
		}
		texts[i] = api.Text{Description: description, Value: value}
	}
	c.body = map[string][]api.Text{"text": texts}
	return nil
}

// ReadTag reads a file that is to be sent as timed metadata.
func ReadTag(name string) ([]byte, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	tag, err := io.ReadAll(io.LimitReader(file, id3.MaxTag+1))
	switch {
	case err != nil:
		return nil, err
	case len(tag) > id3.MaxTag:
		return nil, fmt.Errorf("%s has more than %d bytes", name, id3.MaxTag)
	}
	if err := id3.Check(tag); err != nil {
		return nil, fmt.Errorf("%s is no ID3 tag that can be sent: %w", name, err)
	}
	return tag, nil
}

func showMetadata(out io.Writer, answer []byte) error {
	var m struct {
		At       time.Time `json:"program_date_time"`
		Deferred bool
		Sequence uint64
	}
	if err := json.Unmarshal(answer, &m); err != nil {
		return err
	}
	if m.Deferred {
		return saying(fmt.Sprintf("it is shown where segment %d begins, the first that announces metadata", m.Sequence))(out, nil)
	}
	return saying("it is shown at "+m.At.UTC().Format(timeForm))(out, nil)
}
