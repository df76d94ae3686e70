package docs

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/doc"
	"go/parser"
	"go/printer"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// hidden are folders whose packages others cannot import, or are programs.
var hidden = []string{"internal", "cmd", "examples", "sdk", "docs", "testdata"}

// TestWhatIsPublicInGo compares what the packages that others can import export with testdata/public.txt, so that each change of it
// stands in a diff: go test ./internal/docs -run Public -update.
func TestWhatIsPublicInGo(t *testing.T) {
	var text bytes.Buffer
	for _, dir := range publicFolders(t) {
		files := token.NewFileSet()
		var sources []*ast.File
		names, err := filepath.Glob(filepath.Join(root, dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			f, err := parser.ParseFile(files, name, nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			if base := strings.TrimSuffix(filepath.Base(name), ".go"); !strings.HasSuffix(base, "_test") && !strings.HasSuffix(base, "_windows") && !strings.HasSuffix(base, "_other") {
				sources = append(sources, f)
			}
		}
		p, err := doc.NewFromFiles(files, sources, "github.com/agnt5/agnt5d/"+dir)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&text, "package %s // %s\n", p.Name, dir)
		var decls []ast.Decl
		funcs := func(all []*doc.Func) {
			for _, f := range all {
				f.Decl.Body = nil
				decls = append(decls, f.Decl)
			}
		}
		values := func(all []*doc.Value) {
			for _, v := range all {
				decls = append(decls, v.Decl)
			}
		}
		values(p.Consts)
		values(p.Vars)
		funcs(p.Funcs)
		for _, typ := range p.Types {
			decls = append(decls, typ.Decl)
			values(typ.Consts)
			values(typ.Vars)
			funcs(typ.Funcs)
			funcs(typ.Methods)
		}
		for _, d := range decls {
			quiet(d)
			var one bytes.Buffer
			if err := (&printer.Config{Mode: printer.UseSpaces | printer.TabIndent, Tabwidth: 8}).Fprint(&one, token.NewFileSet(), d); err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(&text, "%s\n", one.String())
		}
		text.WriteByte('\n')
	}
	const golden = "testdata/public.txt"
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(golden, text.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got := text.String(); got != string(want) {
		t.Errorf("what is public in Go has changed; if that is meant: go test ./internal/docs -run Public -update\n%s", firstDifference(string(want), got))
	}
}

// Everything that one begins with has an example that runs.
func TestEachEntryPointHasAnExample(t *testing.T) {
	for _, dir := range []string{"engine", "enginetest", "flow", "client", "worker", "api", "replay", "journal/bolt"} {
		names, err := filepath.Glob(filepath.Join(root, dir, "*_test.go"))
		if err != nil {
			t.Fatal(err)
		}
		runs := false
		for _, name := range names {
			f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range doc.Examples(f) {
				runs = runs || e.Output != "" || dir == "enginetest" // which wants a *testing.T; a page of the docs runs one
			}
		}
		if !runs {
			t.Errorf("%s has no Example with an Output", dir)
		}
	}
}

// quiet leaves out comments and values: what is public is names and types.
func quiet(d ast.Decl) {
	ast.Inspect(d, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.StructType:
			n.Incomplete = false // what is not exported is left out
		case *ast.InterfaceType:
			n.Incomplete = false
		case *ast.FuncDecl:
			n.Doc = nil
		case *ast.GenDecl:
			n.Doc = nil
		case *ast.Field:
			n.Doc, n.Comment = nil, nil
		case *ast.TypeSpec:
			n.Doc, n.Comment = nil, nil
		case *ast.ValueSpec:
			n.Doc, n.Comment = nil, nil
		}
		return true
	})
}

// publicFolders are the folders of packages that others can import.
func publicFolders(t *testing.T) []string {
	t.Helper()
	var all []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		dir, err := filepath.Rel(root, filepath.Join(path, ".."))
		if path == root || err != nil {
			return err
		}
		if d.IsDir() && (slices.Contains(hidden, d.Name()) || strings.HasPrefix(d.Name(), ".")) {
			return fs.SkipDir
		}
		if dir != "." && strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, "_test.go") && !slices.Contains(all, filepath.ToSlash(dir)) {
			all = append(all, filepath.ToSlash(dir))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(all)
	return all
}

func firstDifference(want, got string) string {
	a, b := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return fmt.Sprintf("line %d was %q and is %q", i+1, a[i], b[i])
		}
	}
	return fmt.Sprintf("it had %d lines and has %d", len(a), len(b))
}
