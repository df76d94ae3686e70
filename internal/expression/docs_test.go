package expression

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
)

// Every example of docs/language.md gives what the page says.
func TestTheExamplesOfTheDocs(t *testing.T) {
	b, err := os.ReadFile("../../docs/language.md")
	if err != nil {
		t.Fatal(err)
	}
	_, after, ok := strings.Cut(string(b), "With this input\n\n```\n")
	input, table, ok2 := strings.Cut(after, "\n```\n")
	if !ok || !ok2 || !json.Valid([]byte(input)) {
		t.Fatalf("no input: %.100q", input)
	}
	n := 0
	for line := range strings.Lines(table) {
		cells := strings.Split(strings.ReplaceAll(strings.TrimSpace(line), `\|`, "\x00"), " | ")
		if len(cells) != 2 || !strings.HasPrefix(cells[0], "| `") {
			continue
		}
		text := strings.ReplaceAll(strings.Trim(strings.TrimPrefix(cells[0], "| "), "`"), "\x00", "|")
		want := strings.Trim(strings.TrimSuffix(cells[1], " |"), "`")
		n++
		p, err := Compile(text, 0)
		if err != nil {
			t.Errorf("%v", err)
			continue
		}
		if got, err := p.Eval(&Env{Input: json.RawMessage(input)}); err != nil || string(got) != want {
			t.Errorf("%s gives %s, the page says %s (%v)", text, got, want, err)
		}
	}
	if n < 20 {
		t.Errorf("only %d examples", n)
	}
}
