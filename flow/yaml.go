package flow

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// ParseYAML reads a definition from YAML 1.2, core schema. What JSON cannot say (tags, merge keys, keys that are no strings,
// infinities, several documents) is a problem.
func ParseYAML(b []byte) (*Definition, Problems) {
	r := readYAML(b)
	return r.d, r.problems()
}

func readYAML(b []byte) *reader {
	r := &reader{}
	if len(b) > MaxYAML {
		r.whole(0, CodeTooLarge, "the definition is %d bytes, the limit of YAML is %d; as JSON it is %d", len(b), MaxYAML, MaxBytes)
		return r
	}
	source := &yamlSource{}
	r.source = source
	v, err := yamlValue(b, source)
	if err != nil {
		var at int32
		if bad, ok := errors.AsType[*yamlError](err); ok {
			at = source.meet(bad.line, bad.column)
		}
		r.whole(at, CodeInvalidJSON, "the definition %v", err)
		return r
	}
	r.definition(&v)
	return r
}

// yamlError is what is wrong with a text, and where.
type yamlError struct {
	place
	text string
}

func (e *yamlError) Error() string { return e.text }

func badAt(p *token.Position, format string, args ...any) error {
	return &yamlError{place{p.Line, max(p.Column, 1)}, fmt.Sprintf(format, args...)}
}

// yamlValue reads one YAML document as the JSON value that it stands for.
func yamlValue(b []byte, source *yamlSource) (v value, err error) {
	if !utf8.Valid(b) {
		at := notUTF8At(b)
		return v, &yamlError{(&jsonSource{b}).places([]int32{int32(at)})[0], "is not valid UTF-8" + byteLine(b, at)}
	}
	if n := yamlMarks(b); n > maxMarks {
		return v, fmt.Errorf("is too large for YAML, with %d of its marks ([]{},:-), the limit is %d: give it as JSON", n, maxMarks)
	}
	defer func() { // the parser is not ours, and its input is anybody's
		if p := recover(); p != nil {
			err = fmt.Errorf("is not YAML: %v", p)
		}
	}()
	tokens := lexer.Tokenize(string(bytes.TrimPrefix(b, []byte("\ufeff"))))
	if line := tooDeep(tokens); line > 0 {
		return v, &yamlError{place{line, 1}, fmt.Sprintf("is nested too deep at line %d, the limit is %d", line, documentNesting)}
	}
	file, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		return v, syntaxError(firstLine(err.Error()))
	}
	var bodies []ast.Node
	for _, doc := range file.Docs {
		if _, directive := doc.Body.(*ast.DirectiveNode); doc.Body != nil && !directive {
			bodies = append(bodies, doc.Body)
		}
	}
	if len(bodies) != 1 {
		return v, fmt.Errorf("must be one YAML document, not %d", len(bodies))
	}
	c := &converter{source: source, anchors: map[string]ast.Node{}}
	return c.value(bodies[0], 0)
}

// syntaxError says "[3:4] ..." as people do.
func syntaxError(s string) error {
	at := place{}
	if n, _ := fmt.Sscanf(s, "[%d:%d]", &at.line, &at.column); n != 2 {
		return &yamlError{text: "is not YAML: " + s}
	}
	_, rest, _ := strings.Cut(s, "] ")
	if strings.Contains(rest, "not allowed in this context") {
		rest += " (is the indentation right?)"
	}
	return &yamlError{at, fmt.Sprintf("is not YAML: line %d, column %d: %s", at.line, at.column, rest)}
}

func firstLine(s string) string {
	s, _, _ = strings.Cut(s, "\n")
	return cut(s, 256)
}

// maxMarks bounds the memory that the lexer takes, a few hundred bytes for each token; 100,000 steps have half as many.
const maxMarks = 2 << 20

func yamlMarks(b []byte) (n int) {
	for _, c := range b {
		switch c {
		case '[', ']', '{', '}', ',', ':', '-', '?', '&', '*', '!':
			n++
		}
	}
	return n
}

// tooDeep gives the line at which the tokens nest deeper than any definition does, before the parser, which recurses, sees
// them; 0 when they do not. It counts brackets, columns of block collections, what stacks up on one line, and marks of one value.
func tooDeep(tokens token.Tokens) int {
	var columns []int
	line, onLine, brackets, marks := 0, 0, 0, 0
	for i, t := range tokens {
		if t.Position.Line != line {
			line, onLine = t.Position.Line, 0
		}
		switch t.Type {
		case token.SequenceStartType, token.MappingStartType:
			brackets++
			onLine++
		case token.SequenceEndType, token.MappingEndType:
			brackets--
			onLine--
		case token.SequenceEntryType, token.MappingKeyType, token.MappingValueType, token.TagType, token.AnchorType:
			if brackets > 0 && t.Type == token.MappingValueType {
				continue
			}
			onLine++
			for len(columns) > 0 && columns[len(columns)-1] >= t.Position.Column {
				columns = columns[:len(columns)-1]
			}
			columns = append(columns, t.Position.Column)
		case token.CollectEntryType: // a comma: one of many on the line
			onLine = min(onLine, brackets)
		}
		// Tags and anchors of one value may stand on a line each: the parser recurses for every one.
		if t.Type != token.TagType && t.Type != token.AnchorType && (i == 0 || tokens[i-1].Type != token.AnchorType) {
			marks = 0
		} else if marks++; marks > documentNesting {
			return line
		}
		if brackets > documentNesting || onLine > 2*documentNesting || len(columns) > 4*documentNesting {
			return line
		}
	}
	return 0
}

