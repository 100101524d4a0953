package httpput

import (
	"crypto/sha256"
	"encoding/hex"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
)

// Held is a segment that is kept beside memory, for the process after this one.
type Held struct {
	App, Stream string // to which it was sent
	Host, User  string // the sender's address, and what stands for its user name
	File        string
	At          time.Time // when it came
	CRC32C      uint32
	Body        []byte
}

// HeldFor is how long after a segment came it may be taken up by another process, and how long that waits for its sender.
const HeldFor = 5 * time.Minute

// sender tells the senders of a stream apart: by address, and by user name where they have different ones. Whoever comes back has the same.
type sender struct{ host, user string }

// senderOf is the sender of a request. What stands for a user name says nothing about it.
func senderOf(remote, user string) sender {
	s := sender{host: addressOf(remote)}
	if user != "" {
		sum := sha256.Sum256([]byte(user))
		s.user = hex.EncodeToString(sum[:8])
	}
	return s
}

// keep keeps a segment that came; done may be nil.
func (s *Server) keep(key showKey, from sender, file string, g *segment, now time.Time) (done func(passed bool)) {
	if s.o.Keep == nil {
		return nil
	}
	return s.o.Keep(&Held{App: key.app, Stream: key.stream, Host: from.host, User: from.user, File: file, At: now, CRC32C: g.sum, Body: g.packets})
}

// Restore takes up what another process was keeping when it ended, the newest first, before Serve: it waits for its sender, and for a playlist. It
// reports whether it does. done is as that of Options.Keep.
func (s *Server) Restore(h *Held, done func(passed bool)) bool {
	g, err := parseSegment(h.Body)
	if err != nil {
		return false
	}
	w, in, err := s.restored(h)
	if err != nil {
		return false
	}
	defer w.mu.Unlock()
	f := &file{segment: g, at: h.At, came: s.o.Now(), held: holds(g), done: done}
	switch {
	case in.files[h.File] != nil: // it was sent again
		f.release(false)
	case len(in.files) >= s.o.MaxHeld || !s.o.Memory.Hold(f.held):
		return false
	default:
		in.files[h.File] = f
		s.Stats.Held.Add(1)
		s.Stats.Restored.Add(1)
	}
	return true
}

// RestoreListed notes a segment that a recording had when the other process ended: if its sender sends it again, it is a retry.
func (s *Server) RestoreListed(h *Held) {
	w, in, err := s.restored(h)
	if err != nil {
		return
	}
	defer w.mu.Unlock()
	if in.listed == nil {
		in.listed = map[string]uint32{}
	}
	if _, newer := in.listed[h.File]; !newer {
		in.listed[h.File] = h.CRC32C
	}
}

// restored is the sender of what another process was keeping. The lock of its show is held.
func (s *Server) restored(h *Held) (*show, *input, error) {
	w, err := s.show(showKey{h.App, h.Stream})
	if err != nil {
		return nil, nil, err
	}
	from := sender{h.Host, h.User}
	in := w.sender(from)
	if in == nil {
		in = w.enter(from, h.Host, ingest.Grant{}, s.o.Now())
		in.awaited = true
	}
	return w, in, nil
}

// arrives is the first request of a sender that another process knew.
func (in *input) arrives(remote string, grant ingest.Grant, now time.Time) {
	in.awaited, in.remote, in.grant, in.since = false, remote, grant, now
	for _, f := range in.files {
		f.came = now
	}
}

// standsBy reports whether a sender does not feed the stream, and another does: what it sends is in memory alone.
func (in *input) standsBy() bool {
	others := false
	for _, o := range in.show.outs {
		if o.line != nil {
			if o.line.in == in {
				return false
			}
			others = true
		}
	}
	return others
}
