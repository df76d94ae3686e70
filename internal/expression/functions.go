package expression

import (
	"encoding/base64"
	"encoding/json"
	"math"
	"slices"
	"sort"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/expr-lang/expr/ast"
)

// functions are those that take values; the checker has seen to how many. predicates take a list and what is asked of each item.
var (
	functions  map[string]func(m *machine, args []any) any
	predicates map[string]func(m *machine, n *ast.BuiltinNode, list []any) any
)

func init() {
	predicates = map[string]func(m *machine, n *ast.BuiltinNode, list []any) any{
		"all":   func(m *machine, n *ast.BuiltinNode, list []any) any { return m.first(n, list, false) < 0 },
		"none":  func(m *machine, n *ast.BuiltinNode, list []any) any { return m.first(n, list, true) < 0 },
		"any":   func(m *machine, n *ast.BuiltinNode, list []any) any { return m.first(n, list, true) >= 0 },
		"one":   func(m *machine, n *ast.BuiltinNode, list []any) any { return m.filter(n, list, nil) == 1 },
		"count": func(m *machine, n *ast.BuiltinNode, list []any) any { return int64(m.filter(n, list, nil)) },
		"filter": func(m *machine, n *ast.BuiltinNode, list []any) any {
			kept := []any{}
			m.filter(n, list, func(v any) { kept = append(kept, m.kept(v)) })
			return kept
		},
		"map": func(m *machine, n *ast.BuiltinNode, list []any) any {
			made := []any{}
			m.each(n, list, func(_ int, _, v any) bool { made = append(made, m.kept(v)); return true })
			return made
		},
		"find":          func(m *machine, n *ast.BuiltinNode, list []any) any { return item(list, m.first(n, list, true)) },
		"findIndex":     func(m *machine, n *ast.BuiltinNode, list []any) any { return place(m.first(n, list, true)) },
		"findLast":      func(m *machine, n *ast.BuiltinNode, list []any) any { return item(list, m.last(n, list)) },
		"findLastIndex": func(m *machine, n *ast.BuiltinNode, list []any) any { return place(m.last(n, list)) },
		"sum":           sumOf, "groupBy": groupBy, "sortBy": sortBy, "reduce": reduce,
	}
	functions = map[string]func(m *machine, args []any) any{
		"len": lengthOf, "type": func(m *machine, a []any) any { return typeName(a[0]) }, "abs": absolute,
		"ceil": rounded(math.Ceil), "floor": rounded(math.Floor), "round": rounded(math.Round), "int": toInt, "float": toFloat,
		"string": func(m *machine, a []any) any { return m.written(a[0]) },
		"trim":   trimmed(strings.Trim, true), "trimPrefix": trimmed(strings.TrimPrefix, false), "trimSuffix": trimmed(strings.TrimSuffix, false),
		"upper": textFunction(strings.ToUpper), "lower": textFunction(strings.ToLower),
		"split": splitBy(strings.SplitN), "splitAfter": splitBy(strings.SplitAfterN), "replace": replace, "repeat": repeat, "join": join,
		"indexOf": indexIn(strings.Index), "lastIndexOf": indexIn(strings.LastIndex),
		"hasPrefix": func(m *machine, a []any) any { return m.about("startsWith", m.text1(a[0]), m.text1(a[1])) },
		"hasSuffix": func(m *machine, a []any) any { return m.about("endsWith", m.text1(a[0]), m.text1(a[1])) },
		"max":       extreme(1), "min": extreme(-1), "mean": mean, "median": median,
		"toJSON": func(m *machine, a []any) any { return m.json(a[0]) }, "fromJSON": fromJSON,
		"toBase64":   textFunction(func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }),
		"fromBase64": fromBase64,
		"first":      func(m *machine, a []any) any { l := m.listOf("first", a[0]); return item(l, min(0, len(l)-1)) },
		"last":       func(m *machine, a []any) any { l := m.listOf("last", a[0]); return item(l, len(l)-1) },
		"get":        getOr, "take": take, "keys": keysOf, "values": valuesOf, "toPairs": toPairs, "fromPairs": fromPairs,
		"reverse": reverse, "uniq": uniq, "concat": concat, "flatten": flatten, "sort": sorted,
		"bitand": bitwise(func(x, y int64) int64 { return x & y }), "bitor": bitwise(func(x, y int64) int64 { return x | y }),
		"bitxor": bitwise(func(x, y int64) int64 { return x ^ y }), "bitnand": bitwise(func(x, y int64) int64 { return x &^ y }),
		"bitshl": shift(func(m *machine, x int64, by uint) int64 {
			if x<<by>>by != x {
				m.fail("the result is too large for 64 bits")
			}
			return x << by
		}),
		"bitshr":  shift(func(_ *machine, x int64, by uint) int64 { return x >> by }),
		"bitushr": shift(func(_ *machine, x int64, by uint) int64 { return int64(uint64(x) >> by) }),
		"bitnot":  func(m *machine, a []any) any { return ^m.whole1(a[0]) },
	}
}

