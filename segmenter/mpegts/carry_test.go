package mpegts

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// Both ways to carry a payload copy it, and say the same of it, wherever the pair of zeros or of 0 and 1 is.
func TestCarry(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	fill := func(p []byte) {
		for i := range p {
			p[i] = byte(r.Uint32())
		}
	}
	hold := func(name string, from [PayloadSize]byte, want bool) {
		t.Helper()
		var a, b [PayloadSize + 16]byte // nothing behind it is touched
		fill(a[PayloadSize:])
		copy(b[PayloadSize:], a[PayloadSize:])
		behind := bytes.Clone(a[PayloadSize:])
		pa, pb := carry((*[PayloadSize]byte)(a[:]), &from), carryWords((*[PayloadSize]byte)(b[:]), &from)
		if pa != want || pb != want {
			t.Errorf("%s: plain %v and %v, want %v", name, pa, pb, want)
		}
		if !bytes.Equal(a[:PayloadSize], from[:]) || a != b || !bytes.Equal(a[PayloadSize:], behind) {
			t.Errorf("%s: it was not copied as it is", name)
		}
	}
	for i := range 2000 {
		var p [PayloadSize]byte
		fill(p[:])
		want := true
		for k := 0; k < PayloadSize; k += 2 {
			if p[k] == 0 && p[k+1]&0x7E == 0 {
				want = false
			}
		}
		hold("random", p, want)
		at := i % PayloadSize
		for k := range p {
			p[k] |= 2
		}
		hold("none", p, true)
		if p[at] = 0; at+1 < PayloadSize {
			p[at+1] = 0
		}
		if at+2 < PayloadSize {
			p[at+2] = 1
		}
		hold("a start code", p, at == PayloadSize-1)
	}
	var p [PayloadSize]byte
	hold("zeros", p, false)
	for i := range p {
		p[i] = 0xFF
	}
	p[0] = 1
	hold("the end of a start code", p, true)
	p[0], p[1] = 0, 1
	hold("two thirds of a start code", p, false)
}