// converter makes the JSON value of a YAML node.
type converter struct {
	source   *yamlSource
	anchors  map[string]ast.Node
	aliases  int // that what is read stands under
	borrowed int // about how many bytes of JSON aliases have added
}

// maxBorrowed bounds what aliases of aliases may grow to.
const maxBorrowed = 1 << 20

var (
	coreInt   = regexp.MustCompile(`^[-+]?[0-9]+$`)
	coreHex   = regexp.MustCompile(`^0x[0-9a-fA-F]+$`)
	coreOct   = regexp.MustCompile(`^0o[0-7]+$`)
	coreFloat = regexp.MustCompile(`^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$`)
	coreInf   = regexp.MustCompile(`^([-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN))$`)
)

func (c *converter) value(n ast.Node, depth int) (value, error) {
	at := n.GetToken().Position
	if depth > documentNesting {
		return value{}, badAt(at, "is nested too deep at line %d, the limit is %d", at.Line, documentNesting)
	}
	v, err := c.node(n, at, depth)
	if _, alias := n.(*ast.AliasNode); !alias && len(v.keys) > 0 && n.GetToken().Type != token.MappingStartType {
		v.at = v.keys[0].at // a block of keys begins with its first key
	} else {
		v.at = c.source.meet(at.Line, at.Column)
	}
	if c.aliases > 0 {
		c.borrowed += len(v.text) + 2
	}
	if err == nil && c.borrowed > maxBorrowed {
		return v, badAt(at, "has aliases that stand for more than %d bytes, at line %d", maxBorrowed, at.Line)
	}
	return v, err
}

func (c *converter) node(n ast.Node, at *token.Position, depth int) (value, error) {
	switch n := n.(type) {
	case *ast.NullNode:
		return value{kind: 'n'}, nil
	case *ast.BoolNode, *ast.IntegerNode, *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		return plain(n.GetToken().Value, at)
	case *ast.StringNode:
		if n.Token.Type == token.StringType { // not quoted
			v, err := plain(n.Value, at)
			v.cut = n.Token.Next != nil && n.Token.Next.Type == token.CommentType && n.Token.Next.Position.Line == at.Line
			return v, err
		}
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
			return value{}, badAt(at, "has an alias *%s at line %d with no anchor before it", cut(name, 64), at.Line)
		}
		c.aliases++
		v, err := c.value(to, depth+1) // deeper, for an alias may stand inside of its own anchor
		c.aliases--
		return v, err
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
	return value{}, badAt(at, "has a %s at line %d, which JSON cannot say", strings.ToLower(n.Type().String()), at.Line)
}

func (c *converter) mapping(pairs []*ast.MappingValueNode, depth int) (value, error) {
	v := value{kind: '{'}
	for _, p := range pairs {
		key, err := c.value(p.Key, depth+1)
		if err != nil {
			return v, err
		}
		if key.kind != '"' {
			at := p.Key.GetToken().Position
			return v, badAt(at, "has a key at line %d that is not a string but %s", at.Line, key.describe())
		}
		x, err := c.value(p.Value, depth+1)
		if err != nil {
			return v, err
		}
		v.keys, v.items = append(v.keys, keyName{key.text, key.at}), append(v.items, x)
	}
	return v, nil
}

// plain gives an unquoted scalar the meaning that the core schema has for it.
func plain(s string, at *token.Position) (value, error) {
	switch s {
	case "", "~", "null", "Null", "NULL":
		return value{kind: 'n'}, nil
	case "true", "True", "TRUE", "false", "False", "FALSE":
		return value{kind: 'b', text: strings.ToLower(s)}, nil
	}
	switch {
	case coreInt.MatchString(s):
		return value{kind: '#', text: decimal(s)}, nil
	case coreHex.MatchString(s), coreOct.MatchString(s):
		n, err := strconv.ParseUint(s, 0, 64)
		if err != nil {
			return value{}, badAt(at, "has a number out of range at line %d: %s", at.Line, cut(s, 64))
		}
		return value{kind: '#', text: strconv.FormatUint(n, 10)}, nil
	case coreFloat.MatchString(s):
		return value{kind: '#', text: decimal(s)}, nil
	case coreInf.MatchString(s):
		return value{}, badAt(at, "has %s at line %d, which JSON cannot say", s, at.Line)
	}
	return value{kind: '"', text: s}, nil
}

// decimal writes a decimal number of YAML as JSON takes it: no plus sign, no leading zeros, digits around the point. What JSON
// takes stays as it is.
func decimal(s string) string {
	s = strings.TrimPrefix(s, "+")
	sign := ""
	if strings.HasPrefix(s, "-") {
		sign, s = "-", s[1:]
	}
	mantissa, exponent := s, ""
	if at := strings.IndexAny(s, "eE"); at >= 0 {
		mantissa, exponent = s[:at], s[at:]
	}
	whole, fraction, point := strings.Cut(mantissa, ".")
	if whole = strings.TrimLeft(whole, "0"); whole == "" {
		whole = "0"
	}
	if point {
		if fraction == "" {
			fraction = "0"
		}
		fraction = "." + fraction
	}
	return sign + whole + fraction + exponent
}
