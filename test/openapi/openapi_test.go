// Package openapi checks the API's description with an independent OpenAPI parser. It refuses to start a server.
package openapi

import (
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
)

func TestDocumentIsValid(t *testing.T) {
	d, err := openapi3.NewLoader().LoadFromFile("../../docs/openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Validate(t.Context()); err != nil {
		t.Error(err)
	}
	if d.OpenAPI != "3.1.0" || d.Paths.Len() < 10 {
		t.Errorf("OpenAPI %s with %d paths", d.OpenAPI, d.Paths.Len())
	}
	for path, item := range d.Paths.Map() {
		for method, o := range item.Operations() {
			if o.OperationID == "" || o.Summary == "" || len(o.Tags) != 1 || o.Responses.Value("200") == nil || o.Responses.Value("401") == nil {
				t.Errorf("%s %s is not described", method, path)
			}
		}
	}
}
