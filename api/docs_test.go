package api

import (
	commandline "flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/agnt5/agnt5d/access"
)

// TestDocsListEveryRoute holds the table of routes in docs/http-api.md against the one that makes the mux.
func TestDocsListEveryRoute(t *testing.T) {
	const begin, end = "writes this table from the one that makes the mux -->\n", "<!-- end of routes -->"
	path := filepath.Join("..", "docs", "http-api.md")
	page, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(page), begin)
	got, after, foundEnd := strings.Cut(rest, end)
	if !found || !foundEnd {
		t.Fatal("docs/http-api.md has no place for the table of routes")
	}
	want := "\n| route | scope | |\n|---|---|---|\n"
	for _, r := range routes {
		want += fmt.Sprintf("| `%s %s` | %s | %s |\n", r.Method, strings.TrimSuffix(r.Path, "{$}"), r.Scope, r.Summary)
	}
	want += "\n"
	if got == want {
		return
	}
	if commandline.Lookup("update").Value.String() != "true" {
		t.Fatal("docs/http-api.md does not list the routes as they are: go test ./api -run TestDocs -update")
	}
	if err := os.WriteFile(path, []byte(before+begin+want+end+after), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestDocsListEveryRight holds the table of rights in docs/access.md against what is checked.
func TestDocsListEveryRight(t *testing.T) {
	const begin, end = "writes this table from the one that makes the mux -->\n", "<!-- end of rights -->"
	path := filepath.Join("..", "docs", "access.md")
	page, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(page), begin)
	got, after, foundEnd := strings.Cut(rest, end)
	if !found || !foundEnd {
		t.Fatal("docs/access.md has no place for the table of rights")
	}
	scopes := []access.Scope{access.Read, access.Operate, access.Worker + ":svc", access.Admin}
	want := "\n| route | public | read | operate | worker | admin |\n|---|---|---|---|---|---|\n"
	for _, r := range routes {
		want += fmt.Sprintf("| `%s %s` |", r.Method, strings.TrimSuffix(r.Path, "{$}"))
		marks := []bool{r.Scope == scopePublic}
		for _, s := range scopes {
			marks = append(marks, r.Scope == scopePublic || s.Allows(access.Scope(r.Scope)))
		}
		for i, yes := range marks {
			switch {
			case yes:
				want += " yes |"
			case r.Lease && i > 0 && scopes[i-1].Allows(access.Worker):
				want += " with a lease |"
			default:
				want += " |"
			}
		}
		want += "\n"
	}
	want += "\n"
	if got == want {
		return
	}
	if commandline.Lookup("update").Value.String() != "true" {
		t.Fatal("docs/access.md does not have the rights as they are: go test ./api -run TestDocs -update")
	}
	if err := os.WriteFile(path, []byte(before+begin+want+end+after), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestEveryRouteHasAScope: a route that changes something is never open to those who may only look.
func TestEveryRouteHasAScope(t *testing.T) {
	for _, r := range routes {
		switch r.Scope {
		case scopePublic, scopeRead:
			if r.Method != "GET" && r.Path != "/v1/session" && r.Path != "/v1/schedules/preview" { // which proves itself, and keeps nothing
				t.Errorf("%s %s: the scope is %s, but it changes something", r.Method, r.Path, r.Scope)
			}
		case scopeOperate, scopeWorker, scopeAdmin:
		default:
			t.Errorf("%s %s has no scope", r.Method, r.Path)
		}
	}
}
