package docs

import (
	"flag"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write what these tests compare: the notices, and what is public in Go")

// module is one that the program is linked with.
type module struct{ version, dir string }

// linked gives the modules of other people that the program is linked with, on each system that it is built for.
func linked(t *testing.T) map[string]module {
	t.Helper()
	all := map[string]module{}
	for _, system := range []string{"linux", "windows", "darwin"} {
		cmd := exec.Command("go", "list", "-deps", "-f", "{{with .Module}}{{if not .Main}}{{.Path}}\t{{.Version}}\t{{.Dir}}{{end}}{{end}}", "./cmd/agnt5d")
		cmd.Dir = root
		cmd.Env = append(os.Environ(), "GOOS="+system, "CGO_ENABLED=0")
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(out)) {
			if f := strings.Split(strings.TrimSpace(line), "\t"); len(f) == 3 {
				all[f[0]] = module{f[1], f[2]}
			}
		}
	}
	goroot, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	all["the Go standard library"] = module{"", strings.TrimSpace(string(goroot))}
	return all
}

// licences gives the texts that must go with a module's code.
func licences(t *testing.T, m module) (text string) {
	t.Helper()
	files, err := os.ReadDir(m.dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		name := strings.ToUpper(f.Name())
		if f.IsDir() || !strings.HasPrefix(name, "LICEN") && !strings.HasPrefix(name, "NOTICE") && !strings.HasPrefix(name, "COPYING") && !strings.HasPrefix(name, "PATENTS") {
			continue
		}
		b, err := os.ReadFile(filepath.Join(m.dir, f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		text += strings.TrimSpace(strings.ReplaceAll(string(b), "\r\n", "\n")) + "\n\n"
	}
	return text
}

// Whoever passes the program on passes on the licences of what it is linked with. "go test ./internal/docs -run Notices -update" writes them.
func TestNotices(t *testing.T) {
	text := "agnt5d is linked with these modules. Their licences follow.\n\n"
	all := linked(t)
	for _, path := range slices.Sorted(maps.Keys(all)) {
		text += strings.TrimRight("- "+path+" "+all[path].version, " ") + "\n"
	}
	for _, path := range slices.Sorted(maps.Keys(all)) {
		its := licences(t, all[path])
		if its == "" {
			t.Errorf("%s has no licence", path)
		}
		text += "\n" + strings.Repeat("=", 80) + "\n" + path + "\n" + strings.Repeat("=", 80) + "\n\n" + its
	}
	page, err := os.ReadFile(filepath.Join(root, "ui", "dist", "ui", "licences.txt")) // the build of the page writes it
	if err != nil {
		t.Fatal(err)
	}
	text += "\n" + strings.Repeat("=", 80) + "\nthe web page\n" + strings.Repeat("=", 80) + "\n\n" + string(page)
	text = strings.TrimRight(text, "\n") + "\n"
	file := filepath.Join(root, "THIRD_PARTY_NOTICES.txt")
	if *update {
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	is, err := os.ReadFile(file)
	if err != nil || string(is) != text {
		t.Errorf("THIRD_PARTY_NOTICES.txt is not what the program is linked with: go test ./internal/docs -run Notices -update (%v)", err)
	}
}