func (m *machine) call(n *ast.BuiltinNode) any {
	if p := predicates[n.Name]; p != nil {
		list := m.eval(n.Arguments[0])
		m.at = n
		return p(m, n, m.listOf(n.Name, list))
	}
	f := functions[n.Name]
	if f == nil {
		m.fail("%s is no function", n.Name)
	}
	args := make([]any, 0, len(n.Arguments))
	for _, a := range n.Arguments {
		args = append(args, m.eval(a))
	}
	if least := fewest[n.Name]; len(args) < max(least, 1) {
		m.at = n
		m.fail("%s wants more arguments", n.Name)
	}
	m.at = n
	return f(m, args)
}

// fewest is how many arguments those functions need that the checker does not look at, or that need more than one.
var fewest = map[string]int{"get": 2, "take": 2, "split": 2, "splitAfter": 2, "replace": 3, "repeat": 2, "indexOf": 2, "lastIndexOf": 2, "hasPrefix": 2, "hasSuffix": 2,
	"bitand": 2, "bitor": 2, "bitxor": 2, "bitnand": 2, "bitshl": 2, "bitshr": 2, "bitushr": 2}

// each asks the predicate, the second argument, of each item until it is told to stop.
func (m *machine) each(n *ast.BuiltinNode, list []any, got func(i int, item, answer any) bool) {
	m.scopes = append(m.scopes, scope{})
	at := len(m.scopes) - 1
	for i, v := range list {
		m.scopes[at].item, m.scopes[at].index = v, i
		if !got(i, v, m.eval(n.Arguments[1])) {
			break
		}
	}
	m.scopes = m.scopes[:at]
	m.at = n
}

// first is the first item of which the predicate says so; -1: none.
func (m *machine) first(n *ast.BuiltinNode, list []any, want bool) int {
	found := -1
	m.each(n, list, func(i int, _, v any) bool {
		if m.truth(v, n.Arguments[1]) == want {
			found = i
		}
		return found < 0
	})
	return found
}

func (m *machine) last(n *ast.BuiltinNode, list []any) int {
	turned := slices.Clone(list)
	slices.Reverse(turned)
	m.grow(sizeOfItem * len(list))
	at := -1
	m.scopes = append(m.scopes, scope{})
	top := len(m.scopes) - 1
	for i, v := range turned {
		m.scopes[top].item, m.scopes[top].index = v, len(list)-1-i
		if m.truth(m.eval(n.Arguments[1]), n.Arguments[1]) {
			at = len(list) - 1 - i
			break
		}
	}
	m.scopes = m.scopes[:top]
	return at
}

// filter counts the items of which the predicate is true; without one, those that are true.
func (m *machine) filter(n *ast.BuiltinNode, list []any, keep func(any)) int {
	count := 0
	take := func(v any) bool {
		count++
		if keep != nil {
			keep(v)
		}
		return true
	}
	if len(n.Arguments) < 2 {
		for _, v := range list {
			m.step(1)
			if m.truth(v, n) {
				take(v)
			}
		}
		return count
	}
	m.each(n, list, func(_ int, v, answer any) bool { return !m.truth(answer, n.Arguments[1]) || take(v) })
	return count
}

// kept counts a value that goes into a list.
func (m *machine) kept(v any) any {
	m.grow(sizeOfItem)
	return v
}

func item(list []any, at int) any {
	if at < 0 {
		return nil
	}
	return list[at]
}

func place(at int) any { return int64(at) }

