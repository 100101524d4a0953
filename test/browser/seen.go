package browser

// Seen is the record that the page of a player keeps, see page/page.js. Times are seconds unless ms says otherwise; media
// times are the video element's.
type Seen struct {
	Player, Version string
	Started, Ended  bool
	Time, Ahead     float64 // the position, and what is buffered in front of it
	Played          float64 // what went by of the media, without jumps
	Width           int
	Frames          int // pictures decoded
	Sound           int // bytes of sound decoded
	Stalls          []Stall
	Freezes         []Freeze // of the picture
	Silences        []Freeze // of the sound
	Holes, Jumps    []Leap
	Fatal           []string
	Errors          map[string]int
	Fragments       []Fragment
	Widths          []Width
	Counter         Counter
}

// Stall is a time in which the position stood still. With nothing buffered in front of it, it is one that the server (or
// its network) made; with enough buffered, the machine was too slow to show pictures.
type Stall struct{ At, Ms, Ahead float64 }

// Freeze is a time in which the position moved and nothing new was decoded.
type Freeze struct{ At, Ms float64 }

// Leap is a piece of the time line that was not buffered, or not played.
type Leap struct{ From, To float64 }

// Fragment is one segment as hls.js came to show it.
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

// Counter are the numbers that pictures carry: the first, the last, and where a smaller one followed.
type Counter struct {
	First, Last int
	Back        []struct {
		From, To int
		At       float64
	}
}
