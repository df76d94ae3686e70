package flow

import (
	"fmt"
	"math/big"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// maxNodes bounds what the aliases of a YAML text may grow to.
const maxNodes = 1 << 20

// ParseYAML reads a definition from YAML 1.2, core schema. What JSON cannot say (tags, merge keys, keys that are no strings,
// infinities, several documents) is a problem.
func ParseYAML(b []byte) (_ *Definition, problems Problems) {
	bad := func(format string, args ...any) (*Definition, Problems) {
		var p Problems
		p.add(CodeInvalidJSON, "", format, args...)
		return nil, p
	}
	if len(b) > MaxBytes {
		return nil, Problems{{Code: CodeTooLarge, Detail: fmt.Sprintf("the definition is %d bytes, the limit is %d", len(b), MaxBytes)}}
	}
	if !utf8.Valid(b) {
		return bad("the definition is not valid UTF-8")
	}
	if deep(b) {
		return bad("the definition is nested too deep, the limit is %d", MaxNesting)
	}
	defer func() { // the parser is not ours, and its input is anybody's
		if p := recover(); p != nil {
			_, problems = bad("the definition is not YAML: %v", p)
		}
	}()
	file, err := parser.ParseBytes(b, 0)
	if err != nil {
		return bad("the definition is not YAML: %s", firstLine(err.Error()))
	}
	if len(file.Docs) != 1 || file.Docs[0].Body == nil {
		return bad("the definition must be one YAML document, not %d", len(file.Docs))
	}
	c := &converter{anchors: map[string]ast.Node{}}
	v, err := c.value(file.Docs[0].Body, 0)
	if err != nil {
		return bad("the definition: %v", err)
	}
	return fromValue(&v)
}

func firstLine(s string) string {
	s, _, _ = strings.Cut(s, "\n")
	return s
}

// deep looks for nesting that no definition needs before the parser, which recurses, sees it: brackets, and columns of
// block sequences on one line.
func deep(b []byte) bool {
	if nesting(b) > 4*MaxNesting {
		return true
	}
	for line := range strings.Lines(string(b)) {
		if strings.Count(line, "- ") > 4*MaxNesting && strings.Trim(line, "- \t\r\n") == "" {
			return true
		}
		if indent := len(line) - len(strings.TrimLeft(line, " ")); indent > 64*MaxNesting {
			return true
		}
		if strings.Count(line, ": ") > 4*MaxNesting && strings.Count(line, "? ") > MaxNesting {
			return true
		}
	}
	return false
}

// converter makes the JSON value of a YAML node.
type converter struct {
	anchors map[string]ast.Node
	nodes   int
}

var (
	coreInt   = regexp.MustCompile(`^[-+]?[0-9]+$`)
	coreHex   = regexp.MustCompile(`^0x[0-9a-fA-F]+$`)
	coreOct   = regexp.MustCompile(`^0o[0-7]+$`)
	coreFloat = regexp.MustCompile(`^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$`)
	coreInf   = regexp.MustCompile(`^([-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN))$`)
)

func (c *converter) value(n ast.Node, depth int) (value, error) {
	c.nodes++
	line := n.GetToken().Position.Line
	switch {
	case depth > MaxNesting:
		return value{}, fmt.Errorf("line %d: nested deeper than %d", line, MaxNesting)
	case c.nodes > maxNodes:
		return value{}, fmt.Errorf("line %d: its aliases grow to more than %d values", line, maxNodes)
	}
	switch n := n.(type) {
	case *ast.NullNode:
		return value{kind: 'n'}, nil
	case *ast.BoolNode:
		return plain(n.GetToken().Value)
	case *ast.IntegerNode, *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		return plain(n.GetToken().Value)
	case *ast.StringNode:
		return value{kind: '"', text: n.Value}, nil
	case *ast.LiteralNode:
		return value{kind: '"', text: n.Value.Value}, nil
	case *ast.AnchorNode:
		c.anchors[n.Name.GetToken().Value] = n.Value
		return c.value(n.Value, depth)
	case *ast.AliasNode:
		name := n.Value.GetToken().Value
		to, ok := c.anchors[name]
		if !ok {
			return value{}, fmt.Errorf("line %d: alias *%s has no anchor before it", line, name)
		}
		return c.value(to, depth+1)
	case *ast.SequenceNode:
		v := value{kind: '['}
		for _, item := range n.Values {
			x, err := c.value(item, depth+1)
			if err != nil {
				return v, err
			}
			v.items = append(v.items, x)
		}
		return v, nil
	case *ast.MappingValueNode:
		return c.mapping([]*ast.MappingValueNode{n}, depth)
	case *ast.MappingNode:
		return c.mapping(n.Values, depth)
	}
	return value{}, fmt.Errorf("line %d: %s is nothing that JSON can say", line, strings.ToLower(n.Type().String()))
}

func (c *converter) mapping(pairs []*ast.MappingValueNode, depth int) (value, error) {
	v := value{kind: '{'}
	seen := map[string]bool{}
	for _, p := range pairs {
		line := p.GetToken().Position.Line
		key, err := c.value(p.Key, depth+1)
		if err != nil {
			return v, err
		}
		if key.kind != '"' {
			return v, fmt.Errorf("line %d: a key must be a string, not %s", line, key.describe())
		}
		if seen[key.text] {
			return v, fmt.Errorf("line %d: %w", line, &DuplicateKeyError{key.text})
		}
		seen[key.text] = true
		x, err := c.value(p.Value, depth+1)
		if err != nil {
			return v, err
		}
		v.keys, v.items = append(v.keys, key.text), append(v.items, x)
	}
	return v, nil
}

// plain gives a plain scalar the meaning that the core schema has for it.
func plain(s string) (value, error) {
	switch s {
	case "true", "True", "TRUE", "false", "False", "FALSE":
		return value{kind: 'b', text: strings.ToLower(s)}, nil
	}
	switch {
	case coreInt.MatchString(s), coreHex.MatchString(s), coreOct.MatchString(s):
		base := 10
		if coreHex.MatchString(s) || coreOct.MatchString(s) {
			base = 0
		}
		n, ok := new(big.Int).SetString(s, base)
		if !ok {
			return value{}, fmt.Errorf("%q is no number", s)
		}
		return value{kind: '#', text: n.String()}, nil
	case coreFloat.MatchString(s):
		if CheckJSON([]byte(s), 0) == nil {
			return value{kind: '#', text: s}, nil
		}
		t := strings.TrimPrefix(s, "+")
		sign := ""
		if strings.HasPrefix(t, "-") {
			sign, t = "-", t[1:]
		}
		mantissa, exp := t, ""
		if at := strings.IndexAny(t, "eE"); at >= 0 {
			mantissa, exp = t[:at], t[at:]
		}
		whole, frac, _ := strings.Cut(mantissa, ".")
		if whole = strings.TrimLeft(whole, "0"); whole == "" {
			whole = "0"
		}
		if frac == "" {
			frac = "0"
		}
		return value{kind: '#', text: sign + whole + "." + frac + exp}, nil
	case coreInf.MatchString(s):
		return value{}, fmt.Errorf("%q is nothing that JSON can say", s)
	}
	return value{kind: '"', text: s}, nil
}
