package api

import (
	"encoding/json"
	"net/http"
	"slices"

	"github.com/danielgtaylor/huma/v2"
)

// about is what the description says of the API as a whole.
const about = `What operators' programs ask of a server. It answers on the admin port.

Without ` + "`admin.tokens`" + ` only the machine that the server runs on may use it. With tokens every request needs one, as ` + "`Authorization: Bearer TOKEN`" + `:
those of scope ` + "`read`" + ` may GET, those of scope ` + "`operate`" + ` may do everything. The Host has to be an address or one of ` + "`admin.hosts`" + `, and pages of
other sites are refused. Every change needs ` + "`Content-Type: application/json`" + `, also where it has no body; a body has 64 KiB at the most.

Errors are problems (RFC 9457) whose ` + "`detail`" + ` says what was wrong and what to do.`

// describe is the beginning of the OpenAPI document, and how requests are read.
func (a *API) describe() huma.Config {
	return huma.Config{
		OpenAPI: &huma.OpenAPI{
			OpenAPI: "3.1.0",
			Info:    &huma.Info{Title: "hlsorigin", Version: a.o.Version, Description: about},
			Components: &huma.Components{
				Schemas:         huma.NewMapRegistry("#/components/schemas/", huma.DefaultSchemaNamer),
				SecuritySchemes: map[string]*huma.SecurityScheme{"token": {Type: "http", Scheme: "bearer", Description: "One of admin.tokens. Without any the API is for this machine alone, and needs none."}},
			},
			Security: []map[string][]string{{"token": {}}, {}},
			Tags: []*huma.Tag{
				{Name: "streams", Description: "What is on the air."},
				{Name: "recordings", Description: "What lies in the bucket."},
				{Name: "clips", Description: "Parts of recordings that have a playlist of their own."},
				{Name: "jobs", Description: "Files that become adaptive packages."},
				{Name: "server", Description: "The server itself."},
			},
		},
		Formats:                      map[string]huma.Format{"application/json": huma.DefaultJSONFormat, "json": huma.DefaultJSONFormat},
		DefaultFormat:                "application/json",
		RejectUnknownQueryParameters: true,
		Transformers:                 []huma.Transformer{said},
	}
}

// op is an operation of the API; errors are those that it has besides the ones that all have.
func op(method, path, id, tag, summary, description string, errors ...int) huma.Operation {
	common := []int{http.StatusUnauthorized, http.StatusForbidden, http.StatusUnprocessableEntity, http.StatusTooManyRequests}
	if method != http.MethodGet {
		common = append(common, http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType)
	}
	all := append(errors, common...)
	slices.Sort(all)
	return huma.Operation{Method: method, Path: path, OperationID: id, Tags: []string{tag}, Summary: summary, Description: description, Errors: slices.Compact(all)}
}

// Document is the OpenAPI document, as JSON.
func (a *API) Document() ([]byte, error) {
	return json.MarshalIndent(a.api.OpenAPI(), "", "  ")
}

func (a *API) openAPI(w http.ResponseWriter, _ *http.Request) {
	b, err := a.Document()
	if err != nil {
		refuse(w, http.StatusInternalServerError, "%v", err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(b) // it fails only when the reader is gone
}