func sumOf(m *machine, n *ast.BuiltinNode, list []any) any {
	var total any = int64(0)
	add := func(v any) bool {
		total = m.arithmetic("+", total, m.look(v))
		return true
	}
	if len(n.Arguments) < 2 {
		for _, v := range list {
			m.step(1)
			add(v)
		}
		return total
	}
	m.each(n, list, func(_ int, _, v any) bool { return add(v) })
	return total
}

func groupBy(m *machine, n *ast.BuiltinNode, list []any) any {
	groups := map[string]any{}
	m.each(n, list, func(_ int, v, answer any) bool {
		switch answer = m.look(answer); answer.(type) {
		case string, int64, bool:
		default:
			m.fail("groupBy wants a text, a whole number or a boolean for each item, not %s", describe(answer))
		}
		key := m.written(answer)
		group, there := groups[key].([]any)
		if !there {
			m.grow(sizeOfMember + len(key))
		}
		groups[key] = append(group, m.kept(v))
		return true
	})
	return groups
}

func sortBy(m *machine, n *ast.BuiltinNode, list []any) any {
	type keyed struct{ item, key any }
	all := make([]keyed, 0, min(len(list), 1024))
	m.each(n, list, func(_ int, v, key any) bool {
		all = append(all, keyed{m.kept(v), m.look(key)})
		m.grow(sizeOfItem)
		return true
	})
	sign := 1
	if len(n.Arguments) > 2 {
		sign = m.direction(m.look(m.eval(n.Arguments[2])))
		m.at = n
	}
	sort.SliceStable(all, func(i, j int) bool { m.step(1); return sign*m.compare(all[i].key, all[j].key) < 0 })
	out := make([]any, len(all))
	for i := range all {
		out[i] = all[i].item
	}
	return out
}

func (m *machine) direction(order any) int {
	switch order {
	case "asc":
		return 1
	case "desc":
		return -1
	}
	m.fail("the order is asc or desc")
	return 0
}

func reduce(m *machine, n *ast.BuiltinNode, list []any) any {
	var acc any
	if len(n.Arguments) > 2 {
		acc = m.eval(n.Arguments[2])
	} else if len(list) > 0 {
		acc, list = list[0], list[1:]
	} else {
		m.fail("reduce of an empty list wants a third argument to begin with")
	}
	first := 0
	if len(n.Arguments) < 3 {
		first = 1
	}
	m.scopes = append(m.scopes, scope{})
	top := len(m.scopes) - 1
	for i, v := range list {
		m.scopes[top] = scope{item: v, index: i + first, acc: acc}
		acc = m.eval(n.Arguments[1])
	}
	m.scopes = m.scopes[:top]
	return acc
}

// listOf wants a list.
func (m *machine) listOf(of string, v any) []any {
	list, ok := m.list(v)
	if !ok {
		m.fail("%s wants a list, not %s", of, describe(v))
	}
	return list
}

func (m *machine) text1(v any) string {
	s, ok := m.look(v).(string)
	if !ok {
		m.fail("want a text, not %s", describe(v))
	}
	return s
}

func (m *machine) whole1(v any) int64 {
	i, ok := m.look(v).(int64)
	if !ok {
		m.fail("want a whole number, not %s", describe(v))
	}
	return i
}

func lengthOf(m *machine, a []any) any {
	switch kindOfValue(a[0]) {
	case '[':
		list, _ := m.list(a[0])
		return int64(len(list))
	case '{':
		object, _ := m.object(a[0])
		return int64(len(object))
	case '"':
		s := m.text1(a[0])
		m.through(len(s))
		return int64(utf8.RuneCountInString(s))
	}
	m.fail("len wants a list, an object or a text, not %s", describe(a[0]))
	return nil
}

func typeName(v any) string {
	switch v := v.(type) {
	case nil:
		return "nil"
	case bool:
		return "bool"
	case int64:
		return "int"
	case float64:
		return "float"
	case raw:
		if c := v.first(); c != '"' && c != '[' && c != '{' {
			n, _ := v.number()
			return typeName(n)
		}
	}
	switch kindOfValue(v) {
	case '[':
		return "array"
	case '{':
		return "map"
	}
	return "string"
}

