package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/spf13/cobra"
)

// plain is where text for people goes. Handlers, clients and workers write much of it: what a terminal would take as an order, or not
// show at all, is shown escaped. Lines and tabs are ours; a text that must stay on its line goes through visible.
type plain struct{ w io.Writer }

func (p *plain) Write(b []byte) (int, error) {
	text := string(b)
	if !strings.ContainsFunc(text, orders) {
		return p.w.Write(b)
	}
	out := make([]byte, 0, len(b)+32)
	for len(text) > 0 {
		r, n := utf8.DecodeRuneInString(text)
		if orders(r) {
			out = fmt.Appendf(out, `\u%04x`, r)
		} else {
			out = append(out, text[:n]...) // also a byte that is no UTF-8
		}
		text = text[n:]
	}
	if _, err := p.w.Write(out); err != nil {
		return 0, err
	}
	return len(b), nil
}

// unwrap is where a writer's text ends up.
func unwrap(w io.Writer) io.Writer {
	if p, ok := w.(*plain); ok {
		return p.w
	}
	return w
}

func orders(r rune) bool { return r != '\n' && hidden(r) }

func hidden(r rune) bool { return r != '\t' && (unicode.IsControl(r) || unicode.Is(unicode.Cf, r)) }

// visible keeps a text from elsewhere on its line, and shows what would be hidden.
func visible(line string) string {
	if !strings.ContainsFunc(line, hidden) {
		return line
	}
	b := &strings.Builder{}
	for _, r := range line {
		switch {
		case r == '\n':
			b.WriteString(`\n`)
		case hidden(r):
			fmt.Fprintf(b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// drawn are verbs that move a terminal's cursor themselves, or write what is no text for people.
var drawn = []string{"serve", "demo", "bench", "completion", cobra.ShellCompRequestCmd, cobra.ShellCompNoDescRequestCmd}

// forPeople says whether a verb writes text for people.
func forPeople(cmd *cobra.Command) bool {
	top := cmd
	for top.HasParent() && top.Parent().HasParent() {
		top = top.Parent()
	}
	format := cmd.Flags().Lookup("output")
	return !slices.Contains(drawn, top.Name()) && (format == nil || format.Value.String() != "json")
}
