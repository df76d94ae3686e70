package flow

import (
	"slices"

	"github.com/agnt5/agnt5d/internal/expression"
)

// usage is a step that an expression of another names.
type usage struct {
	of, names int // index of the step whose expression it is, and of the step that it names
	path      string
	place     int32
}

// expressions checks what the definition says in expressions. deps and jump are the edges between steps: see order.
func (v *validator) expressions(deps [][]int32, jump []int32) {
	if v.old { // one that a later release cannot read fails its step when it is needed
		return
	}
	var uses []usage
	for i := range v.steps {
		s := &v.steps[i]
		fate := v.fate(i)
		uses = v.bare(uses, i, "when", s.When, fate, expression.Boolean)
		if text, ok := s.ItemsExpression(); ok {
			uses = v.bare(uses, i, "for_each", text, fate, expression.List)
		}
		if s.Repeat != nil {
			uses = v.bare(uses, i, "repeat.until", s.Repeat.Until, s.names()|fate|expression.Round, expression.Boolean)
		}
		if s.Input != nil && CheckJSON(s.Input, 0) == nil {
			t, errs := expression.CompileTemplate(s.Input, s.names()|fate)
			uses = v.template(uses, i, "input", v.place(i, "input"), t, errs)
		}
		for n, key := range s.ObjectKeys {
			if expression.HasTemplate(key) {
				t, errs := expression.CompileText(key, s.names()|fate)
				uses = v.template(uses, i, "object_keys", v.itemPlace(i, "object_keys", n), t, errs)
			}
		}
	}
	if v.d.Output != nil && CheckJSON(v.d.Output, 0) == nil {
		t, errs := expression.CompileTemplate(v.d.Output, 0)
		v.template(nil, whole, "output", v.place(whole, "output"), t, errs)
	}
	v.before(uses, deps, jump)
}

// fate is the name that the expressions of steps of finally may use beside the usual ones.
func (v *validator) fate(i int) expression.Names {
	if i >= v.main {
		return expression.Fate
	}
	return 0
}

func keysHaveTemplates(s *Step) bool {
	return slices.ContainsFunc(s.ObjectKeys, expression.HasTemplate[string])
}

// names are those that the step's expressions may use beside the usual ones.
func (s *Step) names() expression.Names {
	if s.ForEach != nil {
		return expression.Item
	}
	return 0
}

// ItemsExpression gives the expression of for_each; not ok: there is none, or it is a list.
func (s *Step) ItemsExpression() (text string, ok bool) {
	if len(s.ForEach) == 0 || CheckJSON(s.ForEach, 0) != nil {
		return "", false
	}
	v := readJSON(s.ForEach)
	return v.text, v.kind == '"'
}

// bare checks an expression that is not in a text.
func (v *validator) bare(uses []usage, i int, path, text string, names expression.Names, want expression.Kind) []usage {
	if text == "" {
		return uses
	}
	at := v.place(i, path)
	if expression.Wrapped(text) {
		v.add(i, at, CodeExpression, "%s is an expression as it is: write it without ${ }", path)
		return uses
	}
	p, err := expression.Compile(text, names)
	if err != nil {
		v.add(i, at, CodeExpression, "%s: %v%s", path, err, v.cutByComment(i, path))
		return uses
	}
	if got := p.Gives(); got != want && got != expression.Anything {
		what := "true or false"
		if want == expression.List {
			what = "a list"
		}
		v.add(i, at, CodeExpression, "%s: %s does not give %s", path, cut(text, 200), what)
	}
	return v.named(uses, i, path, at, p.Steps())
}

func (v *validator) template(uses []usage, i int, path string, at int32, t *expression.Template, errs []*expression.Error) []usage {
	for _, err := range errs {
		v.add(i, at, CodeExpression, "%s: %v%s", path, err, v.cutByComment(i, path))
	}
	return v.named(uses, i, path, at, t.Steps())
}

// cutByComment is the end of a sentence about an expression that cannot be read, when YAML took the rest of its line for a comment.
func (v *validator) cutByComment(i int, path string) string {
	if at, _, _ := v.lookup(i, path); at == nil || !at.commented() {
		return ""
	}
	return "; in YAML, # after a space begins a comment: write the whole text in quotes"
}

