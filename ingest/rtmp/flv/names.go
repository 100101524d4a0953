package flv

import "github.com/hlsorigin/hlsorigin/ingest"

// videoFourCC returns the codec of a fourcc, or 0 for one that is not carried.
func videoFourCC(b []byte) ingest.Codec {
	switch string(b) {
	case "avc1":
		return ingest.H264
	case "hvc1":
		return ingest.H265
	}
	return 0
}

// audioFourCC returns the codec of a fourcc, or 0 for one that is not carried.
func audioFourCC(b []byte) ingest.Codec {
	switch string(b) {
	case "mp4a":
		return ingest.AAC
	case ".mp3":
		return ingest.MP3
	}
	return 0
}

func legacyVideo(codec byte) string {
	switch codec {
	case 1:
		return "JPEG"
	case 2:
		return "Sorenson H.263"
	case 3, 6:
		return "screen"
	case 4, 5:
		return "VP6"
	case 8:
		return "H.263"
	case 9:
		return "MPEG-4 part 2"
	case 13:
		return "AV1"
	}
	return "this kind of"
}

func legacyAudio(format byte) string {
	switch format {
	case 0, 3:
		return "PCM"
	case 1:
		return "ADPCM"
	case 4, 5, 6:
		return "Nellymoser"
	case 7, 8:
		return "G.711"
	case 11:
		return "Speex"
	case 13:
		return "Opus"
	}
	return "this kind of"
}

func fourccName(b []byte) string {
	switch s := string(b); s {
	case "av01":
		return "AV1"
	case "vp08":
		return "VP8"
	case "vp09":
		return "VP9"
	case "vvc1":
		return "H.266"
	case "Opus":
		return "Opus"
	case "ac-3":
		return "AC-3"
	case "ec-3":
		return "E-AC-3"
	case "fLaC":
		return "FLAC"
	}
	for _, c := range b {
		if c < '0' || c > 'z' {
			return "this kind of"
		}
	}
	return "\"" + string(b) + "\""
}
