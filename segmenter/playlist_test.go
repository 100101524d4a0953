package segmenter

import (
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
)

func TestList(t *testing.T) {
	begun := time.Date(2023, 8, 24, 16, 2, 52, 970e6, time.UTC)
	rows := []Row{
		{Sequence: 7, Start: begun, Duration: 2 * Clock, Size: 188, CRC32C: 0xabc, Independent: true, DiscontinuitySequence: 3},
		{Sequence: 8, Start: begun.Add(2 * time.Second), Duration: 2 * Clock, Size: 376, CRC32C: 1, Discontinuity: true, DiscontinuitySequence: 3},
		{Sequence: 9, Start: begun.Add(4 * time.Second), Duration: 2 * Clock, Gap: true, DiscontinuitySequence: 4},
	}
	const head = "#EXTM3U\n#EXT-X-VERSION:"
	for name, c := range map[string]struct {
		list List
		rows []Row
		want string
	}{
		"live": {List{TargetDuration: 2}, rows[:1], head + `6
#EXT-X-INDEPENDENT-SEGMENTS
#EXT-X-TARGETDURATION:2
#EXT-X-MEDIA-SEQUENCE:7
#EXT-X-DISCONTINUITY-SEQUENCE:3
#EXT-X-PROGRAM-DATE-TIME:2023-08-24T16:02:52.970Z
#EXTINF:2.000,
000000007.ts
`},
		"timestamped": {List{Type: m3u8.VOD, TargetDuration: 2, EndList: true, Dir: "cam/x/", Sums: true}, rows[1:], head + `8
#EXT-X-TARGETDURATION:2
#EXT-X-MEDIA-SEQUENCE:8
#EXT-X-DISCONTINUITY-SEQUENCE:3
#EXT-X-PLAYLIST-TYPE:VOD
#EXT-X-DISCONTINUITY
#EXT-X-PROGRAM-DATE-TIME:2023-08-24T16:02:54.970Z
#EXTINF:2.000,
# bytes crc32c: 376 00000001
cam/x/000000008.ts
#EXT-X-PROGRAM-DATE-TIME:2023-08-24T16:02:56.970Z
#EXT-X-GAP
#EXTINF:2.000,
cam/x/000000009.ts
#EXT-X-ENDLIST
`},
		"lost for some": {List{TargetDuration: 2, Sums: true, Lost: func(i int) bool { return i == 1 }}, rows[:2], head + `8
#EXT-X-INDEPENDENT-SEGMENTS
#EXT-X-TARGETDURATION:2
#EXT-X-MEDIA-SEQUENCE:7
#EXT-X-DISCONTINUITY-SEQUENCE:3
#EXT-X-PROGRAM-DATE-TIME:2023-08-24T16:02:52.970Z
#EXTINF:2.000,
# bytes crc32c: 188 00000abc
000000007.ts
#EXT-X-DISCONTINUITY
#EXT-X-PROGRAM-DATE-TIME:2023-08-24T16:02:54.970Z
#EXT-X-GAP
#EXTINF:2.000,
000000008.ts
`},
	} {
		if got := string(c.list.Append(nil, c.rows)); got != c.want {
			t.Errorf("%s:\n%s\nwant\n%s", name, got, c.want)
		}
	}
}
