package mpegts

// MaxMetadata is the longest ID3 tag that a Muxer carries, bytes.
const MaxMetadata = 16 << 10

// The descriptors of timed metadata, as Apple's "Timed Metadata for HTTP Live Streaming" has them: the metadata is ID3, and it
// is carried in this very program. They are strings so that nobody can change them.
const (
	// metadataPointer stands in the program's descriptor loop (ISO/IEC 13818-1 2.6.58).
	metadataPointer = "\x25\x0F" +
		"\xFF\xFFID3 " + // metadata_application_format and its identifier
		"\xFFID3 " + // metadata_format and its identifier
		"\x00" + // metadata_service_id
		"\x1F" + // no locator record; MPEG_carriage_flags 0: the same program stream; reserved
		"\x00\x01" // program_number
	// metadataDescriptor stands in the elementary stream's (2.6.60).
	metadataDescriptor = "\x26\x0D" +
		"\xFF\xFFID3 " +
		"\xFFID3 " +
		"\x00" + // metadata_service_id
		"\x0F" // no decoder configuration, no DSM-CC; reserved
)

// Metadata writes a whole ID3 tag to b, in a PES packet of its own, to be shown at pts: 90 kHz ticks on the time line of Video.
// It comes after the first access unit of the segment; of a program that is sound alone, the sound that gathers for the
// segment's beginning is written first. A tag that is behind the PCR gets the PCR's time. One that the program does not
// announce (see Config.ID3), or that is empty or longer than MaxMetadata, is dropped and counted.
func (m *Muxer) Metadata(b *Buffer, pts int64, tag []byte) {
	if !m.config.ID3 || len(tag) == 0 || len(tag) > MaxMetadata {
		m.stats.TagsDropped.Add(1)
		return
	}
	if m.config.Video == 0 && m.opens(b) {
		m.FlushAudio(b)
	}
	if m.clock.valid {
		pts = max(pts, m.clock.last)
	}
	m.out.start(b, &m.metadata, false, tick{})
	var head [maxPESHeader]byte
	m.out.write(appendPESHeader(head[:0], 0xBD, len(tag), pts, pts)) // private_stream_1
	m.out.write(tag)
	m.out.end()
}
