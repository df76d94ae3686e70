package flow

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/agnt5/agnt5d/internal/cron"
	gocmp "github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the goldens in testdata/flow; read the diff")

const testdata = "../testdata/flow"

func files(t *testing.T, dir string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(testdata, dir, "*"))
	if err != nil || len(names) == 0 {
		t.Fatalf("%s: %d files, %v", dir, len(names), err)
	}
	return names
}

func read(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// golden compares with a file, or rewrites it.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	name = filepath.Join(testdata, name)
	if *update {
		if err := os.WriteFile(name, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := gocmp.Diff(string(read(t, name)), string(got)); diff != "" {
		t.Errorf("%s (-file +got); \"go test ./flow -update\" rewrites it\n%s", name, diff)
	}
}

// Vectors are what every implementation of definitions must agree on. testdata/flow/README.md says how to read them.
type vectors struct {
	Valid   []validVector   `json:"valid"`
	Invalid []invalidVector `json:"invalid"`
	Cron    []cronVector    `json:"cron"`
	Keys    []keyVector     `json:"keys"`
}

type keyVector struct {
	Path  string `json:"path"`
	Type  string `json:"type"`
	Of    string `json:"of,omitempty"`
	Steps string `json:"steps,omitempty"`
}

type validVector struct {
	File      string `json:"file"`
	Input     string `json:"input"`
	Canonical string `json:"canonical"`
	Digest    Digest `json:"digest"`
}

type invalidVector struct {
	File     string      `json:"file"`
	Input    string      `json:"input"`
	Problems [][2]string `json:"problems"`
}

type cronVector struct {
	Expr    string `json:"expr"`
	Zone    string `json:"zone"`
	After   string `json:"after,omitempty"`
	Next    string `json:"next,omitempty"`
	Refused bool   `json:"refused,omitempty"`
}

// Every part of the language is read and checked here, also what the engine cannot run yet.
func init() { refused, notYet = notYet, nil }

var refused map[string]string

func TestWhatTheEngineCannotRunIsRefused(t *testing.T) {
	notYet = refused
	defer func() { notYet = nil }()
	text := read(t, testdata+"/canonical/language.json")
	_, problems := Read(text)
	if len(problems) == 0 && len(refused) > 0 {
		t.Errorf("nothing is refused, and %d kinds cannot be run", len(refused))
	}
	for _, p := range problems {
		if p.Code != CodeNotSupported || p.Line == 0 {
			t.Errorf("%+v", p)
		}
	}
}

func TestTestdata(t *testing.T) {
	v := vectors{Valid: testValid(t), Invalid: testInvalid(t), Cron: testCron(t)}
	for _, k := range everyKey() {
		of := ""
		if k.top {
			of = "definition"
		}
		v.Keys = append(v.Keys, keyVector{k.name, k.kind.String(), of, k.stepsText()})
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", " ")
	if err := enc.Encode(v); err != nil {
		t.Fatal(err)
	}
	golden(t, "vectors.json", b.Bytes())
}

// Every definition that must be taken, with its canonical form. Where one stands as JSON and as YAML both are the same.
func testValid(t *testing.T) []validVector {
	var all []validVector
	digests := map[string]Digest{}
	for _, name := range append(files(t, "document"), files(t, "canonical")...) {
		input := read(t, name)
		d, problems := Read(input)
		if len(problems) > 0 {
			t.Errorf("%s: %v", name, problems)
			continue
		}
		body, err := Canonical(d)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		g, err := NewGraph(d)
		if err != nil || g.Digest != DigestOf(body) {
			t.Errorf("%s: graph: %v", name, err)
			continue
		}
		if again, p := Parse(body); len(p) > 0 {
			t.Errorf("%s: canonical form: %v", name, p)
		} else if twice, _ := Canonical(again); !bytes.Equal(body, twice) {
			t.Errorf("%s: canonical form of the canonical form:\n%s\n%s", name, body, twice)
		}
		stem := strings.TrimSuffix(name, filepath.Ext(name))
		if other, ok := digests[stem]; ok && other != g.Digest {
			t.Errorf("%s has digest %s as JSON and %s as YAML", stem, other, g.Digest)
		}
		digests[stem] = g.Digest
		all = append(all, validVector{rel(name), string(input), string(body), g.Digest})
	}
	return all
}

func rel(name string) string {
	r, _ := filepath.Rel(testdata, name)
	return filepath.ToSlash(r)
}

// Every rule, broken: which problems are reported, of which step, in which words.
func testInvalid(t *testing.T) []invalidVector {
	var all []invalidVector
	var words bytes.Buffer
	seen := map[string]bool{CodeTooLarge: true, CodeTooTangled: true, CodeMoreProblems: true, CodeTimeoutZero: true, CodeJoinAll: true, CodeOnFailureShared: true, CodeManyOutputs: true, CodeInputInvalid: true, CodeNotSupported: true} // in tests of their own
	for _, name := range files(t, "invalid") {
		input := read(t, name)
		_, problems := Read(input)
		if len(problems) == 0 {
			t.Errorf("%s was taken", name)
		}
		fmt.Fprintf(&words, "%s\n", filepath.Base(name))
		v := invalidVector{File: rel(name), Input: string(input)}
		for _, p := range problems {
			fmt.Fprintf(&words, "    %d:%d %s %s: %s\n", p.Line, p.Column, p.Code, p.Step, p.Detail)
			v.Problems = append(v.Problems, [2]string{p.Code, p.Step})
			seen[p.Code] = true
		}
		if utf8.Valid(input) {
			all = append(all, v)
		}
	}
	for _, c := range Codes {
		if !seen[c.Code] {
			t.Errorf("no file in testdata/flow/invalid shows %s", c.Code)
		}
	}
	golden(t, "invalid.golden", words.Bytes())
	return all
}

func testCron(t *testing.T) []cronVector {
	var all []cronVector
	for line := range strings.Lines(string(read(t, filepath.Join(testdata, "cron.txt")))) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		f := strings.Split(line, "|")
		if len(f) != 4 {
			t.Fatalf("cron.txt: %q", line)
		}
		for i := range f {
			f[i] = strings.TrimSpace(f[i])
		}
		v := cronVector{Expr: f[0], Zone: f[1], After: f[2], Next: f[3]}
		s, err := cron.Parse(v.Expr, v.Zone)
		if v.Next == "refused" {
			if err == nil {
				t.Errorf("cron %q in %q was taken", v.Expr, v.Zone)
			}
			v.Next, v.Refused = "", true
			all = append(all, v)
			continue
		}
		after, bad := time.Parse(time.RFC3339, v.After)
		if err != nil || bad != nil {
			t.Errorf("cron %q in %q: %v, %v", v.Expr, v.Zone, err, bad)
			continue
		}
		if next, ok := s.Next(after); !ok || next.UTC().Format(time.RFC3339) != v.Next {
			t.Errorf("cron %q in %q after %s: %s, want %s", v.Expr, v.Zone, v.After, next.UTC().Format(time.RFC3339), v.Next)
		}
		all = append(all, v)
	}
	return all
}

func TestEveryCodeIsListedOnce(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range Codes {
		if seen[c.Code] || c.Means == "" {
			t.Errorf("%s: listed twice, or without a meaning", c.Code)
		}
		seen[c.Code] = true
	}
	source := string(read(t, "problems.go"))
	for line := range strings.Lines(source) {
		name, code, ok := strings.Cut(strings.TrimSpace(line), `= "`)
		if code, _, _ = strings.Cut(code, `"`); ok && strings.HasPrefix(name, "Code") && !seen[code] {
			t.Errorf("%s is not listed", code)
		}
	}
}
