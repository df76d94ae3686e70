// Package docs runs what README and docs tell people to type.
package docs

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const root = "../.."

var block = regexp.MustCompile("(?ms)^```([a-z]*)\n(.*?)^```")

// TestWhatIsToldToBeTypedWorks runs every sh block of README and docs, in a copy of the repository, in the order in which they
// stand on each page; a yaml block is saved under the name that the sentence before it gives. The one command that is not run
// here is the test command itself, which CI runs.
func TestWhatIsToldToBeTypedWorks(t *testing.T) {
	if testing.Short() {
		t.Skip("runs every command of the docs; not with -short")
	}
	ci, err := os.ReadFile(filepath.Join(root, ".ci/run"))
	if err != nil || !strings.Contains(string(ci), "\ngo test ./...\n") {
		t.Fatalf("CI does not run the README's test command: %v", err)
	}
	pages, err := filepath.Glob(filepath.Join(root, "docs/*.md"))
	if err != nil {
		t.Fatal(err)
	}
	ran := 0
	for _, page := range append(pages, filepath.Join(root, "README.md")) {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		var dir string
		for _, m := range block.FindAllSubmatchIndex(text, -1) {
			kind, body := string(text[m[2]:m[3]]), string(text[m[4]:m[5]])
			if (kind == "sh" || kind == "yaml") && dir == "" {
				dir = checkout(t)
			}
			switch kind {
			case "text", "":
			case "go": // an excerpt of a program that is compiled and run
				if program, err := os.ReadFile(filepath.Join(root, "examples/embed/main.go")); err != nil || !strings.Contains(string(program), body) {
					t.Errorf("%s: the go block is not an excerpt of examples/embed/main.go: %v", page, err)
				}
			case "yaml":
				name := regexp.MustCompile("`([a-z]+\\.yaml)`:?\\s*$").FindSubmatch(text[:m[0]])
				if name == nil {
					t.Errorf("%s: a yaml block without a name before it", page)
					continue
				}
				if err := os.WriteFile(filepath.Join(dir, string(name[1])), []byte(body), 0o600); err != nil {
					t.Fatal(err)
				}
			case "sh":
				if strings.TrimSpace(body) == "go test ./..." {
					continue
				}
				cmd := exec.Command("bash", "-euo", "pipefail", "-c", body)
				cmd.Dir = dir
				if out, err := cmd.CombinedOutput(); err != nil {
					t.Errorf("%s: %s: %v\n%s", page, body, err, out)
				}
				ran++
			default:
				t.Errorf("%s: a block of kind %q, which nobody runs", page, kind)
			}
		}
	}
	if ran < 3 {
		t.Errorf("only %d blocks were run", ran)
	}
}

// checkout copies the repository without its history.
func checkout(t *testing.T) string {
	dir := t.TempDir()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		switch {
		case d.IsDir() && (d.Name() == ".git" || d.Name() == "node_modules" || d.Name() == ".venv"):
			return fs.SkipDir
		case d.IsDir():
			return os.MkdirAll(filepath.Join(dir, rel), 0o700)
		case !d.Type().IsRegular() || strings.HasSuffix(path, ".db"):
			return nil
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(dir, rel), b, 0o600)
	})
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestLinksLeadSomewhere(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)#:]+)(#[^)]*)?\)`)
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() && d.Name() == ".git" {
			return fs.SkipDir
		}
		if !strings.HasSuffix(path, ".md") {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, m := range link.FindAllStringSubmatch(string(text), -1) {
			if _, err := os.Stat(filepath.Join(filepath.Dir(path), m[1])); err != nil {
				t.Errorf("%s: %v", path, err)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
