package segmenter

import "time"

// Recovered is what storage knows of an unfinished recording after a restart.
type Recovered struct {
	Key
	Recording      RecordingID
	TargetDuration int // seconds
	// Base is the number of the first entry; Entries[i].Sequence == Base + i, gaps included.
	Base    uint64
	Entries []Entry
	// Next is the first number that was never opened. A number from the end of Entries up to it may have been shown to a
	// viewer without its bytes having survived: it becomes a gap and is not used again.
	Next uint64
	// SplitFirst and SplitName are the timestamped playlist that grows: the number of its first segment, and its name; where
	// it is the recording's first, Base and no name.
	SplitFirst uint64
	SplitName  RecordingID
	Variant    Variant
	LastFrame  time.Time
}
