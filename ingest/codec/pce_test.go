package codec

import (
	"strings"
	"testing"
)

// TestSpeakers checks that the order counts: decoders identify the speakers of a channelConfiguration by the order of elements.
func TestSpeakers(t *testing.T) {
	for layout, want := range map[speakers]int{
		{front: "1"}: 1, {front: "2"}: 2, {front: "12"}: 3, {front: "12", back: "1"}: 4, {front: "12", back: "2"}: 5, {front: "12", side: "2"}: 5,
		{front: "12", back: "2", lfe: 1}: 6, {front: "12", side: "2", lfe: 1}: 6, {front: "122", back: "2", lfe: 1}: 7,
		{}: 0, {front: "11"}: 0, {front: "21"}: 0, {front: "122"}: 0, {side: "2"}: 0, {front: "12", side: "1", back: "1"}: 0, {front: "12", side: "2", back: "2", lfe: 1}: 0,
	} {
		if got := layout.channelConfig(); got != want {
			t.Errorf("%v: channel configuration %d, want %d", layout, got, want)
		}
	}
}

// pce returns an AudioSpecificConfig of AAC-LC at 48 kHz whose channels are in a program config element. Each place lists its elements: 1
// for a single channel, 2 for a pair.
func pce(front, side, back string, lfe int) string {
	bits := "00010 0011 0000 000" + "0000 01 0011" // no channel configuration; tag, profile, rate
	number := func(n, width int) {
		for i := width - 1; i >= 0; i-- {
			bits += string('0' + rune(n>>i&1))
		}
	}
	for _, place := range []string{front, side, back} {
		number(len(place), 4)
	}
	number(lfe, 2)
	bits += "000 0000" + "1 0101" + "1 1010" + "1 011" // no data, no coupling; three mixdowns
	pairs := 0
	for _, e := range front + side + back {
		number(int(e-'1'), 1)
		number(pairs, 4)
		pairs++
	}
	for range lfe {
		number(0, 4)
	}
	bits = strings.ReplaceAll(bits, " ", "")
	bits += strings.Repeat("0", -len(bits)&7)
	hex := ""
	for ; bits != ""; bits = bits[4:] {
		n := 0
		for _, b := range bits[:4] {
			n = n<<1 | int(b-'0')
		}
		hex += string("0123456789abcdef"[n])
	}
	return hex + "00" // no comment
}
