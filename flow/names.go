package flow

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/agnt5/agnt5d/internal/ids"
)

const (
	maxName      = 128
	maxRunID     = 512
	maxObjectKey = 256
	nameMarks    = "_:.-"
	runIDMarks   = "._:-/[]#"
	wantName     = "want 1 to 128 of letters, digits, _ : . -"
	wantRunID    = "want 1 to 512 of letters, digits, . _ : - / [ ] #"
)

// ValidName checks a name of a workflow, step, service, handler, signal or timer: 1 to 128 of letters, digits, _ : . - of
// ASCII, never . or .. alone. The error's text goes on after what the name is for: "is empty; want 1 to ...".
func ValidName(name string) error {
	if err := validText(name, maxName, nameMarks, wantName); err != nil {
		return err
	}
	return ids.Check(name)
}

// ValidRunID checks an id that a caller gave to a run or a signal: 1 to 512 of letters, digits, . _ : - / [ ] # of ASCII,
// never . or .. alone. The idempotency key of a step, RUN/STEP, is one when it is short enough.
func ValidRunID(id string) error {
	if err := validText(id, maxRunID, runIDMarks, wantRunID); err != nil {
		return err
	}
	return ids.Check(id)
}

// validText checks a text of ASCII letters, digits and some marks.
func validText(text string, most int, marks, want string) error {
	if text == "" {
		return errors.New("is empty; " + want)
	}
	if len(text) > most {
		return fmt.Errorf("%s is %d bytes long; %s", quote(text), len(text), want)
	}
	for i, r := range text {
		switch c := text[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', strings.IndexByte(marks, c) >= 0:
		default:
			return fmt.Errorf("%s holds %q; %s", quote(text), r, want)
		}
	}
	return nil
}

// ValidObjectKey checks an object key: 1 to 256 bytes of printable UTF-8, inner blanks included, never . or .. alone.
func ValidObjectKey(key string) error {
	if err := recordedKey(key); err != nil {
		return err
	}
	if err := ids.Check(key); err != nil {
		return fmt.Errorf("object key %w", err)
	}
	return nil
}

// recordedKey is ValidObjectKey by the rule of older journals, which took . and .. as well.
func recordedKey(key string) error {
	const want = "want 1 to 256 bytes of printable UTF-8"
	switch {
	case key == "":
		return errors.New("object key is empty; " + want)
	case len(key) > maxObjectKey:
		return fmt.Errorf("object key %s is %d bytes long; %s", quote(key), len(key), want)
	case !utf8.ValidString(key):
		return fmt.Errorf("object key %s is not valid UTF-8; %s", quote(key), want)
	}
	for _, r := range key {
		if !unicode.IsPrint(r) {
			return fmt.Errorf("object key %s holds %U, which does not print; %s", quote(key), r, want)
		}
	}
	return nil
}

// quote shows a text from outside in a message, cut when it is long.
func quote(s string) string { return strconv.Quote(cut(s, 64)) }

// cut shortens a text to about n bytes.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "…"
}

// TextRule is what is checked of a kind of text, as JSON Schema says it.
type TextRule struct {
	Pattern string // "": any characters
	Most    int    // length; the least is 1
}

// NameRule is what ValidName checks, RunIDRule what ValidRunID does. ObjectKeyRule is of ValidObjectKey, which counts bytes.
var (
	NameRule      = textRule(maxName, nameMarks)
	RunIDRule     = textRule(maxRunID, runIDMarks)
	ObjectKeyRule = TextRule{Pattern: `^(\.{0,2}[^.\u0000-\u001f\u007f-\u009f]|\.{3})[^\u0000-\u001f\u007f-\u009f]*$`, Most: maxObjectKey}
)

// textRule is for ASCII letters, digits and marks, a dot among them, but never . or .. alone.
func textRule(most int, marks string) TextRule {
	var all, others strings.Builder
	for _, m := range marks {
		text := string(m)
		if strings.ContainsRune("-[]", m) {
			text = `\` + text
		}
		if all.WriteString(text); m != '.' {
			others.WriteString(text)
		}
	}
	return TextRule{Pattern: `^(\.{0,2}[A-Za-z0-9` + others.String() + `]|\.{3})[A-Za-z0-9` + all.String() + `]*$`, Most: most}
}