func absolute(m *machine, a []any) any {
	switch x := m.look(a[0]).(type) {
	case int64:
		if x == math.MinInt64 {
			m.fail("the result is too large for 64 bits")
		}
		return max(x, -x)
	case float64:
		return math.Abs(x)
	}
	m.fail("abs wants a number, not %s", describe(a[0]))
	return nil
}

func rounded(by func(float64) float64) func(m *machine, a []any) any {
	return func(m *machine, a []any) any {
		switch x := m.look(a[0]).(type) {
		case int64:
			return x
		case float64:
			return by(x)
		}
		m.fail("want a number, not %s", describe(a[0]))
		return nil
	}
}

func toInt(m *machine, a []any) any {
	switch x := m.look(a[0]).(type) {
	case int64:
		return x
	case float64:
		if x >= -1<<63 && x < 1<<63 {
			return int64(x)
		}
		m.fail("%v is too large for 64 bits", x)
	case string:
		i, err := strconv.ParseInt(x, 10, 64)
		if err != nil {
			m.fail("%s is no whole number of 64 bits", short(appendText(nil, x)))
		}
		return i
	}
	m.fail("int wants a number or a text, not %s", describe(a[0]))
	return nil
}

func toFloat(m *machine, a []any) any {
	switch x := m.look(a[0]).(type) {
	case int64:
		return float64(x)
	case float64:
		return x
	case string:
		f, err := strconv.ParseFloat(x, 64)
		if err != nil {
			m.fail("%s is no number", short(appendText(nil, x)))
		}
		return m.finite(f)
	}
	m.fail("float wants a number or a text, not %s", describe(a[0]))
	return nil
}

// written is a value as a text: a text itself, anything else as JSON.
func (m *machine) written(v any) string {
	if r, ok := v.(raw); !ok || r.first() == '"' {
		if s, ok := m.look(v).(string); ok {
			return s
		}
	}
	return m.json(v)
}

func (m *machine) json(v any) string {
	room := m.room
	b := m.encoded(v)
	m.room = room
	m.grow(len(b))
	return string(raw(b).trim())
}

func trimmed(by func(s, of string) string, blanks bool) func(m *machine, a []any) any {
	return func(m *machine, a []any) any {
		s := m.text1(a[0])
		if m.through(len(s)); len(a) < 2 {
			if blanks {
				return strings.TrimSpace(s)
			}
			return by(s, " ")
		}
		of := m.text1(a[1])
		m.step(len(of) * (1 + len(s)/64))
		return by(s, of)
	}
}

func textFunction(by func(string) string) func(m *machine, a []any) any {
	return func(m *machine, a []any) any {
		s := m.text1(a[0])
		m.grow(3 * len(s)) // the most that upper and base64 make of it
		return by(s)
	}
}

func splitBy(by func(s, sep string, n int) []string) func(m *machine, a []any) any {
	return func(m *machine, a []any) any {
		s, sep, n := m.text1(a[0]), m.text1(a[1]), -1
		if len(a) > 2 {
			n = int(max(-1, min(m.whole1(a[2]), math.MaxInt32)))
		}
		m.grow((strings.Count(s, sep) + 1) * (16 + sizeOfItem))
		m.through(len(s))
		parts := by(s, sep, n)
		list := make([]any, len(parts))
		for i := range parts {
			list[i] = parts[i]
		}
		return list
	}
}

func replace(m *machine, a []any) any {
	s, old, with, n := m.text1(a[0]), m.text1(a[1]), m.text1(a[2]), -1
	if len(a) > 3 {
		n = int(max(-1, min(m.whole1(a[3]), math.MaxInt32)))
	}
	m.through(len(s))
	count := strings.Count(s, old)
	if n >= 0 {
		count = min(count, n)
	}
	if count > 0 && len(with) > MaxMemory/count {
		m.fail("it needs more than %d bytes", MaxMemory)
	}
	m.grow(len(s) + count*len(with))
	return strings.Replace(s, old, with, n)
}

func repeat(m *machine, a []any) any {
	s, n := m.text1(a[0]), m.whole1(a[1])
	if n < 0 {
		m.fail("repeat wants a number of times that is not negative")
	}
	if len(s) > 0 && n > int64(MaxMemory/len(s)) {
		m.fail("it needs more than %d bytes", MaxMemory)
	}
	if len(s) == 0 {
		return ""
	}
	m.grow(len(s) * int(n))
	return strings.Repeat(s, int(n))
}

