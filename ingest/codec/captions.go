package codec

import "strconv"

// Captions are the caption channels that carried something, as bits: CC1 to CC4 of CEA-608, and services 1 to 16 of CEA-708, which are
// all that a decoder has to know. None of them may be set where captions are sent that say nothing yet.
type Captions uint32

// The channels of CEA-608. Service n of CEA-708 is CC4<<n.
const (
	CC1 Captions = 1 << iota
	CC2
	CC3
	CC4
)

const maxService = 16

// InstreamIDs returns the channels as INSTREAM-ID names them (rfc8216bis 4.4.6.1).
func (c Captions) InstreamIDs() (ids []string) {
	for i := range 4 {
		if c&(CC1<<i) != 0 {
			ids = append(ids, "CC"+strconv.Itoa(i+1))
		}
	}
	for n := 1; n <= maxService; n++ {
		if c&(CC4<<n) != 0 {
			ids = append(ids, "SERVICE"+strconv.Itoa(n))
		}
	}
	return ids
}

// The user data of captions: what it begins with, and the most that can follow (ATSC A/53 part 4, 6.2.3): flags, one reserved byte, and
// triplets.
const (
	captionsPrefix = "\xB5\x00\x31GA94\x03"
	maxTriplets    = 31
	maxCaptions    = len(captionsPrefix) + 2 + 3*maxTriplets
)

// isCaptions reports whether registered user data begins like CEA-608 or CEA-708 captions (ATSC A/53 part 4, 6.2.2 and 6.2.3): country and
// provider code, "GA94", and the user_data_type_code of cc_data.
func isCaptions(b []byte) bool {
	return len(b) >= len(captionsPrefix) && string(b[:len(captionsPrefix)]) == captionsPrefix
}

// captions reads the cc_data of user data that isCaptions (CEA-708 4.4).
func captions(b []byte) (c Captions) {
	b = b[len(captionsPrefix):]
	if len(b) < 2 || b[0]&0x40 == 0 { // process_cc_data_flag
		return 0
	}
	count := int(b[0] & 0x1F)
	var packet [2 * maxTriplets]byte // of CEA-708, as far as it is in this picture
	n := 0
	for b = b[2:]; count > 0 && len(b) >= 3; b, count = b[3:], count-1 {
		if b[0]&4 == 0 { // cc_valid
			continue
		}
		switch b[0] & 3 { // cc_type
		case 0:
			c |= line21(b[1], CC1, CC2)
		case 1:
			c |= line21(b[1], CC3, CC4)
		case 3:
			c |= services(packet[:n])
			n = copy(packet[:], b[1:3])
		case 2:
			if n > 0 {
				n += copy(packet[n:], b[1:3])
			}
		}
	}
	return c | services(packet[:n])
}

// line21 returns the channel of a pair of bytes of CEA-608 by the first. Only control codes name one, and without a control code nothing
// can be shown (CEA-608 8.4).
func line21(first byte, one, two Captions) Captions {
	switch first &= 0x7F; { // without parity
	case first < 0x10 || first > 0x1F:
		return 0
	case first&8 == 0:
		return one
	}
	return two
}

// services returns those of the blocks of a caption channel packet (CEA-708 5 and 6). Its end may be in another picture.
func services(packet []byte) (c Captions) {
	if len(packet) == 0 {
		return 0
	}
	for b := packet[1:]; len(b) > 0; {
		service, size := int(b[0]>>5), int(b[0]&0x1F)
		if b = b[1:]; service == 7 && size > 0 && len(b) > 0 { // extended
			service, b = int(b[0]&0x3F), b[1:]
		}
		if service == 0 || size == 0 { // the rest is filling
			break
		}
		if service <= maxService {
			c |= CC4 << service
		}
		b = b[min(size, len(b)):]
	}
	return c
}
