package part

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hlsorigin/hlsorigin/configs"
)

// journal is what parts did, in order.
type journal []string

func (j *journal) part(name string, failure error) Part {
	return Part{
		Name: name, Within: time.Second,
		Start: func() error {
			*j = append(*j, "start "+name)
			return failure
		},
		Stop: func(context.Context) error {
			*j = append(*j, "stop "+name)
			return nil
		},
		Prepare: func(context.Context, *configs.Update) (func(), error) {
			*j = append(*j, "prepare "+name)
			return func() { *j = append(*j, "commit "+name) }, failure
		},
	}
}

func (j *journal) is(t *testing.T, want ...string) {
	t.Helper()
	if !slices.Equal(*j, want) {
		t.Errorf("%q, not %q", *j, want)
	}
	*j = nil
}

func TestPartsInTheirOrder(t *testing.T) {
	var j journal
	log := slog.New(slog.DiscardHandler)
	parts := List{j.part("a", nil), {Name: "nothing"}, j.part("b", nil)}
	if err := parts.Start(log); err != nil {
		t.Fatal(err)
	}
	j.is(t, "start a", "start b")
	commit, err := parts.Prepare(t.Context(), &configs.Update{})
	if err != nil {
		t.Fatal(err)
	}
	j.is(t, "prepare a", "prepare b")
	commit()
	j.is(t, "commit a", "commit b")
	if err := parts.Stop(log); err != nil {
		t.Fatal(err)
	}
	j.is(t, "stop b", "stop a")
}

// A part that fails to start stops those before it; one that refuses settings leaves all parts as they are.
func TestPartsThatFail(t *testing.T) {
	var j journal
	log, broken := slog.New(slog.DiscardHandler), errors.New("broken")
	parts := List{j.part("a", nil), j.part("b", nil), j.part("c", broken), j.part("d", nil)}
	if err := parts.Start(log); !errors.Is(err, broken) {
		t.Errorf("%v", err)
	}
	j.is(t, "start a", "start b", "start c", "stop b", "stop a")
	if commit, err := parts.Prepare(t.Context(), &configs.Update{}); !errors.Is(err, broken) || commit != nil {
		t.Errorf("%v, and there is something to commit: %v", err, commit != nil)
	}
	j.is(t, "prepare a", "prepare b", "prepare c")
}

// Each part has its own time to stop, and a late one delays no other.
func TestPartsStopWithinTheirTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var j journal
		late := func(ctx context.Context) error {
			<-ctx.Done()
			return errors.New("late")
		}
		parts := List{j.part("a", nil), {Name: "b", Stop: late, Within: 3 * time.Second}, {Name: "c", Stop: late, Within: time.Minute}}
		began := time.Now()
		err := parts.Stop(slog.New(slog.DiscardHandler))
		if took := time.Since(began); took != 63*time.Second {
			t.Errorf("took %v", took)
		}
		if err == nil || !strings.Contains(err.Error(), "stopping b: late") || !strings.Contains(err.Error(), "stopping c: late") {
			t.Errorf("%v", err)
		}
		j.is(t, "stop a")
	})
}
