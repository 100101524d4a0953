package codec

// ADTSSize is the length in bytes of an ADTS header without a checksum (ISO/IEC 14496-3 1.A.3.2).
const ADTSSize = 7

// ADTS returns the header of a frame with this configuration, with length 0. See AppendADTS.
func (c AACConfig) ADTS() [ADTSSize]byte {
	return [ADTSSize]byte{
		0xFF, 0xF1, // MPEG-4, no CRC
		byte(c.Object-1)<<6 | byte(c.RateIndex)<<2 | byte(c.ChannelConfig>>2),
		byte(c.ChannelConfig&3) << 6,
		0, 0x1F, 0xFC, // buffer fullness 0x7FF: variable rate; one raw block
	}
}

// AppendADTS appends a header made by ADTS for a raw frame of size bytes, at most MaxAACFrame.
func AppendADTS(dst []byte, header [ADTSSize]byte, size int) []byte {
	n := size + ADTSSize
	header[3] |= byte(n >> 11)
	header[4] = byte(n >> 3)
	header[5] |= byte(n << 5)
	return append(dst, header[:]...)
}

// ParseADTS reads the header of the ADTS frame at the start of b. It returns the configuration and the raw frame behind the header. ok is
// false unless b begins with a complete ADTS frame of one supported raw block.
func ParseADTS(b []byte) (c AACConfig, frame []byte, ok bool) {
	if len(b) < ADTSSize || b[0] != 0xFF || b[1]&0xF6 != 0xF0 {
		return c, nil, false
	}
	header := ADTSSize
	if b[1]&1 == 0 { // with a CRC
		header += 2
	}
	size := int(b[3]&3)<<11 | int(b[4])<<3 | int(b[5])>>5
	index := int(b[2] >> 2 & 15)
	c = AACConfig{Object: int(b[2]>>6) + 1, RateIndex: index, ChannelConfig: int(b[2]&1)<<2 | int(b[3]>>6)}
	if size < header || size > len(b) || index >= len(aacRates) || c.ChannelConfig == 0 || b[6]&3 != 0 {
		return c, nil, false
	}
	c.Announced, c.Rate, c.Channels = c.Object, aacRates[index], aacChannels(c.ChannelConfig)
	return c, b[header:size:size], true
}
