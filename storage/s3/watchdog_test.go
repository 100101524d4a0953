package s3

import (
	"errors"
	"io"
	"net"
	"net/http"
	"testing"
	"time"
)

// A body does not end while a connection sends from its memory, even one that nobody reads from.
func TestEndWaitsForWhatIsLent(t *testing.T) {
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	timer := time.NewTimer(time.Hour)
	body := &requestBody{lender: chunked(make([]byte, 1<<20)), body: http.NoBody, timer: timer, stall: time.Hour}
	c := &conn{Conn: a, d: &dialer{now: time.Now}, pace: newPace(a, mostPlain, time.Now)}
	sent := make(chan error, 1)
	go func() {
		_, err := c.ReadFrom(&io.LimitedReader{R: body, N: 1 << 20})
		sent <- err
	}()
	if _, err := io.ReadFull(b, make([]byte, 1000)); err != nil { // it sends
		t.Fatal(err)
	}
	body.end()
	body.mu.Lock()
	if body.lentTo != nil {
		t.Error("the body has ended, and a connection still sends from it")
	}
	body.mu.Unlock()
	a.Close()
	if err := <-sent; err == nil {
		t.Error("all was sent")
	}
	if _, err := body.lend(a, nil, 1); !errors.Is(err, http.ErrBodyReadAfterClose) {
		t.Errorf("lent after the end: %v", err)
	}
}
