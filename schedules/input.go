package schedules

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/agnt5/agnt5d/internal/nearest"
	"github.com/agnt5/agnt5d/internal/rfc3339"
)

// inputNames are what ${ NAME } in the texts of a schedule's input may name.
var inputNames = []string{"nominal_at", "due_at", "local_date", "previous_success_at"}

var (
	jsonText = regexp.MustCompile(`"(?:[^"\\]|\\.)*":?`)
	hole     = regexp.MustCompile(`\$?\$\{[^}]*\}?`) // $${ stands for a literal ${
	named    = regexp.MustCompile(`^\$\{\s*([A-Za-z0-9_]*)\s*\}$`)
)

// checkInput says what is wrong with the templates of an input.
func checkInput(input json.RawMessage) (err error) {
	fill(input, func(name string) *string {
		if !slices.Contains(inputNames, name) && err == nil {
			err = fmt.Errorf("${ … } names %.80q; want one of %s%s", name, strings.Join(inputNames, ", "), nearest.Did(name, inputNames))
		}
		return nil
	})
	return err
}

// fill replaces ${ NAME } in the texts of JSON, not in keys. A text that is nothing else becomes the value itself, null when there is none.
func fill(input json.RawMessage, value func(name string) *string) json.RawMessage {
	return jsonText.ReplaceAllFunc(input, func(text []byte) []byte {
		if text[len(text)-1] == ':' || !strings.Contains(string(text), "${") {
			return text
		}
		inner := string(text[1 : len(text)-1])
		if m := named.FindStringSubmatch(inner); m != nil {
			v := value(m[1])
			if v == nil {
				return []byte("null")
			}
			return []byte(`"` + *v + `"`) // times and dates: there is nothing to escape
		}
		inner = hole.ReplaceAllStringFunc(inner, func(s string) string {
			if strings.HasPrefix(s, "$$") {
				return s[1:]
			}
			name := strings.TrimSuffix(strings.TrimPrefix(s, "${"), "}")
			if m := named.FindStringSubmatch(s); m != nil {
				name = m[1]
			}
			if v := value(name); v != nil {
				return *v
			}
			return ""
		})
		return []byte(`"` + inner + `"`)
	})
}

// input is the schedule's for one due time.
func (s *State) input(row *Row) json.RawMessage {
	if !strings.Contains(string(s.Def.Input), "${") {
		return s.Def.Input
	}
	return fill(s.Def.Input, func(name string) *string {
		var text string
		switch name {
		case "nominal_at":
			text = rfc3339.Format(row.Nominal)
		case "due_at":
			text = rfc3339.Format(row.Due)
		case "local_date":
			text = time.UnixMilli(row.Nominal).In(s.plan.zone).Format(time.DateOnly)
		case "previous_success_at":
			if s.Success == 0 {
				return nil
			}
			text = rfc3339.Format(s.Success)
		default:
			return nil
		}
		return &text
	})
}
