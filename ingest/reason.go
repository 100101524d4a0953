package ingest

// Reason is why a frame, or what should have been one, was dropped.
type Reason uint8

// The reasons. Those from BeforeKey on pass by themselves with the encoder's next keyframe; the others last until somebody changes the
// encoder.
const (
	NoHeader    Reason = iota // no configuration has come that a decoder could start with
	Malformed                 // the bytes do not add up to what they claim to be
	NotAFrame                 // the bytes cannot be a frame of this codec
	NoPicture                 // a message without a slice and without a picture to follow, or a slice whose picture had already been passed on
	NoTime                    // no decoding time can be derived
	Backwards                 // the decoding time does not rise
	ExtraTrack                // of a second track of its kind: only one is carried
	Uncarried                 // the configuration has no form in a transport stream
	BeforeKey                 // before a keyframe with which a segment can begin
	BeforeVideo               // audio before the first picture
	Late                      // its segment had already been declared lost
	NumReasons
)

// String returns the reason as a metric label: one word.
func (r Reason) String() string {
	return [...]string{"no_header", "malformed", "not_a_frame", "no_picture", "no_time", "backwards", "extra_track", "uncarried",
		"before_keyframe", "before_video", "late"}[r]
}

// Words returns the reason for an operator or the person at the encoder.
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
