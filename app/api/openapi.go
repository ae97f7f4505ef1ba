package api

import (
	"net/http"
	"path"
	"reflect"
	"regexp"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/web"
)

// openAPI serves the document of every JSON route, made of the table.
func (s *Server) openAPI(w http.ResponseWriter, _ *http.Request, _ web.Principal) error {
	doc, err := Document(s.documents())
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(doc) // the client may be gone
	return nil
}

var parameter = regexp.MustCompile(`\{(\w+)\}`)

// Document makes the OpenAPI document of a table.
func Document(routes []web.Route) ([]byte, error) {
	reg := huma.NewMapRegistry("#/components/schemas/", schemaName)
	api := &huma.OpenAPI{OpenAPI: "3.1.0", Info: &huma.Info{Title: "tocsin", Version: "v1",
		Description: "Within v1 fields are added, never changed or removed. Errors are RFC 9457 problem documents; a policy that is refused has faults, each with file, line, field and message. Lists take limit and cursor."},
		Paths: map[string]*huma.PathItem{}, Components: &huma.Components{Schemas: reg,
			SecuritySchemes: map[string]*huma.SecurityScheme{"token": {Type: "http", Scheme: "bearer"}}},
		Security: []map[string][]string{{"token": {}}}}
	for _, r := range routes {
		item := api.Paths[r.Path]
		if item == nil {
			item = &huma.PathItem{}
			api.Paths[r.Path] = item
		}
		op := operation(reg, r)
		switch r.Method {
		case http.MethodGet:
			item.Get = op
		case http.MethodPut:
			item.Put = op
		case http.MethodPost:
			item.Post = op
		case http.MethodDelete:
			item.Delete = op
		}
	}
	raw, err := api.MarshalJSON()
	if err != nil {
		return nil, problem.Wrap(err, problem.Internal, "the API document cannot be made")
	}
	return raw, nil
}

func operation(reg huma.Registry, r web.Route) *huma.Operation {
	status := r.Status
	if status == 0 {
		status = http.StatusOK
	}
	ok := &huma.Response{Description: http.StatusText(status)}
	if r.Response != nil {
		ok.Content = map[string]*huma.MediaType{"application/json": {Schema: reg.Schema(reflect.TypeOf(r.Response), true, "")}}
	}
	roles := make([]string, len(r.Roles))
	for i, role := range r.Roles {
		roles[i] = string(role)
	}
	op := &huma.Operation{Summary: r.Summary, OperationID: operationID(r), Description: "Roles: " + strings.Join(roles, ", ") + ".",
		Responses: map[string]*huma.Response{strconv.Itoa(status): ok, "default": {Description: "RFC 9457 problem",
			Content: map[string]*huma.MediaType{"application/problem+json": {Schema: reg.Schema(reflect.TypeFor[web.Problem](), true, "")}}}}}
	for _, m := range parameter.FindAllStringSubmatch(r.Path, -1) {
		op.Parameters = append(op.Parameters, &huma.Param{Name: m[1], In: "path", Required: true, Schema: &huma.Schema{Type: "string"}})
	}
	if r.Request != nil {
		op.RequestBody = &huma.RequestBody{Content: map[string]*huma.MediaType{"application/json": {Schema: reg.Schema(reflect.TypeOf(r.Request), true, "")}}}
	}
	return op
}

func operationID(r web.Route) string {
	parts := []string{strings.ToLower(r.Method)}
	for _, p := range strings.Split(strings.TrimPrefix(r.Path, "/api/v1/"), "/") {
		parts = append(parts, strings.Trim(p, "{}"))
	}
	return strings.Join(parts, "-")
}

// named finds the types of a name: its own and those it is made for.
var named = regexp.MustCompile(`([\w.\-/]+)\.(\w+)`)

// schemaName tells types of the same name in different packages apart, also as
// the element of a list: ListRegisterEntry, ListLedgerEntry. The API's own types, and
// the list, go by their names alone.
func schemaName(t reflect.Type, hint string) string {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	if t.Name() == "" {
		return huma.DefaultSchemaNamer(t, hint)
	}
	name, list := "", reflect.TypeFor[web.List[int]]()
	own := reflect.TypeFor[Server]().PkgPath()
	for _, part := range named.FindAllStringSubmatch(t.PkgPath()+"."+t.Name(), -1) {
		if in := part[1]; in != own && !strings.HasPrefix(in, own+"/") && (in != list.PkgPath() || part[2] != "List") {
			name += title(path.Base(in))
		}
		name += title(part[2])
	}
	return name
}

func title(s string) string { return strings.ToUpper(s[:1]) + s[1:] }
