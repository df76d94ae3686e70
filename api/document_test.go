package api_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/agnt5/agnt5d/api"
	"github.com/agnt5/agnt5d/engine"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

// document is the OpenAPI document, as a client would read it.
type document struct {
	paths    map[string]map[string]any
	all      map[string]any
	compiler *jsonschema.Compiler
	schemas  sync.Map // by pointer
}

var theDocument = sync.OnceValue(func() *document {
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(api.Spec()))
	if err != nil {
		panic(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("http://daemon/openapi.json", v); err != nil {
		panic(err)
	}
	d := &document{all: v.(map[string]any), compiler: c, paths: map[string]map[string]any{}}
	for path, item := range d.all["paths"].(map[string]any) {
		d.paths[path] = item.(map[string]any)
	}
	return d
})

// at gives what a pointer leads to, over a $ref, and the pointer of that.
func (d *document) at(pointer ...string) (map[string]any, []string) {
	var v any = d.all
	for _, p := range pointer {
		m, _ := v.(map[string]any)
		v = m[p]
	}
	m, _ := v.(map[string]any)
	if ref, _ := m["$ref"].(string); ref != "" {
		return d.at(strings.Split(ref, "/")[1:]...)
	}
	return m, pointer
}

// wrong says what is wrong with a value by the schema at a pointer.
func (d *document) wrong(value []byte, pointer []string) error {
	key := "http://daemon/openapi.json#"
	for _, p := range pointer {
		key += "/" + url.PathEscape(strings.NewReplacer("~", "~0", "/", "~1").Replace(p))
	}
	s, ok := d.schemas.Load(key)
	if !ok {
		compiled, err := d.compiler.Compile(key)
		if err != nil {
			return err
		}
		s, _ = d.schemas.LoadOrStore(key, compiled)
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(value))
	if err != nil {
		return err
	}
	return s.(*jsonschema.Schema).Validate(v)
}

// operation finds the operation of a request; nil: there is none.
func (d *document) operation(method, escaped string) []string {
	if method == "HEAD" {
		method = "GET"
	}
	parts := strings.Split(escaped, "/")
	for path, item := range d.paths {
		want := strings.Split(path, "/")
		if item[strings.ToLower(method)] == nil || !slices.EqualFunc(want, parts, func(w, p string) bool { return w == p || strings.HasPrefix(w, "{") && p != "" }) {
			continue
		}
		return []string{"paths", path, strings.ToLower(method)}
	}
	return nil
}

var compilerLock sync.Mutex

// conforms holds an answer against the document: its status, its headers, its media type and its body.
func conforms(t *testing.T, req *http.Request, resp *http.Response, body []byte) {
	t.Helper()
	compilerLock.Lock()
	defer compilerLock.Unlock()
	d := theDocument()
	op := d.operation(req.Method, req.URL.EscapedPath())
	if op == nil || req.Method == "HEAD" || resp.StatusCode == 304 && req.Method == "GET" {
		return
	}
	what := fmt.Sprintf("%s %s -> %d", req.Method, req.URL.Path, resp.StatusCode)
	answer, at := d.at(append(op, "responses", fmt.Sprint(resp.StatusCode))...)
	if answer == nil {
		t.Errorf("%s is not in the document: %s", what, body)
		return
	}
	if codes, _ := answer["x-agnt5-codes"].([]any); codes != nil {
		var p struct{ Code string }
		if err := json.Unmarshal(body, &p); err != nil || !slices.Contains(codes, any(p.Code)) {
			t.Errorf("%s: the document does not have the code %s there", what, p.Code)
		}
	}
	for _, name := range []string{"ETag", "Location", "Retry-After", "WWW-Authenticate", "Allow", "Preference-Applied"} {
		known, _ := answer["headers"].(map[string]any)
		if resp.Header.Get(name) != "" && known[name] == nil {
			t.Errorf("%s: the document does not have the header %s there", what, name)
		}
	}
	content, _ := answer["content"].(map[string]any)
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if len(body) == 0 && content == nil {
		return
	}
	if content[kind] == nil {
		t.Errorf("%s: the document does not have %q there", what, kind)
		return
	}
	if strings.HasSuffix(kind, "json") {
		if err := d.wrong(body, append(at, "content", kind, "schema")); err != nil {
			t.Errorf("%s: %v\n%.500s", what, err, body)
		}
	}
}

// TestTheDocumentSaysWhatIsChecked: what the daemon refuses of a parameter or a body, the document refuses, too, and what stands
// at a limit both take.
func TestTheDocumentSaysWhatIsChecked(t *testing.T) {
	s := open(t, engine.Options{})
	s.want(201, "", "PUT", "/v1/workflows/w", oneTask)
	s.start("w", "r")
	long := strings.Repeat
	d := theDocument()
	list := func(n int) string {
		var names []string
		for i := range n {
			names = append(names, fmt.Sprintf(`"h%d"`, i))
		}
		return strings.Join(names, ",")
	}
	join := func(more string) string { return `{"service_name":"svc","handlers":["h"],"capacity":1` + more + `}` }
	service := func(more string) string { return `{"url":"http://127.0.0.1:1/x","handlers":["h"]` + more + `}` }
	for _, c := range []struct{ method, path, good, bad string }{
		{"POST", "/v1/workflows/w/runs", `{"workflow_id":"` + long("a", 512) + `"}`, `{"workflow_id":"` + long("a", 513) + `"}`},
		{"POST", "/v1/workflows/w/runs", `{"workflow_id":"a[1]#/b"}`, `{"workflow_id":"a b"}`},
		{"POST", "/v1/workflows/w/runs", `{"workflow_id":"..."}`, `{"workflow_id":".."}`},
		{"POST", "/v1/workflows/w/runs", `{"input_data":null}`, `{"workflow_id":""}`},
		{"POST", "/v1/workflows/w/runs", `{}`, `{"input":1}`},
		{"POST", "/v1/runs/r/signals/x", `{"signal_id":"` + long("a", 512) + `"}`, `{"signal_id":"` + long("a", 513) + `"}`},
		{"POST", "/v1/runs/r/cancel", `{"reason":"` + long("a", 1024) + `"}`, `{"reason":"` + long("a", 1025) + `"}`},
		{"POST", "/v1/runs/cancel", `{"state":"running"}`, `{"state":"odd"}`},
		{"POST", "/v1/runs/cancel", `{"id_prefix":"zz"}`, `{"id_prefix":""}`},
		{"POST", "/v1/runs/cancel", `{"workflow":"w","state":"quarantined"}`, `{"workflow":""}`},
		{"POST", "/v1/runs/cancel", `{"until":"2001-01-01T00:00:00Z"}`, `{"until":"yesterday"}`},
		{"POST", "/v1/runs/retry", `{"since":"2901-01-01T00:00:00Z"}`, `{"since":"yesterday"}`},
		{"POST", "/v1/runs/cancel", `{"all":true,"reason":"` + long("a", 1024) + `","id_prefix":"zz"}`, `{"all":"true"}`},
		{"POST", "/v1/workers", join(""), `{"service_name":"svc","handlers":["h"]}`},
		{"POST", "/v1/workers", join(""), `{"handlers":["h"],"capacity":1}`},
		{"POST", "/v1/workers", join(""), `{"service_name":"svc","capacity":1}`},
		{"POST", "/v1/workers", join(""), `{"service_name":"svc","handlers":[],"capacity":1}`},
		{"POST", "/v1/workers", join(""), `{"service_name":"svc","handlers":["h","h"],"capacity":1}`},
		{"POST", "/v1/workers", `{"service_name":"svc","capacity":1,"handlers":[` + list(1000) + `]}`, `{"service_name":"svc","capacity":1,"handlers":[` + list(1001) + `]}`},
		{"POST", "/v1/workers", `{"service_name":"` + long("s", 128) + `","handlers":["h"],"capacity":1}`, `{"service_name":"` + long("s", 129) + `","handlers":["h"],"capacity":1}`},
		{"POST", "/v1/workers", `{"service_name":"svc","handlers":["h"],"capacity":100000}`, `{"service_name":"svc","handlers":["h"],"capacity":100001}`},
		{"POST", "/v1/workers", `{"service_name":"svc","handlers":["` + long("h", 128) + `"],"capacity":1}`, `{"service_name":"svc","handlers":["a b"],"capacity":1}`},
		{"POST", "/v1/workers", join(`,"service_version":"` + long("v", 256) + `"`), join(`,"service_version":"` + long("v", 257) + `"`)},
		{"POST", "/v1/workers", join(`,"worker_id":"` + long("v", 128) + `"`), join(`,"worker_id":"` + long("v", 129) + `"`)},
		{"POST", "/v1/workers/me/poll", `{"max":0,"wait_ms":0}`, `{"max":-1}`},
		{"POST", "/v1/workers/me/poll", `{"max":1,"seq":1}`, `{"wait_ms":-1}`},
		{"POST", "/v1/workers/me/poll", `{"max":0,"wait_ms":0}`, `{"wait_ms":86400001}`},
		{"PUT", "/v1/services/web", service(""), `{"handlers":["h"]}`},
		{"PUT", "/v1/services/web", service(""), `{"url":"http://127.0.0.1:1/x"}`},
		{"PUT", "/v1/services/web", service(""), `{"url":"ftp://127.0.0.1:1/x","handlers":["h"]}`},
		{"PUT", "/v1/services/web", service(""), `{"url":"http://127.0.0.1:1/x","handlers":[]}`},
		{"PUT", "/v1/services/web", service(`,"capacity":1000`), service(`,"capacity":1001`)},
		{"PUT", "/v1/services/web", service(`,"capacity":0`), service(`,"capacity":-1`)},
		{"PUT", "/v1/services/web", service(`,"timeout_ms":86400000`), service(`,"timeout_ms":86400001`)},
		{"PUT", "/v1/services/web", service(`,"timeout_ms":0`), service(`,"timeout_ms":-1`)},
	} {
		s.want(201, "", "POST", "/v1/workers", `{"worker_id":"me","service_name":"svc","handlers":["h"],"capacity":1}`)
		body := append(d.operation(c.method, c.path), "requestBody", "content", "application/json", "schema")
		for _, one := range []struct {
			body string
			good bool
		}{{c.good, true}, {c.bad, false}} {
			if err := d.wrong([]byte(one.body), body); (err == nil) != one.good {
				t.Errorf("%s %s %.100s: the document says %v", c.method, c.path, one.body, err)
			}
			if r := s.send(c.method, c.path, one.body); (r.StatusCode < 400) != one.good {
				t.Errorf("%s %s %.100s: %d %s", c.method, c.path, one.body, r.StatusCode, r.text)
			}
		}
	}
}

// TestTheDocumentSaysWhatIsCheckedOfParameters does the same for each parameter of each route, by what the document says of it.
func TestTheDocumentSaysWhatIsCheckedOfParameters(t *testing.T) {
	s := open(t, engine.Options{})
	d := theDocument()
	tried := 0
	for path, item := range d.paths {
		if !strings.HasPrefix(path, "/v1/") {
			continue
		}
		for method, op := range item {
			list, _ := op.(map[string]any)["parameters"].([]any)
			for _, p := range list {
				p := p.(map[string]any)
				schema := p["schema"].(map[string]any)
				var bad []string
				switch schema["type"] {
				case "integer":
					bad = []string{"", "x", "-1", "1.5"}
					if m, ok := schema["minimum"].(json.Number); ok && m != "0" {
						bad = append(bad, "0")
					}
					if m, _ := schema["maximum"].(json.Number).Int64(); m > 0 && m < 1<<62 {
						bad = append(bad, fmt.Sprint(m+1))
					}
				case "boolean":
					bad = []string{"", "yes", "1"}
				case "string":
					if schema["enum"] != nil || schema["format"] != nil {
						bad = append(bad, "odd")
					}
					if schema["minLength"] != nil {
						bad = append(bad, "")
					}
					if schema["pattern"] != nil {
						bad = append(bad, "..")
					}
					if m, ok := schema["maxLength"].(json.Number); ok {
						n, _ := m.Int64()
						bad = append(bad, strings.Repeat("a", int(n)+1))
					}
				}
				for _, text := range bad {
					at := strings.NewReplacer("{", "x", "}", "").Replace(path)
					var r *reply
					switch p["in"] {
					case "query":
						r = s.send(strings.ToUpper(method), at+"?"+p["name"].(string)+"="+url.QueryEscape(text), "")
					case "header":
						r = s.send(strings.ToUpper(method), at, "", p["name"].(string), text)
					case "path":
						if text == "" { // nothing but another path
							continue
						}
						r = s.send(strings.ToUpper(method), strings.NewReplacer("{", "x", "}", "").Replace(strings.ReplaceAll(path, "{"+p["name"].(string)+"}", url.PathEscape(text))), oneTask)
					}
					if tried++; r.StatusCode < 400 || r.StatusCode == 404 && p["in"] != "path" {
						t.Errorf("%s %s: %s %q is taken: %d", method, path, p["name"], text, r.StatusCode)
					}
				}
			}
		}
	}
	if tried < 50 {
		t.Errorf("only %d parameters were tried", tried)
	}
}
