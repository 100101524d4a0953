package admin

// Memory tells how the server's memory is divided and used.
type Memory interface{ Memory() Budget }

// Budget is what the server may use.
type Budget struct {
	Limit  int64   `json:"limit"`  // bytes; 0: not known
	Source string  `json:"source"` // who says so
	Shares []Share `json:"shares"`
}

// Share is the part of a budget for one thing that can grow.
type Share struct {
	Name    string `json:"name"`
	Limit   int64  `json:"limit"`   // bytes; 0: no bound
	Used    int64  `json:"used"`    // bytes, now
	Refused int64  `json:"refused"` // times that there was no room
}
