package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/internal/killtest"
)

func TestMain(m *testing.M) { killtest.Main(m, main) }

const parallel = 4

func with(lines []string, prefix string) []string {
	return slices.DeleteFunc(slices.Clone(lines), func(s string) bool { return !strings.HasPrefix(s, prefix) })
}

// times gives how many lines there are, and how many that are there once at least.
func times(lines []string) (all, different int) {
	return len(lines), len(slices.Compact(slices.Sorted(slices.Values(lines))))
}

func TestTheDefinitionIsValid(t *testing.T) {
	d := definition(options{parallel: parallel})
	if problems := flow.Validate(&d); len(problems) > 0 {
		t.Fatal(problems)
	}
}

// The crawler is killed while it reads the pages of this repository, and again while it checks their links. Each is asked for once, but for
// those that were under way at a kill; the site has another address each time.
func TestKilledTwice(t *testing.T) {
	args := []string{"-file", filepath.Join(t.TempDir(), "c.db"), "-dir", "../.."}
	lines := killtest.Program(t, "read docs/cli.md", args...)
	lines = append(lines, killtest.Program(t, "check docs/adr/", args...)...)
	lines = append(lines, killtest.Program(t, "", args...)...)
	pages, differentPages := times(with(lines, "read "))
	links, differentLinks := times(with(lines, "check "))
	if pages > differentPages+parallel+1 || links > differentLinks+parallel { // the first page is found, and then read
		t.Errorf("%d of %d pages and %d of %d links were asked for: %q", pages, differentPages, links, differentLinks, lines)
	}
	want := fmt.Sprintf(`completed: {"dead":[],"links":%d,"pages":%d}`, differentLinks, differentPages)
	if last := lines[len(lines)-1]; last != want || differentPages < 15 || differentLinks <= differentPages {
		t.Errorf("%s, want %s and more than 15 pages", last, want)
	}
}

// A page that cannot be read is tolerated, one that fails at first is read again, and dead links are named.
func TestDeadLinks(t *testing.T) {
	var asked atomic.Int32
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/index.html":
			fmt.Fprint(w, `<a href="a.html"><a href="b.html"><a href="sub/c.html"><a href="gone.html"><a href="https://elsewhere.example/"><a href="#here">`)
		case "/a.html":
			fmt.Fprint(w, `<a href="picture.png"> <a href="a.html#there">`)
		case "/b.html":
			if asked.Add(1) == 1 {
				w.WriteHeader(http.StatusServiceUnavailable)
			}
			fmt.Fprint(w, "[c](sub/c.html)")
		case "/sub/c.html":
			fmt.Fprint(w, `<a href="../index.html"><a href="/sub/d.txt">`)
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	defer site.Close()
	lines := killtest.Program(t, "", "-file", filepath.Join(t.TempDir(), "c.db"), "-site", site.URL+"/", "-start", "index.html")
	if last := lines[len(lines)-1]; last != `completed: {"dead":["gone.html","picture.png","sub/d.txt"],"links":7,"pages":4}` {
		t.Errorf("%q", lines)
	}
	if n := len(with(lines, "read b.html")); n != 2 {
		t.Errorf("b.html was read %d times, want 2: %q", n, lines)
	}
}
