package vod

import (
	"fmt"
	"runtime/debug"
)

// Fault is the error where a file brings out a fault of this program, which panics: another try would end the same way. What else the program
// does goes on.
type Fault struct {
	Value any    // of the panic
	Stack []byte // where it was
}

func (f *Fault) Error() string { return fmt.Sprintf("panic: %v", f.Value) }

// contain makes a panic the error of the function that defers it.
func contain(err *error) {
	if r := recover(); r != nil {
		*err = &Fault{r, debug.Stack()}
	}
}
