package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/hlsorigin/hlsorigin/storage/library"
)

// progressBar shows how far a long act is: a bar that is redrawn on a terminal, a line now and then elsewhere.
type progressBar struct {
	w        io.Writer
	terminal bool
	last     time.Time
	drawn    bool
}

// How often progress is shown.
const (
	barInterval  = 100 * time.Millisecond
	lineInterval = 5 * time.Second
	barWidth     = 30 // characters
)

func newProgressBar(w io.Writer) *progressBar {
	b := &progressBar{w: w, last: time.Now()}
	if f, ok := w.(*os.File); ok {
		info, err := f.Stat()
		b.terminal = err == nil && info.Mode()&os.ModeCharDevice != 0
	}
	return b
}

// show is called by one goroutine at a time.
func (b *progressBar) show(p library.Progress) {
	interval := lineInterval
	if b.terminal {
		interval = barInterval
	}
	if time.Since(b.last) < interval {
		return
	}
	b.last = time.Now()
	count := fmt.Sprintf("%d", p.Done)
	if p.Total > 0 {
		count = fmt.Sprintf("%d of %d", p.Done, p.Total)
	}
	if !b.terminal {
		fmt.Fprintf(b.w, "%s: %s, %s\n", p.Act, count, size(p.Bytes))
		return
	}
	bar := ""
	if p.Total > 0 {
		n := min(barWidth, barWidth*p.Done/p.Total)
		bar = "[" + strings.Repeat("=", n) + strings.Repeat(" ", barWidth-n) + "] "
	}
	fmt.Fprintf(b.w, "\r\033[K%s %s%s, %s", p.Act, bar, count, size(p.Bytes))
	b.drawn = true
}

// clear takes the bar off the screen, before something else is printed.
func (b *progressBar) clear() {
	if b.drawn {
		fmt.Fprint(b.w, "\r\033[K")
		b.drawn = false
	}
}
