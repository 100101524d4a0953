package codec

// Access says how a decoder may begin with an access unit. A later one is a better one.
type Access uint8

// The kinds of random access point.
const (
	// NoAccess: a decoder that begins here shows damage for a time that nobody states.
	NoAccess Access = iota
	// Recovery is a recovery point (H.264 D.2.8, H.265 D.3.8): the picture is whole after some frames, at once where
	// Survey.RecoverIn is 0. In H.264 pictures that follow it may yet be shown before it and refer to what was before, as
	// in open groups of pictures; only their time stamps tell.
	Recovery
	// Open is a CRA picture: pictures that follow it and are shown before it may refer to what was before, see
	// Survey.Leading.
	Open
	// Clean is an IDR or BLA picture: nothing behind it refers to what was before.
	Clean
)

// String is the name in logs.
func (a Access) String() string { return [...]string{"none", "recovery point", "CRA", "IDR"}[a] }

// Sets says which parameter sets an access unit brings with it. Kinds are bits in the order in which a decoder needs them.
type Sets uint8

// The kinds of parameter set.
const (
	VPS Sets = 1 << iota // H.265 only
	SPS                  // refers to a VPS
	PPS                  // refers to an SPS
)

// NeededSets is what no decoder of the codec can begin without.
func (c Codec) NeededSets() Sets {
	if c == H264 {
		return SPS | PPS
	}
	return VPS | SPS | PPS
}

// Survey is what NAL units say of the picture that they are of. They may be a whole access unit, or a part of one as some
// transports deliver it.
type Survey struct {
	Content   bool   // there is a unit that is neither empty nor an access unit delimiter
	Slices    int    // number of slices
	First     bool   // the first of the slices begins a picture
	Access    Access // of the picture
	RecoverIn int    // where Access is Recovery: pictures or picture orders until all is right
	Leading   bool   // it is shown before a CRA or BLA picture that it follows, and may not be decodable from there (RASL)
	Sets      Sets   // the parameter sets among the units
	Captions  bool   // CEA-608 or CEA-708 captions are in an SEI (ATSC A/53 part 4)
	Trailing  bool   // units that belong to the picture before them are there: filler, end of sequence, an SEI suffix
}

// Kind is what a NAL unit is for.
type Kind uint8

// The kinds of NAL unit that matter here.
const (
	KindOther     Kind = iota // goes with the picture that follows
	KindEmpty                 // no bytes
	KindDelimiter             // access unit delimiter
	KindVPS
	KindSPS
	KindPPS
	KindSEI
	KindSlice
	KindSuffix // belongs to the picture before it
)

// NAL is the kind of a NAL unit without its start code.
func (c Codec) NAL(unit []byte) Kind {
	switch {
	case len(unit) == 0:
		return KindEmpty
	case c == H264:
		return h264Kind(unit)
	}
	return h265Kind(unit)
}

// Set is the bit of a kind of parameter set; 0 for every other kind.
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

// header is the length of a NAL unit's header, bytes.
func (c Codec) header() int {
	if c == H264 {
		return 1
	}
	return 2
}

// Survey looks at NAL units of one access unit, or of a part of it. It allocates nothing, and reads no more than the
// beginning of each unit, SEI excepted.
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
