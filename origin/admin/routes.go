package admin

import (
	"net/http"
	"net/http/pprof"
)

// routes is every path there is.
func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", s.healthz)
	mux.HandleFunc("GET /readyz", s.readyz)
	mux.HandleFunc("GET /api/streams", s.streams)
	mux.HandleFunc("GET /api/page", s.pageSettings)
	mux.HandleFunc("GET "+ScriptPath, s.script())
	mux.HandleFunc("GET /{$}", s.pageFile())
	mux.HandleFunc("GET /page/{file}", s.pageFile())
	if s.o.API != nil {
		api := s.o.API(s.begin)
		mux.Handle("/v1/", api)
		mux.Handle("/openapi.json", api)
	}
	if s.o.Metrics != nil {
		mux.Handle("GET /metrics", s.o.Metrics)
	}
	if s.o.Pprof {
		mux.HandleFunc("GET /debug/pprof/", pprof.Index)
		mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
		mux.HandleFunc("GET /debug/pprof/profile", s.takingLong(pprof.Profile))
		mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
		mux.HandleFunc("GET /debug/pprof/trace", s.takingLong(pprof.Trace))
	}
	return s.counted(s.knownHost(mux))
}
