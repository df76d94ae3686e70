package naive

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Templates: values of JSON, in whose texts ${ EXPRESSION } stands for what it gives, and $${ for ${ itself.

// piece is a piece of a template's text. The expressions that tests make up have no braces.
var piece = regexp.MustCompile(`\$?\$\{[^}]*\}|\$\$\{`)

// expressionsIn gives the expressions in the texts of a value.
func expressionsIn(v any) (all []string) {
	switch v := v.(type) {
	case string:
		for _, p := range piece.FindAllString(v, -1) {
			if !strings.HasPrefix(p, "$$") {
				all = append(all, p[2:len(p)-1])
			}
		}
	case []any:
		for _, x := range v {
			all = append(all, expressionsIn(x)...)
		}
	case map[string]any:
		for _, k := range slices.Sorted(maps.Keys(v)) {
			all = append(all, expressionsIn(v[k])...)
		}
	}
	return all
}

// fill gives what a value comes to.
func fill(v any, env map[string]any) (any, error) {
	switch v := v.(type) {
	case string:
		return fillText(v, env)
	case []any:
		out := make([]any, len(v))
		for i := range v {
			var err error
			if out[i], err = fill(v[i], env); err != nil {
				return nil, err
			}
		}
		return out, nil
	case map[string]any:
		out := map[string]any{}
		for k := range v {
			var err error
			if out[k], err = fill(v[k], env); err != nil {
				return nil, err
			}
		}
		return out, nil
	}
	return v, nil
}

func fillText(text string, env map[string]any) (any, error) {
	if p := piece.FindString(text); p == text && p != "" && !strings.HasPrefix(p, "$$") {
		return value(p, env) // it stands alone: what it gives keeps its type
	}
	return inText(text, env)
}

// inText gives a text with what its expressions give in their places.
func inText(text string, env map[string]any) (string, error) {
	var failure error
	out := piece.ReplaceAllStringFunc(text, func(p string) string {
		if strings.HasPrefix(p, "$$") {
			return p[1:]
		}
		v, err := value(p, env)
		if err != nil {
			failure = err
		}
		switch v := v.(type) {
		case string:
			return v
		case bool:
			return strconv.FormatBool(v)
		case float64:
			return strconv.FormatFloat(v, 'f', -1, 64)
		}
		failure = errExpression // null, a list or an object in a text
		return ""
	})
	return out, failure
}

func value(p string, env map[string]any) (any, error) {
	n, err := parse(p[2 : len(p)-1])
	if err != nil {
		return nil, err
	}
	return n.eval(env)
}

// Given is what the templates of a step or an item came to.
type Given struct {
	Input any // nil: it has none
	Keys  []string
}

// hasTemplates says whether something of the step is worked out when it becomes ready.
func (s *Step) hasTemplates() bool {
	return s.Input != nil || len(expressionsIn(s.keys())) > 0
}

func (s *Step) keys() []any {
	all := []any{}
	for _, k := range s.ObjectKeys {
		all = append(all, k)
	}
	return all
}

// give works out what the templates of a step or an item come to. It gives the code of the failure; "": there is none.
func (r *Run) give(s *Step, name string, env map[string]any) (code string) {
	var g Given
	if s.Input != nil {
		v, err := fill(s.Input, env)
		if err != nil {
			return "expression_failed"
		}
		g.Input = v
	}
	for _, k := range s.ObjectKeys {
		text, err := inText(k, env)
		if err != nil {
			return "expression_failed"
		}
		if text == "" || text == "." || text == ".." { // what else cannot be a key, tests do not make up
			return "object_key_invalid"
		}
		if !slices.Contains(g.Keys, text) {
			g.Keys = append(g.Keys, text)
		}
	}
	r.Given[name] = g
	return ""
}

// itemEnv is what an item's templates see.
func (r *Run) itemEnv(s *Step, index int) (map[string]any, error) {
	list, err := r.list(s)
	if err != nil || index >= len(list) {
		return nil, fmt.Errorf("item %d of step %s is not there", index, s.Name)
	}
	env := r.env()
	env["item"], env["index"] = list[index], float64(index)
	return env, nil
}

// checkTemplates says whether this model knows the form of all templates.
func (g *graph) checkTemplates() error {
	all := expressionsIn(g.output)
	for _, s := range g.all() {
		all = append(all, s.templates()...)
	}
	for _, text := range all {
		if _, err := parse(text); err != nil {
			return fmt.Errorf("%q: %w", text, err)
		}
	}
	return nil
}

func (s *Step) templates() []string {
	return append(expressionsIn(s.Input), expressionsIn(s.keys())...)
}
