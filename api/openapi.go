package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"

	"github.com/agnt5/agnt5d/internal/wire"
	"github.com/agnt5/agnt5d/model"
)

// Spec is the OpenAPI 3.1 document, made from the routes, the kinds and the Go types of what they take and give.
func Spec() []byte {
	g := &generator{schemas: object{}, responses: object{}}
	paths := map[string]map[string]any{}
	for i := range routes {
		r := &routes[i]
		path := strings.TrimSuffix(r.Path, "{$}")
		if paths[path] == nil {
			paths[path] = map[string]any{}
		}
		paths[path][strings.ToLower(r.Method)] = g.operation(r)
	}
	doc := object{
		"openapi": "3.1.0",
		"info": object{"title": "agnt5d", "version": "v1", "license": object{"name": "Apache-2.0", "identifier": "Apache-2.0"},
			"description": "Durable workflows over HTTP. Errors are application/problem+json with a stable code. JSON is snake_case, times are RFC 3339 with milliseconds in UTC, *_ms are integers. Within /v1 things are only added: fields of answers, codes, event kinds, values of state. GET routes answer HEAD, too. x-agnt5-scope is what an access token must allow: admin allows everything, operate allows read; x-agnt5-lease-scope is what it must allow when " + leaseHeader + " is sent. A daemon without tokens asks for none."},
		"servers":  []object{{"url": "/", "description": "the address that the document came from"}},
		"security": []object{{}, {"bearer": []string{}}},
		"paths":    paths,
		"components": object{
			"schemas":         g.schemas,
			"responses":       g.responses,
			"securitySchemes": object{"bearer": object{"type": "http", "scheme": "bearer", "description": "An access token (agt_...). A daemon that has none asks for none."}},
		},
	}
	b, err := json.MarshalIndent(doc, "", "  ") // keys come out sorted
	if err != nil {
		panic(err) // the table is part of the program
	}
	return append(b, '\n')
}

type generator struct {
	schemas, responses object
}

func (g *generator) operation(r *route) object {
	op := object{"operationId": r.ID, "summary": r.Summary, "tags": []string{r.Tag}, "x-agnt5-scope": string(r.Scope)}
	if r.Scope == scopePublic {
		op["security"] = []object{}
	}
	if r.Lease {
		op["x-agnt5-lease-scope"] = string(scopeWorker)
	}
	if params := r.parameters(); params != nil {
		op["parameters"] = params
	}
	if r.Body != nil {
		op["requestBody"] = g.body(r)
	}
	op["responses"] = g.answers(r)
	return op
}

func (r *route) parameters() []object {
	var params []object
	before := ""
	for _, part := range strings.Split(r.Path, "/") {
		if name, ok := strings.CutPrefix(part, "{"); ok && part != "{$}" {
			name = strings.TrimSuffix(name, "}")
			params = append(params, object{"name": name, "in": "path", "required": true, "schema": kinds[r.inPath(name, before)].schema()})
		}
		before = part
	}
	add := func(p *param, in string) {
		schema := kinds[p.Type].schema()
		if kinds[p.Type].Many {
			schema = object{"type": "array", "items": schema}
		}
		params = append(params, object{"name": p.Name, "in": in, "description": p.Note, "schema": schema})
	}
	for i := range r.Query {
		add(&r.Query[i], "query")
	}
	for _, h := range r.Headers {
		add(headers[h], "header")
	}
	return params
}

// inPath is the kind of a part of a path. What is looked up has whatever name it was given, by this release or by one of before.
func (r *route) inPath(name, before string) string {
	switch {
	case before == "objects":
		return "object_key"
	case r.Method == http.MethodPut, r.ID == "signalRun" && name == "name":
		return "name"
	}
	return "part"
}

func (g *generator) body(r *route) object {
	s := g.schema(reflect.TypeOf(r.Body), true)
	content := object{wire.JSON: object{"schema": s}}
	for _, t := range r.Types {
		content[t] = object{"schema": s}
	}
	body := object{"content": content}
	if r.BodyNote != "" {
		body["description"] = r.BodyNote
	}
	body["required"] = !takesNone(r.Body)
	return body
}

// takesNone says whether a body may be left out: all of it may then be.
func takesNone(body any) bool {
	switch body.(type) {
	case startBody, signalBody, cancelBody, manyBody, runPauseBody, resumeAllBody, pauseBody, resumeBody, triggerBody, noBody:
		return true
	}
	return false
}

