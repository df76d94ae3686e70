package expression

import (
	"fmt"
	"math"
	"math/bits"
	"regexp"
	"regexp/syntax"
	"strings"

	"github.com/expr-lang/expr/ast"
)

func (m *machine) unary(n *ast.UnaryNode) any {
	v := m.look(m.eval(n.Node))
	m.at = n
	switch n.Operator {
	case "!", "not":
		return !m.truth(v, n.Node)
	}
	switch x := v.(type) {
	case int64:
		if n.Operator == "+" {
			return x
		}
		if x == math.MinInt64 {
			m.fail("the result is too large for 64 bits")
		}
		return -x
	case float64:
		if n.Operator == "+" {
			return x
		}
		return -x
	}
	m.fail("%s wants a number, not %s", n.Operator, describe(v))
	return nil
}

func (m *machine) binary(n *ast.BinaryNode) any {
	switch n.Operator {
	case "and", "&&":
		return m.truth(m.eval(n.Left), n.Left) && m.truth(m.eval(n.Right), n.Right)
	case "or", "||":
		return m.truth(m.eval(n.Left), n.Left) || m.truth(m.eval(n.Right), n.Right)
	case "??":
		if v := m.eval(n.Left); v != nil {
			return v
		}
		return m.eval(n.Right)
	}
	left := m.eval(n.Left)
	right := m.eval(n.Right)
	m.at = n
	switch n.Operator {
	case "==":
		return m.equal(left, right, 0)
	case "!=":
		return !m.equal(left, right, 0)
	case "in":
		return m.in(left, right)
	}
	left, right = m.look(left), m.look(right)
	switch n.Operator {
	case "<":
		return m.compare(left, right) < 0
	case "<=":
		return m.compare(left, right) <= 0
	case ">":
		return m.compare(left, right) > 0
	case ">=":
		return m.compare(left, right) >= 0
	case "+":
		return m.add(left, right)
	case "-", "*", "/", "%", "**", "^":
		return m.arithmetic(n.Operator, left, right)
	case "..":
		return m.span(left, right)
	case "contains", "startsWith", "endsWith", "matches":
		return m.about(n.Operator, left, right)
	}
	m.fail("the operator %s is not known", n.Operator)
	return nil
}

func (m *machine) add(left, right any) any {
	a, isText := left.(string)
	b, isTextToo := right.(string)
	if isText && isTextToo {
		m.grow(len(a) + len(b))
		return a + b
	}
	if isText != isTextToo {
		m.fail("cannot add %s and %s; string(…) makes a text of a number", describe(left), describe(right))
	}
	return m.arithmetic("+", left, right)
}

func (m *machine) arithmetic(op string, left, right any) any {
	a, whole := left.(int64)
	b, wholeToo := right.(int64)
	if whole && wholeToo {
		switch op {
		case "+":
			return m.checkedAdd(a, b)
		case "-":
			if d := a - b; (b < 0) == (d > a) || b == 0 {
				return d
			}
			m.fail("the result is too large for 64 bits")
		case "*":
			return m.checkedMul(a, b)
		case "%":
			if b == 0 {
				m.fail("cannot divide by 0")
			}
			if b == -1 {
				return int64(0)
			}
			return a % b
		}
	}
	x, ok := float(left)
	y, okToo := float(right)
	if !ok || !okToo {
		m.fail("%s wants two numbers, not %s and %s", op, describe(left), describe(right))
	}
	switch op {
	case "+":
		return m.finite(x + y)
	case "-":
		return m.finite(x - y)
	case "*":
		return m.finite(x * y)
	case "/":
		if y == 0 {
			m.fail("cannot divide by 0")
		}
		return m.finite(x / y)
	case "%":
		m.fail("%% wants two whole numbers")
	}
	return m.finite(math.Pow(x, y))
}

func (m *machine) checkedAdd(a, b int64) int64 {
	s := a + b
	if (s > a) != (b > 0) && b != 0 {
		m.fail("the result is too large for 64 bits")
	}
	return s
}

func (m *machine) checkedMul(a, b int64) int64 {
	high, low := bits.Mul64(abs64(a), abs64(b))
	negative := (a < 0) != (b < 0)
	switch {
	case high != 0, low > 1<<63, low == 1<<63 && !negative:
		m.fail("the result is too large for 64 bits")
	case negative:
		return int64(-low)
	}
	return int64(low)
}

func abs64(a int64) uint64 {
	if a < 0 {
		return uint64(-a)
	}
	return uint64(a)
}

func float(v any) (float64, bool) {
	switch v := v.(type) {
	case int64:
		return float64(v), true
	case float64:
		return v, true
	}
	return 0, false
}

// compareNumbers is exact where a whole number and another are compared.
func compareNumbers(left, right any) int {
	a, whole := left.(int64)
	b, wholeToo := right.(int64)
	switch {
	case whole && wholeToo:
		return order(a, b)
	case whole:
		return -compareNumbers(right, left)
	case wholeToo:
		f := left.(float64)
		switch {
		case f >= 1<<63:
			return 1
		case f < -1<<63:
			return -1
		}
		if c := order(int64(math.Floor(f)), b); c != 0 {
			return c
		}
		return order(f, math.Floor(f))
	}
	return order(left.(float64), right.(float64))
}

