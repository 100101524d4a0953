package api

import (
	"context"
	"net/http"
)

// asked is the key of a request and its answer in the context of the operation.
type asked struct{}

type exchange struct {
	w http.ResponseWriter
	r *http.Request
}

// begin says that the answer under way takes long; not ok where too many do.
func (a *API) begin(ctx context.Context) (done func(), ok bool) {
	x, known := ctx.Value(asked{}).(exchange)
	if !known {
		return func() {}, true
	}
	return a.o.Long(x.w, x.r)
}

// withExchange is the request with itself and its answer in its context.
func withExchange(w http.ResponseWriter, r *http.Request) *http.Request {
	return r.WithContext(context.WithValue(r.Context(), asked{}, exchange{w, r}))
}
