package ingest

import (
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// TestMemoryWhoCompletesNothingGoes checks that peers which complete messages are not disconnected in favour of those that do not.
func TestMemoryWhoCompletesNothingGoes(t *testing.T) {
	m := NewMemory(1000)
	var stuck [10]Message
	ended := 0
	for i := range stuck {
		if err := m.Take(&stuck[i], 100, func(err error) {
			if !errors.Is(err, ErrMemory) {
				t.Error(err)
			}
			ended++
			go m.Give(&stuck[i]) // its connection leaves
		}); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 50 { // an encoder
		var c Message
		if err := m.Take(&c, 60, func(error) { t.Error("the encoder was sent away") }); err != nil {
			t.Fatal(i, err)
		}
		if err := m.Take(&c, 30, nil); err != nil {
			t.Fatal(i, err)
		}
		if m.Used() > m.Limit() {
			t.Fatal(m.Used())
		}
		m.Give(&c)
	}
	if ended != 1 || m.Refused.Load() != 1 {
		t.Errorf("%d ended, %d counted", ended, m.Refused.Load())
	}
	if err := m.Take(&stuck[0], 1, nil); !errors.Is(err, ErrMemory) {
		t.Errorf("the one that had to go goes on: %v", err)
	}
	for i := range stuck[1:] {
		m.Give(&stuck[i+1])
	}
	if m.Used() != 0 || len(m.all) != 0 {
		t.Errorf("%d bytes are left", m.Used())
	}
}

// TestMemoryWhoAsksForAllIsRefused checks that a message larger than the whole memory is refused itself.
func TestMemoryWhoAsksForAllIsRefused(t *testing.T) {
	m := NewMemory(1000)
	var a, b Message
	ended := false
	if err := m.Take(&a, 500, func(error) { ended = true }); err != nil {
		t.Fatal(err)
	}
	if err := m.Take(&b, 1001, nil); !errors.Is(err, ErrMemory) || ended {
		t.Errorf("%v, %v", err, ended)
	}
	m.Give(&a)
	m.Give(&b)
	if m.Used() != 0 {
		t.Error(m.Used())
	}
}

// TestMemoryWaitingHasHalf checks that waiting frames leave room for messages and disconnect nobody.
func TestMemoryWaitingHasHalf(t *testing.T) {
	m := NewMemory(1000)
	if !m.Hold(500) || m.Hold(1) {
		t.Error("half is the bound")
	}
	var c Message
	if err := m.Take(&c, 500, nil); err != nil {
		t.Error(err)
	}
	m.Yield(500)
	if m.Hold(501) || !m.Hold(500) {
		t.Error("what was given back cannot be had")
	}
	m.Yield(500)
	m.Give(&c)
	if m.Used() != 0 {
		t.Error(m.Used())
	}
}

func TestMemoryWithoutABound(t *testing.T) {
	var none *Memory
	var c Message
	if !none.Hold(1<<40) || none.Take(&c, 1<<40, nil) != nil {
		t.Error("refused")
	}
	none.Yield(1 << 40)
	none.Give(&c)
	m := NewMemory(0)
	if !m.Hold(1<<40) || m.Take(&c, 1<<40, nil) != nil || m.Used() != 2<<40 {
		t.Error("refused, or not counted")
	}
}

func TestMemoryOfMany(t *testing.T) {
	m := NewMemory(10_000)
	var wait sync.WaitGroup
	for range 16 {
		wait.Go(func() {
			for range 1000 {
				var c Message
				for range 3 {
					if m.Take(&c, 300, func(error) {}) != nil {
						break
					}
				}
				m.Give(&c)
				if m.Hold(400) {
					m.Yield(400)
				}
			}
		})
	}
	wait.Wait()
	if m.Used() != 0 || m.waiting.Load() != 0 || len(m.all) != 0 {
		t.Errorf("%d and %d bytes are left", m.Used(), m.waiting.Load())
	}
}

// TestMemoryWaitsForThoseWhoGo checks that memory which is not released yet is not given away twice.
func TestMemoryWaitsForThoseWhoGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMemory(1000)
		var old, c Message
		told := false
		if err := m.Take(&old, 800, func(error) { told = true }); err != nil {
			t.Fatal(err)
		}
		taken := make(chan error, 1)
		go func() { taken <- m.Take(&c, 300, nil) }()
		synctest.Wait()
		if !told || len(taken) != 0 || m.Used() != 800 {
			t.Fatalf("told %v, %d taken, %d bytes in use", told, len(taken), m.Used())
		}
		m.Give(&old)
		if err := <-taken; err != nil || m.Used() != 300 {
			t.Errorf("%v, %d bytes in use", err, m.Used())
		}
		// A message that is never released is not waited for forever.
		var late Message
		time.Sleep(time.Minute)
		if err := m.Take(&late, 900, nil); !errors.Is(err, ErrMemory) || !c.gone {
			t.Errorf("%v", err)
		}
		m.Give(&late)
		m.Give(&c)
		if m.Used() != 0 || m.leaving != 0 {
			t.Errorf("%d bytes are left", m.Used())
		}
	})
}

// TestMemorySmallMessagesOutliveLargeOnes checks that an encoder on a slow line keeps its picture while others hold megabytes.
func TestMemorySmallMessagesOutliveLargeOnes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMemory(20 << 20)
		var picture Message
		if err := m.Take(&picture, 64<<10, func(error) { t.Error("the picture had to go") }); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Second)
		for range 100 {
			c := new(Message)
			for range 4 {
				if m.Take(c, 1<<20, func(error) { go m.Give(c) }) != nil {
					m.Give(c)
					break
				}
			}
			time.Sleep(50 * time.Millisecond)
		}
		if err := m.Take(&picture, 64<<10, nil); err != nil {
			t.Error(err)
		}
	})
}

func BenchmarkMemory(b *testing.B) {
	m := NewMemory(20 << 20)
	var c Message
	b.ReportAllocs()
	for b.Loop() {
		if err := m.Take(&c, 64<<10, nil); err != nil {
			b.Fatal(err)
		}
		m.Give(&c)
	}
}

// TestMemoryWaitEndsWithTheConnection holds that a message which waits for others does not hold up its connection's end.
func TestMemoryWaitEndsWithTheConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMemory(1000)
		quit := make(chan struct{})
		old, c := Message{}, Message{Quit: quit}
		if err := m.Take(&old, 800, func(error) {}); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		taken := make(chan error, 1)
		go func() { taken <- m.Take(&c, 300, nil) }()
		synctest.Wait()
		close(quit)
		if err := <-taken; !errors.Is(err, ErrShutdown) || time.Since(began) > 0 {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		m.Give(&old)
		m.Give(&c)
		if m.Used() != 0 || m.leaving != 0 {
			t.Errorf("%d bytes are left", m.Used())
		}
	})
}
