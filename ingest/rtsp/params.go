package rtsp

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"github.com/hlsorigin/hlsorigin/ingest/codec"
)

// maxFieldBits bounds the fields of an AU header. The library's decoder would read a length of 64 bits or more as negative.
const maxFieldBits = 32

// maxConfig bounds an AudioSpecificConfig or StreamMuxConfig in an SDP, in bytes.
const maxConfig = 128

// parameterSets reads lists of parameter sets in the form of sprop-parameter-sets (RFC 6184 8.1) and sprop-vps, -sps and -pps (RFC 7798
// 7.1). Encoders omit the padding, add blanks and commas, prepend start codes, or write hex. What is not a parameter set is dropped: the
// sets come in band, too.
func parameterSets(c codec.Codec, lists ...string) (v codec.Video) {
	v.Codec = c
	for _, list := range lists {
		for text := range strings.SplitSeq(list, ",") {
			b := decodeSet(c, strings.TrimSpace(text))
			switch c.NAL(b) {
			case codec.KindVPS:
				v.VPS = append(v.VPS, b)
			case codec.KindSPS:
				v.SPS = append(v.SPS, b)
			case codec.KindPPS:
				v.PPS = append(v.PPS, b)
			}
		}
	}
	return v
}

// decodeSet reads one set, or returns nil if there is none.
func decodeSet(c codec.Codec, text string) []byte {
	for _, decode := range []func(string) ([]byte, error){
		func(s string) ([]byte, error) { return base64.RawStdEncoding.DecodeString(strings.TrimRight(s, "=")) },
		hex.DecodeString, // all hex digits are valid base64, too
	} {
		b, err := decode(text)
		if err != nil {
			continue
		}
		if b = b[codec.StartCode(b):]; c.NAL(b).Set() != 0 {
			return b
		}
	}
	return nil
}

// config reads the hex digits of a config parameter (RFC 3640 4.1, RFC 6416 7.3), or returns nil.
func config(params map[string]string) []byte {
	b, err := hex.DecodeString(strings.Trim(params["config"], `"`))
	if err != nil || len(b) == 0 || len(b) > maxConfig {
		return nil
	}
	return b
}

// number returns a parameter that should be a number from 0, or 0 if it is missing or not a number.
func number(params map[string]string, key string) int {
	n, err := strconv.ParseUint(params[key], 10, 31)
	if err != nil {
		return 0
	}
	return int(n)
}

// auHeader holds the sizes of the fields of an AU header, in bits (RFC 3640 3.2.1).
type auHeader struct{ size, index, delta int }

// readAUHeader reads the sizes from the parameters of RFC 3640 4.1. Missing ones follow from the mode; an encoder that names no mode means
// AAC-hbr.
func readAUHeader(params map[string]string) (h auHeader, err error) {
	usual := auHeader{13, 3, 3}
	if mode := strings.ReplaceAll(strings.ToLower(params["mode"]), "_", "-"); mode == "aac-lbr" {
		usual = auHeader{6, 2, 2}
	}
	field := func(key string, usual int) int {
		if _, ok := params[key]; !ok {
			return usual
		}
		n := number(params, key)
		if n > maxFieldBits {
			err = &codec.Unsupported{What: fmt.Sprintf("an AU header with %s=%d", key, n), Do: fmt.Sprintf("set it to %d", usual)}
		}
		return n
	}
	h = auHeader{field("sizelength", usual.size), field("indexlength", usual.index), field("indexdeltalength", usual.delta)}
	for _, key := range []string{"ctsdeltalength", "dtsdeltalength", "randomaccessindication", "streamstateindication", "auxiliarydatasizelength"} {
		if n := number(params, key); n > 0 && err == nil {
			err = &codec.Unsupported{What: fmt.Sprintf("an AU header with %s=%d", key, n), Do: "set the packetizer to mode AAC-hbr"}
		}
	}
	if h.size == 0 && err == nil {
		err = &codec.Unsupported{What: "RTP without the sizes of access units (sizelength=0)", Do: "set the packetizer to mode AAC-hbr"}
	}
	return h, err
}
