//go:build !linux

package origin

import "context"

// parking is a viewer's place at a poller; on this system each connection keeps a goroutine.
type parking struct{}

type polls struct{}

func (s *server) startPolls(context.Context) {}
func (s *server) stopPolls()                 {}
func (s *server) poll(*viewer) bool          { return false }

func (v *viewer) claim() bool { return false }
func (v *viewer) park() bool  { return false }
