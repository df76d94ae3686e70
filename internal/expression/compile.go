package expression

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/builtin"
	"github.com/expr-lang/expr/checker"
	"github.com/expr-lang/expr/conf"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/parser"
	"github.com/expr-lang/expr/types"
)

// maxNodes bounds what a text may be parsed to.
const maxNodes = 10_000

// Kind is what an expression is known to give before it is evaluated.
type Kind uint8

const (
	Anything Kind = iota // it cannot be known, or is known to be of another kind than below
	Boolean
	List
	Other // neither
)

// Program is an expression that was read and checked.
type Program struct {
	text string
	root ast.Node
	refs []Ref
	kind Kind
}

// Compile reads and checks an expression. The error says what is wrong with it, and where. That the steps it names exist is for
// the caller to check: see Steps.
func Compile(text string, names Names) (*Program, *Error) {
	switch {
	case strings.TrimSpace(text) == "":
		return nil, &Error{Text: text, Reason: "it is empty"}
	case len(text) > MaxText:
		return nil, &Error{Text: text, Reason: fmt.Sprintf("it is %d bytes long, the limit is %d", len(text), MaxText)}
	}
	config := conf.CreateNew()
	config.MaxNodes = maxNodes
	for _, name := range []string{"now", "date", "duration", "timezone"} {
		config.Disabled[name] = true
		delete(config.Builtins, name)
	}
	tree, err := parser.ParseWithConfig(text, config)
	if err != nil {
		return nil, toError(text, names, err)
	}
	w := &walker{text: text, names: names, sizes: map[ast.Node]int{}}
	if w.size(tree.Node) > maxNodes {
		return nil, &Error{Text: text, Reason: "it is too complex"}
	}
	if w.walk(tree.Node); w.err != nil {
		return nil, w.err
	}
	config.WithEnv(w.env(names))
	config.Strict = true
	given, err := checker.Check(tree, config)
	if err != nil {
		return nil, toError(text, names, err)
	}
	return &Program{text: text, root: tree.Node, refs: w.refs, kind: kindOf(given)}, nil
}

func kindOf(t reflect.Type) Kind {
	if t == nil {
		return Anything
	}
	switch t.Kind() {
	case reflect.Interface:
		return Anything
	case reflect.Bool:
		return Boolean
	case reflect.Slice, reflect.Array:
		return List
	}
	return Other
}

// Text is the expression as it was written.
func (p *Program) Text() string { return p.text }

// Gives is what it is known to give.
func (p *Program) Gives() Kind { return p.kind }

// Steps are the steps that the expression names, each once, in the order in which it does.
func (p *Program) Steps() []Ref { return p.refs }

// StepsNamed are the steps that an expression names; none when it cannot be read.
func StepsNamed(text string) []string {
	p, err := Compile(text, Item|Fate|Round)
	if err != nil {
		return nil
	}
	return named(p.refs)
}

// StepsNamedIn are the steps that the templates in JSON name.
func StepsNamedIn(value json.RawMessage) []string {
	if !HasTemplate(value) && !strings.Contains(string(value), `\u`) {
		return nil
	}
	t, _ := CompileTemplate(value, Item|Fate|Round)
	return named(t.refs)
}

// StepsNamedInText are the steps that the templates in a text, such as an object key, name.
func StepsNamedInText(text string) []string {
	if !HasTemplate(text) {
		return nil
	}
	t, _ := CompileText(text, Item|Fate|Round)
	return named(t.refs)
}

func named(refs []Ref) []string {
	all := make([]string, 0, len(refs))
	for _, r := range refs {
		all = append(all, r.Name)
	}
	return all
}

func toError(text string, names Names, err error) *Error {
	e := &Error{Text: text, Reason: err.Error()}
	if f, ok := errors.AsType[*file.Error](err); ok {
		e.Reason = f.Message
		e.Line, e.Column = position(text, f.From)
	}
	if name, unknown := strings.CutPrefix(e.Reason, "unknown name "); unknown {
		e.Reason = fmt.Sprintf("unknown name %s; known are %s%s", name, known(names), hint(name))
	}
	return e
}

// known are the names that there are in an expression, as the end of a sentence.
func known(names Names) string {
	all := []string{"input", "steps", "run"}
	for _, more := range []struct {
		with  Names
		names []string
	}{{Fate, []string{"fate"}}, {Item, []string{"item", "index"}}, {Round, []string{"output", "round"}}} {
		if names&more.with != 0 {
			all = append(all, more.names...)
		}
	}
	last := len(all) - 1
	return strings.Join(all[:last], ", ") + " and " + all[last]
}

func hint(name string) string {
	switch name {
	case "item", "index":
		return ", and item and index in input, object_keys and repeat of a step with for_each"
	case "output", "round":
		return ", and output and round in repeat.until"
	case "now", "date", "duration", "timezone", "time", "random", "uuid":
		return ". There is no clock and no randomness: a handler has both"
	case "$env":
		return ""
	}
	return ""
}

// position gives line and column, from 1, of the n-th character of a text.
func position(text string, n int) (line, column int) {
	line, column = 1, 1
	for _, r := range text {
		if n--; n < 0 {
			break
		}
		if column++; r == '\n' {
			line, column = line+1, 1
		}
	}
	return line, column
}

// walker finds the steps that an expression names, and what the checker does not refuse.
type walker struct {
	text  string
	names Names
	sizes map[ast.Node]int
	refs  []Ref
	err   *Error
}

