package budget

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// machine returns a machine with that much memory, in MiB, and no cgroup.
func machine(mebi int64) func(string) ([]byte, error) {
	return func(path string) ([]byte, error) {
		if path == "/proc/meminfo" {
			return fmt.Appendf(nil, "MemTotal: %d kB\n", mebi<<10), nil
		}
		return nil, errors.New("not there")
	}
}

// TestSharesFitTheBudget checks that all shares together leave the program what it needs, however little there is, and that each share gets
// something.
func TestSharesFitTheBudget(t *testing.T) {
	for _, tc := range []struct {
		memory, window, archive int64
		mebi                    int64 // of the machine
	}{
		{memory: 64 << 20}, {memory: 256 << 20}, {memory: 8 << 30}, {memory: 1 << 40},
		{mebi: 512}, {mebi: 24 << 10},
		{memory: 256 << 20, window: 100 << 20}, {memory: 256 << 20, archive: 64 << 20}, {memory: 256 << 20, window: 64 << 20, archive: 64 << 20},
	} {
		b, err := New(Settings{tc.memory, tc.window, tc.archive}, machine(tc.mebi))
		if err != nil {
			t.Errorf("%+v: %v", tc, err)
			continue
		}
		want := tc.memory
		if want == 0 {
			want = tc.mebi << 20 / 4 * 3
		}
		sum := int64(0)
		for i, n := range b.Shares {
			if sum += n; n < 1<<20 {
				t.Errorf("%+v: %s has %d bytes", tc, Share(i), n)
			}
		}
		if b.Total != want || sum > want*9/10 || b.Heap() < want/8 || b.Heap() > want {
			t.Errorf("%+v: %d of %d are shared out, the heap has %d", tc, sum, b.Total, b.Heap())
		}
		if tc.window > 0 && b.Shares[Window] != tc.window || tc.archive > 0 && b.Shares[Archive] != tc.archive {
			t.Errorf("%+v: what is set is not kept: %v", tc, b.Shares)
		}
		if n := b.ViewerConnections(20000, true); n < 16 || n > 16 && int64(n)*SecureViewerCost > b.Shares[Viewers] {
			t.Errorf("%+v: %d viewers over TLS", tc, n)
		}
		if n := b.ViewerConnections(20000, false); n < 16 || int64(n)*ViewerCost > b.Shares[Viewers] {
			t.Errorf("%+v: %d viewers", tc, n)
		}
		if n := b.PublisherConnections(1000, 4, true); n < 16 || int64(n)*4*SecurePublisherCost > max(64*SecurePublisherCost, b.Shares[Publishers]/2) {
			t.Errorf("%+v: %d publishers over TLS", tc, n)
		}
		if small := want < plenty; small != (b.Unsent() > 0) {
			t.Errorf("%+v: the kernel may keep %d bytes for each viewer", tc, b.Unsent())
		}
		if n := b.PublisherConnections(1000, 4, false); n < 16 || int64(n)*4*PublisherCost > max(64*PublisherCost, b.Shares[Publishers]/2) {
			t.Errorf("%+v: %d publishers", tc, n)
		}
	}
}

func TestSharesThatLeaveTooLittle(t *testing.T) {
	if _, err := New(Settings{Total: 256 << 20, Window: 250 << 20}, machine(0)); err == nil || !strings.Contains(err.Error(), "hls.memory (250.0 MiB)") {
		t.Error(err)
	}
}

func TestSharesWhereNothingIsKnown(t *testing.T) {
	b, err := New(Settings{}, machine(0))
	if err != nil || b.Total != 0 || b.Heap() != 0 || b.Segments() != 0 || b.Shares[Window] != 0 || b.Shares[Publishers] == 0 {
		t.Errorf("%+v, %v", b, err)
	}
}
