package codec

import (
	"encoding/hex"
	"strings"
	"testing"
	"unsafe"
)

// unhex decodes a hexadecimal text; spaces are ignored.
func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// inside reports whether part lies in whole, and cannot be appended to within it.
func inside(whole, part []byte) bool {
	if len(part) == 0 {
		return true
	}
	if len(whole) == 0 || cap(part) != len(part) {
		return false
	}
	from, at := uintptr(unsafe.Pointer(&whole[0])), uintptr(unsafe.Pointer(&part[0]))
	return from <= at && at+uintptr(len(part)) <= from+uintptr(len(whole))
}

// Parameter sets as written by x264 and x265.
const (
	sps720p   = "6764001facd9405005bb011000003e90000ea600f1831960"                                             // High, 1280x720, 30000/1001, B-frames
	sps108p   = "6742c00bd9030ffbc044000003000400000300c83c50a920"                                             // Baseline, 192x108, 25
	sps1080i  = "67640028acd94078044fde0220000003002000000643e2c5b2c0"                                         // High, 1920x1080 in fields, 25
	spsIntra  = "676e100aa6cb884d80880000030008000003019020"                                                   // High 10 Intra, 64x64, 25
	spsPQ     = "676e1015a6cb82833f3e02d42440250000030001000003006404"                                         // High 10 Intra, 320x180, 50, SMPTE ST 2084
	pps264    = "68ebe3cb22c0"                                                                                 //
	vps265    = "40010c01ffff01600000030090000003000003001e959409"                                             //
	sps265    = "42010101600000030090000003000003001ea0182071f796565924caf0168080000003008000000c84"           // Main, 192x108, 25, B-pyramid
	pps265    = "4401c172b46240"                                                                               //
	vps265HLG = "40010c01ffff022000000300900000030000030078959809"                                             //
	sps265HLG = "420101022000000300900000030000030078a00280802d1365959a4932bc05a84890482000007d20001d4c01"     // Main 10, 1280x720, 60000/1001
	sps265PQ  = "420101222000000300900000030000030099a001e020021c4d965654a4c2f016a122012080000003008000001904" // Main 10, High tier, 3840x2160, 50
	sps265P   = "42010101600000030090000003000003007ba003c08010e5964a924caf0168080000030008000003019040"       // Main, 1920x1080, 50, without B-frames
)
