package expression

import (
	"encoding/json"
	"unicode/utf8"

	"github.com/expr-lang/expr/ast"
)

// Bounds of what Saw gives.
const (
	sawMost  = 20  // paths
	sawValue = 200 // bytes of one value
)

// Saw gives the values that the expression reads, by their paths (steps.check.output.amount, input.mode), for people: a long value is
// cut, and what cannot be read is left out.
func (p *Program) Saw(env *Env) map[string]json.RawMessage {
	all := map[string]json.RawMessage{}
	var walk func(ast.Node)
	walk = func(n ast.Node) {
		if n == nil || len(all) >= sawMost {
			return
		}
		if path(n) {
			one := &Program{text: p.text, root: n}
			if v, err := one.Eval(env); err == nil {
				all[n.String()] = cutValue(v)
			}
			return
		}
		for _, child := range children(n) {
			walk(child)
		}
	}
	walk(p.root)
	return all
}

// path says whether a part of an expression is a path of literal names that begins with one of the names that are given.
func path(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.IdentifierNode:
		switch n.Value {
		case "input", "run", "item", "index", "fate", "output", "round":
			return true
		}
	case *ast.ChainNode:
		return path(n.Node)
	case *ast.MemberNode:
		switch n.Property.(type) {
		case *ast.StringNode, *ast.IntegerNode:
		default:
			return false
		}
		base, ok := n.Node.(*ast.IdentifierNode)
		return ok && base.Value == "steps" || path(n.Node)
	}
	return false
}

func cutValue(v json.RawMessage) json.RawMessage {
	if len(v) <= sawValue {
		return v
	}
	n := sawValue
	for n > 0 && !utf8.RuneStart(v[n]) {
		n--
	}
	text, _ := json.Marshal(string(v[:n]) + "…")
	return text
}
