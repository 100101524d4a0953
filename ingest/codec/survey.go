package codec

// Access says how a decoder may begin with an access unit. Later values are better.
type Access uint8

// The kinds of random access point.
const (
	// NoAccess: a decoder that begins here shows damage, and nothing says for how long.
	NoAccess Access = iota
	// Recovery is a recovery point (H.264 D.2.8, H.265 D.3.8): the picture is complete after some frames, at once if Survey.RecoverIn is 0.
	// In H.264, pictures after it may still be shown before it and refer to earlier ones, as in open GOPs; only their timestamps tell.
	Recovery
	// Open is a CRA picture: pictures that follow it and are shown before it may refer to earlier ones, see Survey.Leading.
	Open
	// Clean is an IDR or BLA picture: nothing after it refers to earlier pictures.
	Clean
)

// String returns the name for logs.
func (a Access) String() string { return [...]string{"none", "recovery point", "CRA", "IDR"}[a] }

// Sets are the parameter sets in an access unit, as bits in the order in which a decoder needs them.
type Sets uint8

// The kinds of parameter set.
const (
	VPS Sets = 1 << iota // H.265 only
	SPS                  // refers to a VPS
	PPS                  // refers to an SPS
)

// NeededSets returns the sets that no decoder of the codec can begin without.
func (c Codec) NeededSets() Sets {
	if c == H264 {
		return SPS | PPS
	}
	return VPS | SPS | PPS
}

// Survey is what NAL units say about their picture. They may be a complete access unit, or a part of one, as some transports deliver it.
type Survey struct {
	Content   bool     // there is a unit other than empty ones and access unit delimiters
	Slices    int      // number of slices
	First     bool     // the first of the slices begins a picture
	Access    Access   // of the picture
	RecoverIn int      // if Access is Recovery: pictures or picture orders until everything is correct
	Leading   bool     // it is shown before a CRA or BLA picture that it follows, and may not be decodable from there (RASL)
	Sets      Sets     // the parameter sets among the units
	Captions  bool     // CEA-608 or CEA-708 captions are in an SEI (ATSC A/53 part 4)
	Channels  Captions // of them, which carry something
	Trailing  bool     // there are units that belong to the picture before them: filler, end of sequence, an SEI suffix
}

// Alone reports whether the picture can be shown without any other.
func (s *Survey) Alone() bool { return s.Access >= Open || s.Access == Recovery && s.RecoverIn == 0 }

// Kind is the purpose of a NAL unit.
type Kind uint8

// The kinds of NAL unit that matter here.
const (
	KindOther     Kind = iota // belongs to the picture that follows
	KindEmpty                 // no bytes
	KindDelimiter             // access unit delimiter
	KindVPS
	KindSPS
	KindPPS
	KindSEI
	KindSlice
	KindSuffix // belongs to the picture before it
)

// NAL returns the kind of a NAL unit without its start code.
func (c Codec) NAL(unit []byte) Kind {
	switch {
	case len(unit) == 0:
		return KindEmpty
	case c == H264:
		return h264Kind(unit)
	}
	return h265Kind(unit)
}

// Set returns the bit of a kind of parameter set, or 0 for every other kind.
func (k Kind) Set() Sets {
	switch k {
	case KindVPS:
		return VPS
	case KindSPS:
		return SPS
	case KindPPS:
		return PPS
	}
	return 0
}

// header returns the length of a NAL unit's header in bytes.
func (c Codec) header() int {
	if c == H264 {
		return 1
	}
	return 2
}

// Survey examines the NAL units of an access unit or a part of one. It does not allocate, and reads no more than the beginning of each
// unit, except for SEI.
func (c Codec) Survey(units [][]byte) (s Survey) {
	for _, u := range units {
		k := c.NAL(u)
		switch k {
		case KindEmpty, KindDelimiter:
			continue
		case KindVPS, KindSPS, KindPPS:
			s.Sets |= k.Set()
		case KindSEI:
			c.sei(u, &s)
		case KindSlice:
			if c == H264 {
				s.h264Slice(u)
			} else {
				s.h265Slice(u)
			}
			s.Slices++
		case KindSuffix:
			s.Trailing = true
		}
		s.Content = true
	}
	return s
}
