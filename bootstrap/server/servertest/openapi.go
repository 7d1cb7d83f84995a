package servertest

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// document is the OpenAPI document as the service serves it, and what of it
// the tests have seen.
type document struct {
	raw     any
	schemas *jsonschema.Compiler
}

const documentURL = "mem:///openapi.json"

func readDocument(t *testing.T, s Service) *document {
	t.Helper()
	a := s.send(t, http.MethodGet, "/v1/openapi.json", "")
	raw, err := jsonschema.UnmarshalJSON(strings.NewReader(a.Body))
	if a.Code != http.StatusOK || err != nil {
		t.Fatalf("no OpenAPI document: status %d, %v", a.Code, err)
	}
	if v := at(raw, "openapi"); v != "3.1.0" {
		t.Fatalf("OpenAPI %v", v)
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020) // the one of OpenAPI 3.1
	c.AssertFormat()
	if err := c.AddResource(documentURL, raw); err != nil {
		t.Fatal(err)
	}
	return &document{raw, c}
}

// at walks into JSON by keys; nil if there is no such thing.
func at(v any, keys ...string) any {
	for _, key := range keys {
		m, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		if v = m[key]; v == nil {
			return nil
		}
		if ref, ok := at(v, "$ref").(string); ok && key != "schema" {
			return ref
		}
	}
	return v
}

// template returns the path of the document that a request's path is one of.
func (d *document) template(path string) string {
	path, _, _ = strings.Cut(path, "?")
	if id, ok := strings.CutPrefix(path, "/v1/peers/"); ok && id != "" {
		return "/v1/peers/{id}"
	}
	return path
}

// check fails t unless the document promises such an answer.
func (d *document) check(t *testing.T, method, path string, a answer) {
	t.Helper()
	operation := at(d.raw, "paths", d.template(path), strings.ToLower(method))
	if operation == nil {
		// Not in the document: then it must not be there.
		if a.Code != http.StatusNotFound && a.Code != http.StatusMethodNotAllowed {
			t.Errorf("%s %s is not documented and answered %d", method, path, a.Code)
		}
		return
	}
	pointer := "/paths/" + strings.NewReplacer("~", "~0", "/", "~1", "{", "%7B", "}", "%7D").Replace(d.template(path)) + "/" + strings.ToLower(method) + "/responses/" + strconv.Itoa(a.Code)
	response := at(operation, "responses", strconv.Itoa(a.Code))
	if ref, ok := response.(string); ok {
		pointer = strings.TrimPrefix(ref, "#")
		response = at(d.raw, strings.Split(strings.TrimPrefix(ref, "#/"), "/")...)
	}
	if response == nil {
		t.Errorf("%s %s answered %d, which is not documented: %s", method, path, a.Code, a.Body)
		return
	}
	contentType, _, _ := strings.Cut(a.Header.Get("Content-Type"), ";")
	if at(response, "content", contentType) == nil {
		t.Errorf("%s %s: content type %q is not documented for %d", method, path, contentType, a.Code)
		return
	}
	if a.Header.Get("Content-Encoding") != "" {
		return // the test that asked for it looks inside
	}
	schema, err := d.schemas.Compile(documentURL + "#" + pointer + "/content/" + strings.ReplaceAll(contentType, "/", "~1") + "/schema")
	if err != nil {
		t.Fatal(err)
	}
	var v any
	if v, err = jsonschema.UnmarshalJSON(strings.NewReader(a.Body)); err == nil {
		err = schema.Validate(v)
	}
	if err != nil {
		t.Errorf("%s %s: %s is not as documented: %v", method, path, a.Body, err)
	}
}

// documented asks for each operation, so that each is there, and for what the
// document does not have, so that there is no more.
func documented(t *testing.T, s Service) {
	paths, _ := at(s.openAPI.raw, "paths").(map[string]any)
	if len(paths) == 0 {
		t.Fatal("no paths")
	}
	for path := range paths {
		if !strings.HasPrefix(path, "/v1/") {
			t.Errorf("%s is documented and no part of /v1", path)
		}
		for _, method := range []string{"GET", "PUT", "POST", "DELETE", "PATCH"} {
			a := s.send(t, method, strings.ReplaceAll(path, "{id}", "some-id"), "{}")
			there := a.Code != http.StatusMethodNotAllowed
			if there != (at(paths, path, strings.ToLower(method)) != nil) {
				t.Errorf("%s %s: answers %d, documented: %t", method, path, a.Code, !there)
			}
		}
	}
	// The schemas of requests accept what is sent in the other tests.
	for name, body := range map[string]string{"Offer": alice("1"), "Refill": alice("1"), "NewConfig": `{"maxpeers":1,"minrefillcandidates":0}`} {
		schema, err := s.openAPI.schemas.Compile(documentURL + "#/components/schemas/" + name)
		if err != nil {
			t.Fatal(err)
		}
		var v any
		if err := json.Unmarshal([]byte(body), &v); err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(v); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if schema.Validate(map[string]any{}) == nil {
			t.Errorf("%s accepts an empty object", name)
		}
	}
}
