package ingest

// Reason is why a frame, or what should have been one, goes no further.
type Reason uint8

// The reasons. Those from BeforeKey on pass by themselves, when the encoder sends its next keyframe; the others stay until
// somebody changes the encoder.
const (
	NoHeader    Reason = iota // no configuration that a decoder could begin with has come
	Malformed                 // the bytes do not add up to what they say they are
	NotAFrame                 // the bytes cannot be a frame of this codec
	NoPicture                 // a message without a slice, to which no picture came, or a slice whose picture had gone on
	NoTime                    // no decoding time can be derived
	Backwards                 // the decoding time does not rise
	ExtraTrack                // of a further track of its kind: one is carried
	Uncarried                 // the configuration has no form in a transport stream
	BeforeKey                 // before a keyframe with which a segment can begin
	BeforeVideo               // sound before the first picture
	Late                      // its segment had been declared lost
	NumReasons
)

// String is the reason as a metric's label: one word.
func (r Reason) String() string {
	return [...]string{"no_header", "malformed", "not_a_frame", "no_picture", "no_time", "backwards", "extra_track", "uncarried",
		"before_keyframe", "before_video", "late"}[r]
}

// Words is the reason as an operator or the person at the encoder reads it.
func (r Reason) Words() string {
	return [...]string{
		"no usable sequence header or parameter sets came: restart the encoder, or let it send them with each keyframe",
		"its bytes do not add up: the encoder packs frames in a way that is not known here",
		"its bytes cannot be frames of the codec that was announced",
		"messages without a picture",
		"no decoding time can be derived from its time stamps",
		"its time stamps do not rise",
		"it is a further track of its kind, and one is carried",
		"its configuration has no form in a transport stream: set the encoder to AAC-LC, mono, stereo or 5.1",
		"no keyframe has come: set the encoder's keyframe interval to 2 s",
		"no picture has come to which the sound belongs",
		"it came so late that its segments had been declared lost",
	}[r]
}

// passing reports whether a reason goes away by itself.
func (r Reason) passing() bool { return r >= BeforeKey }