// size counts the nodes of a tree whose parts may be shared (a ?: b has a twice), as often as they would be walked.
func (w *walker) size(n ast.Node) int {
	if n == nil || reflect.ValueOf(n).IsNil() {
		return 0
	}
	if known, ok := w.sizes[n]; ok {
		return known
	}
	total := 1
	for _, child := range children(n) {
		if total += w.size(child); total > maxNodes {
			total = maxNodes + 1
		}
	}
	w.sizes[n] = total
	return total
}

func children(n ast.Node) []ast.Node {
	switch n := n.(type) {
	case *ast.UnaryNode:
		return []ast.Node{n.Node}
	case *ast.BinaryNode:
		return []ast.Node{n.Left, n.Right}
	case *ast.ChainNode:
		return []ast.Node{n.Node}
	case *ast.MemberNode:
		return []ast.Node{n.Node, n.Property}
	case *ast.SliceNode:
		return []ast.Node{n.Node, n.From, n.To}
	case *ast.CallNode:
		return append([]ast.Node{n.Callee}, n.Arguments...)
	case *ast.BuiltinNode:
		return n.Arguments
	case *ast.PredicateNode:
		return []ast.Node{n.Node}
	case *ast.ConditionalNode:
		return []ast.Node{n.Cond, n.Exp1, n.Exp2}
	case *ast.VariableDeclaratorNode:
		return []ast.Node{n.Value, n.Expr}
	case *ast.SequenceNode:
		return n.Nodes
	case *ast.ArrayNode:
		return n.Nodes
	case *ast.MapNode:
		return n.Pairs
	case *ast.PairNode:
		return []ast.Node{n.Key, n.Value}
	}
	return nil
}

func (w *walker) fail(n ast.Node, format string, args ...any) {
	if w.err == nil {
		w.err = &Error{Text: w.text, Reason: fmt.Sprintf(format, args...)}
		w.err.Line, w.err.Column = position(w.text, n.Location().From)
	}
}

func (w *walker) walk(n ast.Node) {
	if n == nil || reflect.ValueOf(n).IsNil() {
		return
	}
	switch n := n.(type) {
	case *ast.IdentifierNode:
		switch n.Value {
		case "$env":
			w.fail(n, "$env is not known; name input, steps or run")
		case "steps":
			w.fail(n, "a step must be named literally: steps.NAME or steps[\"NAME\"]")
		default:
			_, function := builtin.Index[n.Value]
			if function && (n.Value != "round" || w.names&Round == 0) {
				w.fail(n, "%s is a function, which is called: %s(…)%s", n.Value, n.Value, hint(n.Value))
			}
		}
		return
	case *ast.VariableDeclaratorNode:
		if slices.Contains(reserved, n.Name) {
			w.fail(n, "%s cannot be given another meaning", n.Name)
		}
	case *ast.BinaryNode:
		if pattern, literal := n.Right.(*ast.StringNode); literal && n.Operator == "matches" {
			if _, why := parsePattern(pattern.Value); why != "" {
				w.fail(n, "%s", why)
			}
		}
	case *ast.BytesNode:
		w.fail(n, "bytes are no JSON; write a text")
	case *ast.CallNode:
		name := "what is called"
		if callee, ok := n.Callee.(*ast.IdentifierNode); ok {
			name = callee.Value
		}
		w.fail(n, "%s is no function%s", name, hint(name))
		return
	case *ast.BuiltinNode:
		if functions[n.Name] == nil && predicates[n.Name] == nil {
			w.fail(n, "%s is no function%s", n.Name, hint(n.Name))
		}
	case *ast.PointerNode:
		if n.Name != "" && n.Name != "index" && n.Name != "acc" {
			w.fail(n, "#%s is not known; want #, #index or #acc", n.Name)
		}
	case *ast.MemberNode:
		if base, ok := n.Node.(*ast.IdentifierNode); ok && base.Value == "steps" {
			name, literal := n.Property.(*ast.StringNode)
			if !literal {
				w.fail(n, "a step must be named literally: steps.NAME or steps[\"NAME\"]")
			} else {
				w.ref(name)
			}
			return
		}
	}
	for _, child := range children(n) {
		w.walk(child)
	}
}

var reserved = []string{"input", "steps", "run", "item", "index", "fate", "output", "round", "null"}

func (w *walker) ref(name *ast.StringNode) {
	if slices.ContainsFunc(w.refs, func(r Ref) bool { return r.Name == name.Value }) {
		return
	}
	line, column := position(w.text, name.Location().From)
	w.refs = append(w.refs, Ref{name.Value, line, column})
}

// env is what the checker may know of the names.
func (w *walker) env(names Names) types.Map {
	steps := make(types.Map, len(w.refs))
	for _, r := range w.refs {
		steps[r.Name] = types.Map{"state": types.String, "output": types.Any, "error": types.Any}
	}
	env := types.Map{"input": types.Any, "steps": steps, "null": types.Nil,
		"run": types.Map{"id": types.String, "workflow": types.String, "version": types.Int, "created_at": types.String, "parent": types.Any}}
	if names&Item != 0 {
		env["item"], env["index"] = types.Any, types.Int
	}
	if names&Fate != 0 {
		env["fate"] = types.Any
	}
	if names&Round != 0 {
		env["output"], env["round"] = types.Any, types.Int
	}
	return env
}
