package browser

// Seen is the record kept by the page of a player, see page/page.js. Times are seconds unless the name says ms; media times are the video
// element's.
type Seen struct {
	Player, Version string
	Started, Ended  bool
	Time, Ahead     float64 // the position, and how much is buffered ahead of it
	Played          float64 // how much of the media was played, without jumps
	Width           int
	Frames          int // pictures decoded
	Sound           int // bytes of audio decoded
	Stalls          []Stall
	Freezes         []Freeze // of the picture
	Silences        []Freeze // of the audio
	Holes, Jumps    []Leap
	Fatal           []string
	Errors          map[string]int
	Fragments       []Fragment
	Widths          []Width
	Counter         Counter
}

// Stall is a time in which the position stood still. With nothing buffered ahead, the server (or its network) caused it; with enough
// buffered, the machine was too slow to show pictures.
type Stall struct{ At, Ms, Ahead float64 }

// Freeze is a time in which the position moved and nothing new was decoded.
type Freeze struct{ At, Ms float64 }

// Leap is a part of the timeline that was not buffered, or not played.
type Leap struct{ From, To float64 }

// Fragment is one segment as shown by hls.js.
type Fragment struct {
	SN    uint64
	CC    int
	Level int
	Date  float64 // PROGRAM-DATE-TIME, ms
	URL   string
}

// Width is a picture's width, and since when.
type Width struct {
	At    float64
	Width int
}

// Counter holds the numbers that pictures carry: the first, the last, and where a smaller one followed.
type Counter struct {
	First, Last int
	Back        []struct {
		From, To int
		At       float64
	}
}
