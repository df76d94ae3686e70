package api

import (
	"net/http"
	"strings"

	"github.com/agnt5/agnt5d/internal/ids"
)

// router finds the route of a request by the parts of its path. It is not http.ServeMux, which answers a path that is not clean
// with a redirect to another one, and takes a part that is %2F for the end of the path.
type router map[int][]entry // by the number of parts

type entry struct {
	method  string
	parts   []string // one in braces takes any text
	handler http.Handler
}

func (m router) handle(method, path string, h http.Handler) {
	var parts []string
	if path != "/{$}" {
		parts = strings.Split(path[1:], "/")
	}
	m[len(parts)] = append(m[len(parts)], entry{method, parts, h})
}

// takes says whether the parts of a path are those of the route.
func (e *entry) takes(parts []string) bool {
	for i, want := range e.parts {
		if want != parts[i] && want[0] != '{' {
			return false
		}
	}
	return true
}

// find gives the handler of a request and sets the values that its path carries; nil: no route takes it. GET takes HEAD, too.
func (m router) find(r *http.Request) http.Handler {
	parts, err := ids.Parts(r.URL.EscapedPath())
	if err != nil {
		return nil
	}
	method := r.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	for i := range m[len(parts)] {
		e := &m[len(parts)][i]
		if e.method != method || !e.takes(parts) {
			continue
		}
		for n, part := range e.parts {
			if part[0] == '{' {
				r.SetPathValue(part[1:len(part)-1], parts[n])
			}
		}
		return e.handler
	}
	return nil
}

// allowed names the methods that a path knows, "" if it is no path of ours.
func (m router) allowed(parts []string) string {
	var list []string
	for _, method := range []string{"GET", "POST", "PUT", "PATCH", "DELETE"} {
		for i := range m[len(parts)] {
			if e := &m[len(parts)][i]; e.method == method && e.takes(parts) {
				if list = append(list, method); method == "GET" {
					list = append(list, "HEAD")
				}
				break
			}
		}
	}
	return strings.Join(list, ", ")
}
