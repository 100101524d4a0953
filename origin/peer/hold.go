package peer

import (
	"maps"
	"net/http"
	"strings"
	"time"
)

// media answers what a viewer asked another server for. With WaitHeader the answer waits until it is another one than that server has.
func (s *Server) media(w http.ResponseWriter, r *http.Request) {
	had := r.Header.Get(WaitHeader)
	if had == "" {
		s.o.Media.ServeHTTP(w, r)
		return
	}
	select {
	case s.held <- struct{}{}:
		defer func() { <-s.held }()
	default:
		w.Header().Set("Retry-After", "1")
		refuse(w, http.StatusServiceUnavailable, "too many answers are awaited")
		return
	}
	deadline := time.NewTimer(HoldFor)
	defer deadline.Stop()
	for {
		var c [10]<-chan struct{}
		copy(c[:], s.o.Watch(r.URL.Path)) // before the answer: what changes meanwhile is noticed
		a := attempt{w: w, header: http.Header{}, had: had}
		s.o.Media.ServeHTTP(&a, r)
		if !a.same {
			return
		}
		select {
		case <-c[0]:
		case <-c[1]:
		case <-c[2]:
		case <-c[3]:
		case <-c[4]:
		case <-c[5]:
		case <-c[6]:
		case <-c[7]:
		case <-c[8]:
		case <-c[9]:
		case <-deadline.C:
			maps.Copy(w.Header(), a.header)
			w.Header().Del("Content-Length")
			w.WriteHeader(http.StatusNotModified)
			return
		case <-r.Context().Done(): // the other server has left, or this one stops
			refuse(w, http.StatusServiceUnavailable, "this server is stopping")
			return
		}
	}
}

// attempt is an answer that goes out only if its ETag is another than the one that was had.
type attempt struct {
	w      http.ResponseWriter
	header http.Header
	had    string
	begun  bool
	same   bool // it has that ETag: nothing of it is sent
}

// etag returns an answer's ETag. It may stand there as RFC 9110 writes its name, which net/http does not.
func etag(h http.Header) string {
	for name, values := range h {
		if len(values) > 0 && strings.EqualFold(name, "ETag") {
			return values[0]
		}
	}
	return ""
}

// Header implements http.ResponseWriter.
func (a *attempt) Header() http.Header { return a.header }

// WriteHeader implements http.ResponseWriter.
func (a *attempt) WriteHeader(status int) {
	if a.begun {
		return
	}
	a.begun = true
	if a.same = (status == http.StatusOK || status == http.StatusNotModified) && etag(a.header) == a.had; a.same {
		return
	}
	maps.Copy(a.w.Header(), a.header)
	a.w.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (a *attempt) Write(b []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	if a.same {
		return len(b), nil
	}
	return a.w.Write(b)
}