// media are the media types of answers that are not the JSON of a Go type.
var media = map[string]object{
	"text/event-stream":        {"type": "string", "description": "Server-sent events: id is the event's cursor, data an Event."},
	"application/octet-stream": {"type": "string", "format": "binary"},
	"text/plain":               {"type": "string"},
	"application/schema+json":  {"type": "object"},
}

func (g *generator) answers(r *route) object {
	out := object{}
	for _, a := range r.Answers {
		one := object{"description": a.Note}
		if a.Note == "" {
			one["description"] = "the answer"
		}
		content := object{}
		if a.Body != nil {
			content[wire.JSON] = object{"schema": g.schema(reflect.TypeOf(a.Body), false)}
		}
		for _, t := range r.Types {
			if s := media[t]; s != nil && a.Status == http.StatusOK {
				content[t] = object{"schema": s}
			} else if t == wire.Msgpack && a.Body != nil {
				content[t] = content[wire.JSON]
			}
		}
		if len(content) > 0 {
			one["content"] = content
		}
		if h := r.answerHeaders(a.Status); len(h) > 0 {
			one["headers"] = h
		}
		out[fmt.Sprint(a.Status)] = one
	}
	for status, codes := range r.codes() {
		if key := fmt.Sprint(status); out[key] == nil { // 503 of /readyz says more
			out[key] = g.failure(status, codes)
		}
	}
	return out
}

func header(note string, s object) object { return object{"description": note, "schema": s} }

// answerHeaders are those of an answer that is no error.
func (r *route) answerHeaders(status int) object {
	h := object{}
	if r.ID == "startRun" || r.ID == "forkRun" && status == http.StatusCreated {
		h["Location"] = header("the run's path", object{"type": "string", "format": "uri-reference"})
	}
	if _, is := r.Answers[0].Body.(model.Schedule); is {
		h["ETag"] = header("the schedule's revision, for If-Match; weak when the answer is compressed", object{"type": "string"})
	}
	if r.ID == "workflowGraph" {
		h["ETag"] = header("of this definition and fold; weak when the answer is compressed", object{"type": "string"})
	}
	if r.ID == "startRun" || r.ID == "getRun" {
		h["ETag"] = header("changes with the run's history; weak when the answer is compressed", object{"type": "string"})
		h["Preference-Applied"] = header("wait=S when it was waited", object{"type": "string"})
	}
	return h
}

// codes are the errors that the route may answer, by status.
func (r *route) codes() map[int][]string {
	all := append([]string{"invalid_request", "host_refused", "origin_refused", "unsupported_media_type", "method_not_allowed", "internal", "engine_stopped"}, r.Codes...)
	if r.Body != nil {
		all = append(all, "invalid_json", "payload_too_large")
	}
	if !r.Free {
		all = append(all, "busy", "shutting_down", "standby")
	}
	if r.Scope != scopePublic {
		all = append(all, "unauthorized", "forbidden")
	}
	slices.Sort(all)
	byStatus := map[int][]string{}
	for _, name := range slices.Compact(all) {
		c := byName[name]
		byStatus[c.Status] = append(byStatus[c.Status], name)
	}
	return byStatus
}

// failure gives an error's answer, shared by the routes that may answer the same codes.
func (g *generator) failure(status int, codes []string) object {
	name := fmt.Sprintf("Error%d", status)
	for _, c := range codes {
		name += "_" + c
	}
	if g.responses[name] == nil {
		one := object{"description": strings.Join(codes, ", "), "x-agnt5-codes": codes,
			"content": object{"application/problem+json": object{"schema": g.schema(reflect.TypeFor[model.Problem](), false), "example": problem(codes[0], "")}}}
		text := object{"type": "string"}
		switch status {
		case http.StatusServiceUnavailable:
			one["headers"] = object{"Retry-After": header("seconds to wait before the next try", object{"type": "integer", "minimum": 0})}
		case http.StatusUnauthorized:
			one["headers"] = object{"WWW-Authenticate": header("Bearer", text)}
		case http.StatusMethodNotAllowed:
			one["headers"] = object{"Allow": header("the methods that the path knows", text)}
		}
		g.responses[name] = one
	}
	return object{"$ref": "#/components/responses/" + name}
}
