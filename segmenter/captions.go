package segmenter

import (
	"github.com/hlsorigin/hlsorigin/ingest/codec"
	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
)

// Captions is what was seen of CEA-608 and CEA-708 captions in the video of a recording.
type Captions struct {
	Sent     bool            // there are some, though they may have said nothing yet
	Channels CaptionChannels // those that have
}

// CaptionChannels are caption channels as bits.
type CaptionChannels = codec.Captions

// captionGroup is the GROUP-ID of closed captions.
const captionGroup = "cc"

// Caption says of a multivariant playlist which captions its variants have, of each in its place: those that have none say so only
// where no variant has any (rfc8216bis 4.4.6.2). Captions that have said nothing yet are taken for CC1: a player that was told that
// there are none will not look for them again.
func Caption(m *m3u8.Master, of []Captions) {
	var all Captions
	for i, c := range of {
		all.Sent, all.Channels = all.Sent || c.Sent, all.Channels|c.Channels
		if m.Variants[i].ClosedCaptions = ""; c.Sent {
			m.Variants[i].ClosedCaptions = captionGroup
		}
	}
	if !all.Sent {
		for i := range m.Variants {
			m.Variants[i].ClosedCaptions = m3u8.NoCaptions
		}
		return
	}
	if all.Channels == 0 {
		all.Channels = codec.CC1
	}
	for _, id := range all.Channels.InstreamIDs() {
		m.Captions = append(m.Captions, m3u8.Caption{GroupID: captionGroup, Name: id, InstreamID: id, AutoSelect: true})
	}
}
