package flow

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// source is the text of a definition: it knows where in it a value stands.
type source interface {
	// places gives line and column, from 1, of each place; 0 for what is nowhere. The column counts characters.
	places(at []int32) []place
}

type place struct{ line, column int }

// jsonSource numbers places by the offset in the text, from 1.
type jsonSource struct{ text []byte }

// places goes through the text once.
func (s *jsonSource) places(at []int32) []place {
	sorted := slices.Clone(at)
	slices.Sort(sorted)
	found := make(map[int32]place, len(at))
	here, line, column := 0, 1, 1
	for _, want := range sorted {
		if want <= 0 {
			continue
		}
		for here < int(want)-1 && here < len(s.text) {
			switch c := s.text[here]; {
			case c == '\n':
				line, column = line+1, 1
			case utf8.RuneStart(c):
				column++
			}
			here++
		}
		found[want] = place{line, column}
	}
	out := make([]place, len(at))
	for i := range at {
		out[i] = found[at[i]]
	}
	return out
}

// yamlSource numbers places in the order in which they were met, from 1.
type yamlSource struct{ met []place }

func (s *yamlSource) places(at []int32) []place {
	out := make([]place, len(at))
	for i, n := range at {
		if n > 0 && int(n) <= len(s.met) {
			out[i] = s.met[n-1]
		}
	}
	return out
}

func (s *yamlSource) meet(line, column int) int32 {
	s.met = append(s.met, place{line, column})
	return int32(len(s.met))
}

func (v *validator) rootPlace() int32 {
	if v.root == nil {
		return 0
	}
	return v.root.at
}

// lookup gives what stands under a path such as signal.timeout_ms of a step, the place of its key, and the path as it is
// written there: a duration may stand without _ms. Without it, it gives the innermost object that is there.
func (v *validator) lookup(i int, path string) (at *value, key int32, written string) {
	if v.root == nil {
		return nil, 0, path
	}
	if at = v.root; i != whole {
		list := "steps"
		if i >= v.main {
			list, i = "finally", i-v.main
		}
		steps, _ := v.root.field(list)
		if steps == nil || i >= len(steps.items) {
			return v.root, v.root.at, path
		}
		at = &steps.items[i]
	}
	key = at.at
	done := 0
	for part := range strings.SplitSeq(path, ".") {
		next, place := at.field(part)
		if next == nil || next.kind == 'n' {
			if short, found := strings.CutSuffix(part, ms); found {
				if d, where := at.field(short); d != nil {
					return d, where, path[:done] + short
				}
			}
		}
		if next == nil {
			break
		}
		at, key = next, place
		done += len(part) + 1
	}
	return at, key, path
}

// place is where what stands under a path of a step is; without it, where the step is, or the object that lacks it.
func (v *validator) place(i int, path string) int32 {
	if at, _, _ := v.lookup(i, path); at != nil {
		return at.at
	}
	return 0
}

// keyPlace is where the key of a path stands.
func (v *validator) keyPlace(i int, path string) int32 {
	_, key, _ := v.lookup(i, path)
	return key
}

// itemPlace is where the n-th of a list is.
func (v *validator) itemPlace(i int, path string, n int) int32 {
	at, _, _ := v.lookup(i, path)
	switch {
	case at == nil:
		return 0
	case at.kind == '[' && n < len(at.items):
		return at.items[n].at
	}
	return at.at
}

// dependencyPlace is where the n-th dependency is, those in after last.
func (v *validator) dependencyPlace(i, n int) int32 {
	if own := len(v.steps[i].Dependencies); n >= own {
		return v.itemPlace(i, "after", n-own)
	}
	return v.itemPlace(i, "dependencies", n)
}

// written is a path as it is written.
func (v *validator) written(i int, path string) string {
	_, _, w := v.lookup(i, path)
	return w
}