func join(m *machine, a []any) any {
	list, sep := m.listOf("join", a[0]), ""
	if len(a) > 1 {
		sep = m.text1(a[1])
	}
	parts := make([]string, 0, min(len(list), 1024))
	for _, v := range list {
		s, ok := m.look(v).(string)
		if !ok {
			m.fail("join wants a list of texts, not of %s", describe(v))
		}
		m.grow(16 + len(s) + len(sep))
		parts = append(parts, s)
	}
	return strings.Join(parts, sep)
}

func indexIn(by func(s, part string) int) func(m *machine, a []any) any {
	return func(m *machine, a []any) any {
		s, part := m.text1(a[0]), m.text1(a[1])
		m.through(len(s) + len(part))
		at := by(s, part)
		if at < 0 {
			return int64(-1)
		}
		return int64(utf8.RuneCountInString(s[:at]))
	}
}

// numbers calls with each number of the arguments and of the lists among them.
func (m *machine) numbers(of string, args []any, depth int, got func(any)) {
	m.deep(depth)
	for _, v := range args {
		m.step(1)
		if list, ok := m.list(v); ok {
			m.numbers(of, list, depth+1, got)
			continue
		}
		n := m.look(v)
		if _, ok := float(n); !ok {
			m.fail("%s wants numbers, not %s", of, describe(v))
		}
		got(n)
	}
}

func extreme(sign int) func(m *machine, a []any) any {
	of := map[int]string{1: "max", -1: "min"}[sign]
	return func(m *machine, a []any) any {
		var best any
		m.numbers(of, a, 0, func(n any) {
			if best == nil || sign*compareNumbers(n, best) > 0 {
				best = n
			}
		})
		return best
	}
}

func mean(m *machine, a []any) any {
	total, count := 0.0, 0
	m.numbers("mean", a, 0, func(n any) { f, _ := float(n); total += f; count++ })
	if count == 0 {
		return 0.0
	}
	return m.finite(total / float64(count))
}

func median(m *machine, a []any) any {
	var all []float64
	m.numbers("median", a, 0, func(n any) { f, _ := float(n); m.grow(8); all = append(all, f) })
	if len(all) == 0 {
		return 0.0
	}
	m.step(len(all) * (1 + bitsOf(len(all))))
	slices.Sort(all)
	half := len(all) / 2
	if len(all)%2 == 1 {
		return all[half]
	}
	return m.finite(all[half-1]/2 + all[half]/2)
}

func bitsOf(n int) int {
	b := 0
	for ; n > 0; n >>= 1 {
		b++
	}
	return b
}

func fromJSON(m *machine, a []any) any {
	s := m.text1(a[0])
	m.through(8 * len(s))
	m.grow(len(s))
	b := []byte(s)
	if !utf8.Valid(b) || !json.Valid(b) {
		m.fail("fromJSON: the text is not JSON")
	}
	m.deep(raw(b).depth())
	return wrap(raw(b).trim())
}

func fromBase64(m *machine, a []any) any {
	s := m.text1(a[0])
	m.grow(len(s))
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		m.fail("fromBase64: the text is no base64")
	}
	if !utf8.Valid(b) {
		m.fail("fromBase64: what it stands for is no text")
	}
	return string(b)
}

func getOr(m *machine, a []any) any {
	key := m.look(a[1])
	if list, ok := m.list(a[0]); ok {
		i := m.index(key, len(list))
		if i < 0 || i >= len(list) {
			return nil
		}
		return list[i]
	}
	if name, ok := key.(string); ok && kindOfValue(a[0]) == '{' {
		v, _ := m.field(a[0], name)
		return v
	}
	return nil
}

func take(m *machine, a []any) any {
	list, n := m.listOf("take", a[0]), m.whole1(a[1])
	if n < 0 {
		m.fail("take wants a number of items that is not negative")
	}
	return list[:min(n, int64(len(list)))]
}

func (m *machine) objectOf(of string, v any) map[string]any {
	object, ok := m.object(v)
	if !ok {
		m.fail("%s wants an object, not %s", of, describe(v))
	}
	m.step(len(object) * (1 + bitsOf(len(object))))
	return object
}

