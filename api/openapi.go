package api

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/agnt5/agnt5d/model"
)

// Spec is the OpenAPI 3.1 document, made from the routes and the Go types of what they take and give.
func Spec() []byte {
	g := &generator{schemas: map[string]any{}}
	paths := map[string]map[string]any{}
	for i := range routes {
		r := &routes[i]
		path := strings.TrimSuffix(r.Path, "{$}")
		if paths[path] == nil {
			paths[path] = map[string]any{}
		}
		paths[path][strings.ToLower(r.Method)] = g.operation(r)
	}
	g.schema(reflect.TypeFor[model.Problem]())
	doc := object{
		"openapi": "3.1.0",
		"info": object{"title": "agnt5d", "version": "v1", "license": object{"name": "Apache-2.0", "identifier": "Apache-2.0"},
			"description": "Durable workflows over HTTP. Errors are application/problem+json with a stable code. JSON is snake_case, times are RFC 3339 with milliseconds in UTC, *_ms are integers. Within /v1 things are only added."},
		"servers":    []object{{"url": "http://127.0.0.1:8080"}},
		"paths":      paths,
		"components": object{"schemas": g.schemas},
	}
	b, err := json.MarshalIndent(doc, "", "  ") // keys come out sorted
	if err != nil {
		panic(err) // the table is part of the program
	}
	return append(b, '\n')
}

type generator struct {
	schemas map[string]any
}

func (g *generator) operation(r *route) object {
	op := object{"operationId": r.ID, "summary": r.Summary, "tags": []string{r.Tag}, "x-agnt5-scope": string(r.Scope)}
	var params []object
	for _, part := range strings.Split(r.Path, "/") {
		if name, ok := strings.CutPrefix(part, "{"); ok && part != "{$}" {
			params = append(params, object{"name": strings.TrimSuffix(name, "}"), "in": "path", "required": true, "schema": object{"type": "string"}})
		}
	}
	for _, p := range r.Query {
		schema := object{"type": p.Type}
		if p.Type == "date-time" {
			schema = object{"type": "string", "format": "date-time"}
		}
		params = append(params, object{"name": p.Name, "in": "query", "description": p.Note, "schema": schema})
	}
	for _, h := range r.Headers {
		params = append(params, object{"name": h, "in": "header", "description": headers[h], "schema": object{"type": "string"}})
	}
	if params != nil {
		op["parameters"] = params
	}
	if r.Body != nil {
		content := object{"application/json": object{"schema": g.schema(reflect.TypeOf(r.Body))}}
		for _, t := range r.Types {
			content[t] = object{"schema": object{}}
		}
		body := object{"content": content}
		if r.BodyNote != "" {
			body["description"] = r.BodyNote
		}
		op["requestBody"] = body
	}
	op["responses"] = g.responses(r)
	return op
}

func (g *generator) responses(r *route) object {
	out := object{}
	for _, a := range r.Answers {
		note := a.Note
		if note == "" {
			note = "the answer"
		}
		one := object{"description": note}
		content := object{}
		if a.Body != nil {
			content["application/json"] = object{"schema": g.schema(reflect.TypeOf(a.Body))}
		}
		if a.Status == 200 && r.Method == "GET" || a.Body != nil && slices.Contains(r.Types, "application/msgpack") {
			for _, t := range r.Types {
				content[t] = object{"schema": object{}}
			}
		}
		if len(content) > 0 {
			one["content"] = content
		}
		out[fmt.Sprint(a.Status)] = one
	}
	byStatus := map[int][]string{}
	for _, name := range append([]string{"invalid_request"}, r.Codes...) {
		c := byName[name]
		byStatus[c.Status] = append(byStatus[c.Status], name)
	}
	for status, names := range byStatus {
		out[fmt.Sprint(status)] = object{"description": strings.Join(names, ", "),
			"content": object{"application/problem+json": object{"schema": object{"$ref": "#/components/schemas/Problem"}}}}
	}
	out["default"] = object{"description": "any other error", "content": object{"application/problem+json": object{"schema": object{"$ref": "#/components/schemas/Problem"}}}}
	return out
}

// schema gives the JSON Schema of a Go type; structs become components.
func (g *generator) schema(t reflect.Type) object {
	switch {
	case t == reflect.TypeFor[json.RawMessage](), t == reflect.TypeFor[anyJSON](), t.Kind() == reflect.Interface:
		return object{"description": "any JSON"}
	case t.Kind() == reflect.Pointer:
		return g.schema(t.Elem())
	case t.Kind() == reflect.Slice:
		return object{"type": "array", "items": g.schema(t.Elem())}
	case t.Kind() == reflect.Map:
		return object{"type": "object", "additionalProperties": g.schema(t.Elem())}
	case t.Kind() == reflect.String:
		return object{"type": "string"}
	case t.Kind() == reflect.Bool:
		return object{"type": "boolean"}
	case t.Kind() == reflect.Struct:
		return g.component(t)
	}
	return object{"type": "integer", "format": "int64"}
}

func (g *generator) component(t reflect.Type) object {
	name := strings.ToUpper(t.Name()[:1]) + t.Name()[1:]
	if strings.HasSuffix(t.PkgPath(), "/worker") || strings.HasSuffix(t.PkgPath(), "/wire") { // package view has a Task, too
		name = "Worker" + name
	}
	ref := object{"$ref": "#/components/schemas/" + name}
	if _, known := g.schemas[name]; known {
		return ref
	}
	g.schemas[name] = nil // a type that holds itself ends here
	props, required := object{}, []string{}
	for _, f := range reflect.VisibleFields(t) { // those of embedded structs, too
		key, opts, _ := strings.Cut(f.Tag.Get("json"), ",")
		if !f.IsExported() || key == "-" || key == "" {
			continue
		}
		props[key] = g.schema(f.Type)
		if opts != "omitempty" {
			required = append(required, key)
		}
	}
	s := object{"type": "object", "properties": props}
	if len(required) > 0 {
		s["required"] = required
	}
	g.schemas[name] = s
	return ref
}
