package notices

import (
	"context"
	"fmt"
	"testing"

	"go.uber.org/goleak"

	"github.com/hlsorigin/hlsorigin/storage/mirror"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Thousands are told of at once, while nobody takes any, and more while they are taken: all are done, in their order.
func TestNoneIsDropped(t *testing.T) {
	const before, meanwhile = 5000, 500
	q := New()
	add := func(n int) {
		q.Add(mirror.Notice{Kind: mirror.StoodDown, Node: fmt.Sprint(n)})
	}
	for n := range before {
		add(n)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done, next := make(chan error, 1), 0
	go func() {
		done <- q.Run(ctx, func(_ context.Context, n mirror.Notice) {
			if n.Node != fmt.Sprint(next) {
				t.Errorf("%s, want %d", n.Node, next)
			}
			if next < meanwhile {
				add(before + next)
			}
			if next++; next == before+meanwhile {
				cancel()
			}
		})
	}()
	if err := <-done; err != nil || next != before+meanwhile {
		t.Errorf("%d of %d, %v", next, before+meanwhile, err)
	}
}