func keysOf(m *machine, a []any) any {
	list := []any{}
	for _, key := range sortedKeys(m.objectOf("keys", a[0])) {
		list = append(list, m.kept(key))
	}
	return list
}

func valuesOf(m *machine, a []any) any {
	object, list := m.objectOf("values", a[0]), []any{}
	for _, key := range sortedKeys(object) {
		list = append(list, m.kept(object[key]))
	}
	return list
}

func toPairs(m *machine, a []any) any {
	object, list := m.objectOf("toPairs", a[0]), []any{}
	for _, key := range sortedKeys(object) {
		m.grow(2 * sizeOfItem)
		list = append(list, m.kept([]any{key, object[key]}))
	}
	return list
}

func fromPairs(m *machine, a []any) any {
	object := map[string]any{}
	for _, v := range m.listOf("fromPairs", a[0]) {
		pair, ok := m.list(v)
		if !ok || len(pair) != 2 {
			m.fail("fromPairs wants a list of lists of a key and a value")
		}
		key := m.text1(pair[0])
		m.grow(sizeOfMember + len(key))
		object[key] = pair[1]
	}
	return object
}

func reverse(m *machine, a []any) any {
	list := m.listOf("reverse", a[0])
	m.grow(sizeOfItem * len(list))
	turned := slices.Clone(list)
	slices.Reverse(turned)
	return turned
}

func uniq(m *machine, a []any) any {
	kept, seen := []any{}, map[string][]any{}
	for _, v := range m.listOf("uniq", a[0]) {
		// What is equal has the same mark; what has the same mark is compared.
		mark := m.mark(v)
		if slices.ContainsFunc(seen[mark], func(other any) bool { return m.equal(v, other, 0) }) {
			continue
		}
		m.grow(sizeOfMember)
		seen[mark] = append(seen[mark], v)
		kept = append(kept, m.kept(v))
	}
	return kept
}

func (m *machine) mark(v any) string {
	switch x := m.look(v).(type) {
	case int64:
		return strconv.FormatFloat(float64(x), 'g', -1, 64)
	case float64:
		return strconv.FormatFloat(x, 'g', -1, 64)
	case string:
		m.through(len(x))
		return "s" + x
	}
	switch kindOfValue(v) {
	case '[':
		return "[" + strconv.Itoa(len(m.listOf("uniq", v)))
	case '{':
		object, _ := m.object(v)
		return "{" + strconv.Itoa(len(object))
	}
	return describe(v)
}

func concat(m *machine, a []any) any {
	all := []any{}
	for _, v := range a {
		list := m.listOf("concat", v)
		m.grow(sizeOfItem * len(list))
		all = append(all, list...)
	}
	return all
}

func flatten(m *machine, a []any) any {
	all := []any{}
	var add func(list []any, depth int)
	add = func(list []any, depth int) {
		m.deep(depth)
		for _, v := range list {
			if inner, ok := m.list(v); ok {
				m.step(1)
				add(inner, depth+1)
				continue
			}
			all = append(all, m.kept(v))
		}
	}
	add(m.listOf("flatten", a[0]), 0)
	return all
}

func sorted(m *machine, a []any) any {
	list := m.listOf("sort", a[0])
	sign := 1
	if len(a) > 1 {
		sign = m.direction(m.look(a[1]))
	}
	out := make([]any, 0, len(list))
	m.grow(sizeOfItem * len(list))
	for _, v := range list {
		out = append(out, m.look(v))
	}
	sort.SliceStable(out, func(i, j int) bool { m.step(1); return sign*m.compare(out[i], out[j]) < 0 })
	return out
}

func bitwise(by func(x, y int64) int64) func(m *machine, a []any) any {
	return func(m *machine, a []any) any { return by(m.whole1(a[0]), m.whole1(a[1])) }
}

func shift(by func(m *machine, x int64, by uint) int64) func(m *machine, a []any) any {
	return func(m *machine, a []any) any {
		x, n := m.whole1(a[0]), m.whole1(a[1])
		if n < 0 {
			m.fail("cannot shift by a negative number")
		}
		return by(m, x, uint(min(n, 64)))
	}
}