func order[T int64 | float64](a, b T) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// compare orders two numbers or two texts.
func (m *machine) compare(left, right any) int {
	_, number := float(left)
	_, numberToo := float(right)
	if number && numberToo {
		return compareNumbers(left, right)
	}
	a, text := left.(string)
	b, textToo := right.(string)
	if !text || !textToo {
		m.fail("cannot compare %s with %s", describe(left), describe(right))
	}
	m.through(min(len(a), len(b)))
	return strings.Compare(a, b)
}

// equal says whether two values are the same JSON value: numbers by what they are worth.
func (m *machine) equal(left, right any, depth int) bool {
	m.step(1)
	m.deep(depth)
	left, right = m.look(left), m.look(right)
	switch a := left.(type) {
	case nil, bool:
		return left == right
	case int64, float64:
		_, number := float(right)
		return number && compareNumbers(left, right) == 0
	case string:
		b, ok := right.(string)
		m.through(min(len(a), len(b)))
		return ok && a == b
	}
	if a, ok := m.list(left); ok {
		b, ok := m.list(right)
		if !ok || len(a) != len(b) {
			return false
		}
		for i := range a {
			if !m.equal(a[i], b[i], depth+1) {
				return false
			}
		}
		return true
	}
	a, ok := m.object(left)
	b, okToo := m.object(right)
	if !ok || !okToo || len(a) != len(b) {
		return false
	}
	for key, v := range a {
		other, there := b[key]
		if !there || !m.equal(v, other, depth+1) {
			return false
		}
	}
	return true
}

func (m *machine) in(needle, all any) bool {
	if all == nil {
		return false
	}
	if list, ok := m.list(all); ok {
		for _, item := range list {
			if m.equal(item, needle, 0) {
				return true
			}
		}
		return false
	}
	if kindOfValue(all) != '{' {
		m.fail("in wants a list or an object, not %s; for a text there is contains", describe(all))
	}
	key, ok := m.look(needle).(string)
	if !ok {
		return false
	}
	_, there := m.field(all, key)
	return there
}

// span is the list of whole numbers from one to another.
func (m *machine) span(left, right any) any {
	a, ok := left.(int64)
	b, okToo := right.(int64)
	if !ok || !okToo {
		m.fail(".. wants two whole numbers, not %s and %s", describe(left), describe(right))
	}
	if b < a {
		return []any{}
	}
	if uint64(b)-uint64(a) > MaxMemory {
		m.fail("it needs more than %d bytes", MaxMemory)
	}
	n := int(uint64(b)-uint64(a)) + 1
	m.grow(n * sizeOfItem)
	list := make([]any, n)
	for i := range list {
		list[i] = a + int64(i)
	}
	return list
}

// maxPattern bounds the text of a regular expression, maxProgram what it stands for: x{1000} is a thousand.
const (
	maxPattern = 1 << 10
	maxProgram = 10_000
)

// parsePattern reads a regular expression; why says what is wrong with it, before it takes any memory.
func parsePattern(pattern string) (parsed *syntax.Regexp, why string) {
	if len(pattern) > maxPattern {
		return nil, fmt.Sprintf("the pattern is %d bytes long, the limit is %d", len(pattern), maxPattern)
	}
	parsed, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return nil, fmt.Sprintf("the pattern is no regular expression: %v", err)
	}
	if sizeOf(parsed) > maxProgram {
		return nil, "the pattern repeats too much"
	}
	return parsed, ""
}

// sizeOf is about how many instructions a regular expression has.
func sizeOf(re *syntax.Regexp) int {
	n := 1 + len(re.Rune)
	for _, sub := range re.Sub {
		if n += sizeOf(sub); n > maxProgram {
			return n
		}
	}
	if re.Op == syntax.OpRepeat {
		n *= max(re.Min, re.Max, 1)
	}
	return n
}

// about is an operator of two texts.
func (m *machine) about(op string, left, right any) bool {
	if left == nil { // as the library has it: null contains nothing
		return false
	}
	a, ok := left.(string)
	b, okToo := right.(string)
	if !ok || !okToo {
		m.fail("%s wants two texts, not %s and %s", op, describe(left), describe(right))
	}
	m.through(len(a) + len(b))
	switch op {
	case "contains":
		return strings.Contains(a, b)
	case "startsWith":
		return strings.HasPrefix(a, b)
	case "endsWith":
		return strings.HasSuffix(a, b)
	}
	return m.matches(a, b)
}

func (m *machine) matches(text, pattern string) bool {
	m.step(100 + 10*min(len(pattern), maxPattern))
	parsed, why := parsePattern(pattern)
	if why != "" {
		m.fail("%s", why)
	}
	size := sizeOf(parsed)
	m.grow(100 * size)
	m.step((len(text) + 1) * (1 + size/8)) // what the slowest way of matching may take
	re, err := regexp.Compile(pattern)
	if err != nil {
		m.fail("the pattern is no regular expression: %v", err)
	}
	return re.MatchString(text)
}
