package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

// Kind is what sort of failure something is.
type Kind uint8

// The kinds of failure, with their status.
const (
	NotFound    Kind = iota + 1 // 404: there is no such thing
	Conflict                    // 409: it is not in the state for that
	Unavailable                 // 503: not now
	Invalid                     // 422: it makes no sense
	TooMany                     // 429: it is asked too often
)

// Failure is an error in words for whoever asked: what was wrong, and what to do.
type Failure struct {
	Kind   Kind
	Reason string
}

// Fail makes a Failure as fmt.Sprintf would.
func Fail(kind Kind, format string, args ...any) *Failure {
	return &Failure{kind, fmt.Sprintf(format, args...)}
}

func (f *Failure) Error() string { return f.Reason }

// answered is an error as an answer. What is no Failure is a fault outside, of a bucket mostly: 502.
func answered(err error) error {
	var f *Failure
	if !errors.As(err, &f) {
		return huma.NewError(http.StatusBadGateway, err.Error())
	}
	switch f.Kind {
	case NotFound:
		return huma.NewError(http.StatusNotFound, f.Reason)
	case Conflict:
		return huma.NewError(http.StatusConflict, f.Reason)
	case Invalid:
		return huma.NewError(http.StatusUnprocessableEntity, f.Reason)
	}
	if f.Kind == TooMany {
		return huma.ErrorWithHeaders(huma.NewError(http.StatusTooManyRequests, f.Reason), http.Header{"Retry-After": {"1"}})
	}
	return huma.NewError(http.StatusServiceUnavailable, f.Reason)
}

// said has a problem's detail say what is wrong with each part of a request, and not only that something is: the detail is what people see.
func said(_ huma.Context, _ string, answer any) (any, error) {
	p, ok := answer.(*huma.ErrorModel)
	if !ok || len(p.Errors) == 0 {
		return answer, nil
	}
	all := make([]string, len(p.Errors))
	for i, e := range p.Errors {
		all[i] = e.Location + ": " + e.Message
	}
	p.Detail += ": " + strings.Join(all, "; ")
	return p, nil
}

// missing is the answer where a part of the server is not there.
func missing(what string) error { return huma.NewError(http.StatusNotImplemented, what) }

// busy is the answer where too many answers that take long are under way.
func busy() error {
	return huma.ErrorWithHeaders(huma.NewError(http.StatusServiceUnavailable, "too many requests that take long are under way: try again later"),
		http.Header{"Retry-After": {"5"}})
}

// refuse writes a problem, as RFC 9457 has it.
func refuse(w http.ResponseWriter, status int, format string, args ...any) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(huma.NewError(status, fmt.Sprintf(format, args...))) // it fails only when the reader is gone
}

// unknown answers for paths and methods that there are not.
func (a *API) unknown(w http.ResponseWriter, r *http.Request) {
	var allowed []string
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete} {
		other := r.Clone(r.Context())
		other.Method = method
		if _, pattern := a.mux.Handler(other); pattern != "/" {
			allowed = append(allowed, method)
		}
	}
	if len(allowed) > 0 {
		w.Header().Set("Allow", strings.Join(allowed, ", "))
		refuse(w, http.StatusMethodNotAllowed, "%s is not for this path: it takes %s", r.Method, strings.Join(allowed, " or "))
		return
	}
	refuse(w, http.StatusNotFound, "there is no such call: /openapi.json describes those that there are")
}