// named looks up the steps that an expression names.
func (v *validator) named(uses []usage, i int, path string, at int32, refs []expression.Ref) []usage {
	for _, r := range refs {
		to, known := v.index[r.Name]
		switch {
		case !known && i == whole:
			v.add(i, at, CodeExpression, "%s: there is no step %s in this workflow", path, quote(r.Name))
		case !known:
			v.add(i, at, CodeExpression, "%s: there is no step %s in this workflow%s", path, quote(r.Name), v.likeStep(i, r.Name))
		case to == i:
			v.add(i, at, CodeExpression, "%s: the step names itself%s", path, itself(path))
		case to >= v.main && i < v.main:
			v.add(i, at, CodeExpression, "%s: step %s is one of finally, which comes last", path, quote(r.Name))
		case i >= v.main && to < v.main: // it is over by then, whatever became of it
		case i != whole:
			uses = append(uses, usage{i, to, path, at})
		}
	}
	return uses
}

func itself(path string) string {
	if path == "repeat.until" {
		return "; what the round gave is output"
	}
	return ""
}

// before refuses expressions that name a step which is not before theirs.
func (v *validator) before(uses []usage, deps [][]int32, jump []int32) {
	pairs := make([]pair, 0, len(uses))
	for _, u := range uses {
		pairs = append(pairs, pair{int32(u.names), int32(u.of)})
	}
	for n, ok := range follows(pairs, deps, jump) {
		if u := &uses[n]; !ok {
			v.add(u.of, u.place, CodeExpression, "%s: step %s is not before this one; name it in dependencies, or in after", u.path, quote(v.steps[u.names].Name))
		}
	}
}

// pair asks whether a step follows from another, by dependencies and by the edges to steps that on_timeout or on_failure name.
type pair struct{ from, to int32 }

// follows answers each. It goes through the graph with 64 steps at a time, a bit for each.
func follows(pairs []pair, deps [][]int32, jump []int32) []bool {
	answers := make([]bool, len(pairs))
	var open []int // what a dependency does not answer
	for n, p := range pairs {
		if answers[n] = slices.Contains(deps[p.to], p.from); !answers[n] {
			open = append(open, n)
		}
	}
	if len(open) == 0 {
		return answers
	}
	slices.SortFunc(open, func(a, b int) int { return int(pairs[a].from) - int(pairs[b].from) })
	named, back := make([][]int32, len(deps)), false
	for w, e := range jump {
		if e >= 0 {
			named[e] = append(named[e], int32(w))
			back = back || int(e) < w
		}
	}
	on := make([]uint64, len(deps))
	for len(open) > 0 {
		var group []int32 // of steps
		n, last := 0, int32(0)
		for ; n < len(open); n++ {
			p := pairs[open[n]]
			if len(group) == 0 || group[len(group)-1] != p.from {
				if len(group) == 64 {
					break
				}
				group = append(group, p.from)
			}
			last = max(last, p.to)
		}
		first := int(group[0])
		if back {
			first, last = 0, int32(len(deps)-1)
		}
		spread(on[first:last+1], int32(first), group, deps, named, back)
		for _, at := range open[:n] {
			p := pairs[at]
			bit, _ := slices.BinarySearch(group, p.from)
			answers[at] = int(p.to) >= first && on[p.to]&(1<<bit) != 0
		}
		open = open[n:]
	}
	return answers
}

// spread sets, for each step from first on, a bit for each of the group that it follows from.
func spread(on []uint64, first int32, group []int32, deps, named [][]int32, again bool) {
	clear(on)
	own := make(map[int32]uint64, len(group))
	for bit, g := range group {
		own[g] = 1 << bit
	}
	for changed := true; changed; {
		changed = false
		for at := range on {
			bits := on[at]
			for _, before := range [...][]int32{deps[first+int32(at)], named[first+int32(at)]} {
				for _, d := range before {
					if i := d - first; i >= 0 && int(i) < len(on) {
						bits |= on[i] | own[d]
					}
				}
			}
			if bits != on[at] {
				on[at], changed = bits, again
			}
		}
	}
}
