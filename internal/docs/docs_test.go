// Package docs runs what README and docs tell people to type.
package docs

import (
	"go/format"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const root = "../.."

var block = regexp.MustCompile("(?ms)^```([a-z]*)\n(.*?)^```")

// fileName is the name of a file at the end of the sentence before a block.
var fileName = regexp.MustCompile("`([a-z._/]+\\.(?:yaml|go))`:?\\s*$")

// TestWhatIsToldToBeTypedWorks runs every sh block of README and docs, in a copy of the repository, in the order in which they
// stand on each page; a yaml or go block is saved under the name that the sentence before it ends with, if it ends with one. A
// terminal block is a command that stays: it runs until the page's end. The daemon of a page answers on a port of its own. The one
// command that is not run here is the test command itself, which CI runs.
func TestWhatIsToldToBeTypedWorks(t *testing.T) {
	if testing.Short() {
		t.Skip("runs every command of the docs; not with -short")
	}
	ci, err := os.ReadFile(filepath.Join(root, ".ci/run"))
	if err != nil || !strings.Contains(string(ci), "\ngo test ./...\n") {
		t.Fatalf("CI does not run the README's test command: %v", err)
	}
	ran := 0
pages:
	for _, page := range pages(t) {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		var dir string
		address := freeAddress(t)
		for _, m := range block.FindAllSubmatchIndex(text, -1) {
			kind, body := string(text[m[2]:m[3]]), string(text[m[4]:m[5]])
			body = strings.ReplaceAll(body, "127.0.0.1:8080", address)
			name := fileName.FindSubmatch(text[:m[0]])
			if (kind == "sh" || kind == "terminal" || name != nil) && dir == "" {
				dir = checkout(t)
			}
			switch kind {
			case "text", "", "json": // TestDefinitionsAreValid reads json and yaml
			case "go":
				if name != nil { // a program that the page's commands compile and run
					if formatted, err := format.Source([]byte(body)); err != nil || string(formatted) != body {
						t.Errorf("%s: %s is not as gofmt writes it: %v", page, name[1], err)
					}
					save(t, dir, string(name[1]), body)
					continue
				}
				// an excerpt of a program that is compiled and run
				if !strings.Contains(examples(t, "examples/*/main.go"), body) {
					t.Errorf("%s: the go block is not an excerpt of a main.go in examples:\n%s", page, body)
				}
			case "python": // an excerpt of an example that the SDK's tests run
				if !strings.Contains(examples(t, "examples/python/*.py"), body) {
					t.Errorf("%s: the python block is not an excerpt of examples/python:\n%s", page, body)
				}
			case "yaml":
				if name != nil {
					save(t, dir, string(name[1]), body)
				}
			case "terminal":
				stay(t, page, dir, address, body)
				ran++
			case "sh":
				if strings.TrimSpace(body) == "go test ./..." {
					continue
				}
				cmd := exec.Command("bash", "-euo", "pipefail", "-c", body)
				cmd.Dir = dir
				cmd.Env = environment(address)
				if out, err := cmd.CombinedOutput(); err != nil {
					t.Errorf("%s: %s: %v\n%s", page, body, err, out)
					continue pages // what follows rests on it, and may wait for it for ever
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

// save writes a file under the name that a page gives, from its checkout.
func save(t *testing.T, dir, name, body string) {
	name = filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(body), 0o600); err != nil {
		t.Fatal(err)
	}
}

// stay starts a command that runs until the page is done.
func stay(t *testing.T, page, dir, address, body string) {
	cmd := exec.Command("bash", "-c", "exec "+strings.TrimSpace(body))
	cmd.Dir = dir
	cmd.Env = append(environment(address), "AGNT5D_LISTEN="+address)
	if err := cmd.Start(); err != nil {
		t.Fatalf("%s: %s: %v", page, body, err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
}

// examples gives the text of all programs with such a path.
func examples(t *testing.T, pattern string) string {
	files, err := filepath.Glob(filepath.Join(root, pattern))
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(b)
	}
	return all.String()
}

func freeAddress(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// environment is that of a page's commands. -trimpath lets the pages share what is compiled: each has a copy of the repository of its own, and
// without it Go would compile all of it again for each.
func environment(address string) []string {
	return append(os.Environ(), "AGNT5_URL=http://"+address, "GOFLAGS="+os.Getenv("GOFLAGS")+" -trimpath")
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
		case d.IsDir() && (d.Name() == ".git" || d.Name() == "node_modules" || d.Name() == ".venv" || rel == "bin"): // bin: what somebody built here is not what the page builds
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
		if err != nil || d.IsDir() && (d.Name() == ".git" || d.Name() == "node_modules") {
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

// Who looks for the right room for a change finds every package in docs/architecture.md, and no package that is gone.
func TestEveryPackageHasItsLine(t *testing.T) {
	page, err := os.ReadFile(filepath.Join(root, "docs/architecture.md"))
	if err != nil {
		t.Fatal(err)
	}
	dirs, err := os.ReadDir(filepath.Join(root, "internal"))
	if err != nil || len(dirs) < 20 {
		t.Fatal(len(dirs), err)
	}
	there := map[string]bool{}
	for _, d := range dirs {
		there[d.Name()] = true
		if !strings.Contains(string(page), "`internal/"+d.Name()+"`") {
			t.Errorf("docs/architecture.md has no line about internal/%s", d.Name())
		}
	}
	for _, m := range regexp.MustCompile("(?m)^\\|[^|]*`internal/([a-z0-9]+)`").FindAllStringSubmatch(string(page), -1) {
		if !there[m[1]] {
			t.Errorf("docs/architecture.md has a line about internal/%s, which is not there", m[1])
		}
	}
}
