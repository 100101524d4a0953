package cue

import (
	"encoding/binary"
	"hash/crc32"
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter/mpegts"
)

// splice is a splice_info_section with a splice_insert command (ANSI/SCTE 35 9.6, 9.7.3): out of the network for a planned duration, or
// back, at once. A break's two have one splice_event_id, which is made of its ID.
func splice(id string, out bool, lasts time.Duration) []byte {
	command := binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE([]byte(id)))
	command = append(command, 0x7F) // not cancelled; reserved
	flags := byte(0x5F)             // program_splice, splice_immediate; reserved
	if out {
		flags |= 0x80 | 0x20 // out_of_network_indicator, duration_flag
	}
	command = append(command, flags)
	if out {
		ticks := uint64(lasts.Seconds()*90000+0.5) & (1<<33 - 1)
		command = append(command, 0xFE|byte(ticks>>32)) // auto_return; reserved
		command = binary.BigEndian.AppendUint32(command, uint32(ticks))
	}
	command = append(command, 0, 1, 0, 0) // unique_program_id; avail 0 of 0

	s := []byte{0xFC, 0x30, 0, // table_id; no section syntax, no private data; length
		0, 0, 0, 0, 0, 0, // protocol_version; not encrypted, no pts_adjustment
		0, 0xFF, 0xF0 | byte(len(command)>>8), byte(len(command)), 5} // cw_index; tier; splice_command_length and type
	s = append(s, command...)
	s = append(s, 0, 0) // no descriptors
	binary.BigEndian.PutUint16(s[1:], 0x3000|uint16(len(s)-3+4))
	return binary.BigEndian.AppendUint32(s, mpegts.SectionCRC(s))
}
