package naive

import (
	"errors"
	"regexp"
	"strings"
)

// The few forms of expressions that tests make up: paths, literals, !, &&, ||, == and != with parentheses.

var token = regexp.MustCompile(`^\s*(\|\||&&|==|!=|!|\(|\)|\[|\]|\.|"[^"]*"|[A-Za-z_]\w*|\d+)`)

// errExpression is why an expression cannot be worked out.
var errExpression = errors.New("expression")

// node is one operation with its operands, or a literal, or a name.
type node struct {
	op   string // "lit", "name", "get", "!", "&&", "||", "==", "!="
	val  any
	name string
	args []*node
}

type parser struct{ tokens []string }

func parse(text string) (n *node, err error) {
	p := &parser{}
	for rest := text; strings.TrimSpace(rest) != ""; {
		m := token.FindStringSubmatch(rest)
		if m == nil {
			return nil, errExpression
		}
		p.tokens = append(p.tokens, m[1])
		rest = rest[len(m[0]):]
	}
	defer func() {
		if recover() != nil { // a token is missing
			n, err = nil, errExpression
		}
	}()
	n = p.binary(0)
	if len(p.tokens) > 0 {
		return nil, errExpression
	}
	return n, nil
}

// levels are the operators from the loosest to the tightest.
var levels = [][]string{{"||"}, {"&&"}, {"==", "!="}}

func (p *parser) binary(level int) *node {
	if level == len(levels) {
		return p.unary()
	}
	left := p.binary(level + 1)
	for {
		found := ""
		for _, op := range levels[level] {
			if p.peek() == op {
				found = op
			}
		}
		if found == "" {
			return left
		}
		p.next()
		left = &node{op: found, args: []*node{left, p.binary(level + 1)}}
	}
}

func (p *parser) unary() *node {
	switch t := p.next(); {
	case t == "!":
		return &node{op: "!", args: []*node{p.unary()}}
	case t == "(":
		n := p.binary(0)
		p.want(")")
		return n
	case t[0] == '"':
		return &node{op: "lit", val: strings.Trim(t, `"`)}
	case t[0] >= '0' && t[0] <= '9':
		f := 0.0
		for _, c := range t {
			f = f*10 + float64(c-'0')
		}
		return &node{op: "lit", val: f}
	case t == "true", t == "false":
		return &node{op: "lit", val: t == "true"}
	case t == "null", t == "nil":
		return &node{op: "lit"}
	default:
		n := &node{op: "name", name: t}
		for p.peek() == "." || p.peek() == "[" {
			if p.next() == "." {
				n = &node{op: "get", name: p.next(), args: []*node{n}}
				continue
			}
			n = &node{op: "get", name: strings.Trim(p.next(), `"`), args: []*node{n}}
			p.want("]")
		}
		return n
	}
}

func (p *parser) peek() string {
	if len(p.tokens) == 0 {
		return ""
	}
	return p.tokens[0]
}

func (p *parser) next() string {
	t := p.tokens[0]
	p.tokens = p.tokens[1:]
	return t
}

func (p *parser) want(t string) {
	if p.next() != t {
		panic("another token")
	}
}

// names gives the steps that the expression names.
func (n *node) names() []string {
	if n.op == "get" && n.args[0].op == "name" && n.args[0].name == "steps" {
		return []string{n.name}
	}
	var all []string
	for _, a := range n.args {
		all = append(all, a.names()...)
	}
	return all
}

func (n *node) eval(env map[string]any) (any, error) {
	switch n.op {
	case "lit":
		return n.val, nil
	case "name":
		return env[n.name], nil
	case "&&", "||":
		left, err := n.args[0].truth(env)
		if err != nil || left == (n.op == "||") {
			return left, err
		}
		return n.args[1].truth(env)
	case "!":
		b, err := n.args[0].truth(env)
		return !b, err
	}
	left, err := n.args[0].eval(env)
	if err != nil {
		return nil, err
	}
	if n.op == "get" {
		m, ok := left.(map[string]any)
		if !ok {
			return nil, errExpression
		}
		return m[n.name], nil
	}
	right, err := n.args[1].eval(env)
	return (left == right) == (n.op == "=="), err
}

func (n *node) truth(env map[string]any) (bool, error) {
	v, err := n.eval(env)
	b, ok := v.(bool)
	if err == nil && !ok {
		err = errExpression
	}
	return b, err
}
