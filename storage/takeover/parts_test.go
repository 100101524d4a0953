package takeover

import (
	"fmt"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/storage"
)

// PART-TARGET is found where the low-latency playlist has it, and learned anew where what stands there is none.
func TestPartTarget(t *testing.T) {
	live := list(3, 10, 99, "").Append(nil)
	for text, want := range map[string]int{
		string(WithPartTarget(live, 90_000)):                      90_000,
		string(WithPartTarget(live, 36_036)):                      36_036,
		string(live):                                              0,
		string(live) + partMark + "-5\n":                          0,
		string(live) + partMark + "1e9\n":                         0,
		string(live) + partMark + fmt.Sprint(uint64(1)<<40, "\n"): 0,
		"": 0,
	} {
		b := fill(t, 0, 3, 10, 10, 99)
		b.put(segmenter.Name{Kind: segmenter.KindLowLatency, Recording: id}, []byte(text), storage.Attributes{})
		f, err := Gather(t.Context(), b, cam, id, began.Add(time.Minute))
		if err != nil {
			t.Fatal(err)
		}
		if got := f.State.Meta.PartTarget; got != want {
			t.Errorf("%d ticks, want %d, of\n%s", got, want, text)
		}
	}
}
