package flow

import (
	"cmp"
	"slices"
	"strings"

	"github.com/agnt5/agnt5d/internal/nearest"
)

// allKeys is everyKey, for those whom the tables of keys themselves use.
var allKeys []keyInfo

func init() { allKeys = everyKey() }

// spellings are the ways to write a key: its name and, of a duration, the name without _ms.
func (k *keyInfo) spellings() []string {
	if k.kind == kindMS {
		return []string{strings.TrimSuffix(k.name, ms), k.name}
	}
	return []string{k.name}
}

// keyHints bounds how often the keys are looked through for one definition.
const keyHints = 200

// unknown reports an unknown key, with the one that was meant as far as one can tell.
func (r *reader) unknown(k keyName, what string, known func() []keyInfo) {
	hint := ""
	if r.hinted++; r.hinted <= keyHints {
		hint = r.meant(k.text, known())
	}
	r.add(k.at, CodeUnknownKey, "%s has an unknown key %s%s", what, quote(k.text), hint)
}

// meant looks for a key among those of the object, those of the objects inside of it and those of the step around it: other
// words for a key of this object, the key itself in the wrong place, other words for that, then what is spelt almost like one.
func (r *reader) meant(word string, known []keyInfo) string {
	if k := otherWord(word, known); k != "" {
		return didYouMean(k)
	}
	var inside, outside []keyInfo
	if r.at >= 0 {
		inside, outside = r.neighbours()
		if r.prefix == "" {
			if here, other := elsewhere(word, r.kind); here+other != "" {
				return cmp.Or(here, other)
			}
		}
	}
	for _, k := range outside {
		if k.is(word, k.name) {
			return "; it belongs to the step, beside " + strings.TrimSuffix(r.prefix, ".")
		}
	}
	if k := otherWord(word, inside); k != "" {
		return didYouMean(k)
	}
	var words []string
	means := map[string]string{} // a word -> the path of the key
	for _, group := range [][]keyInfo{known, inside} {
		for i := range group {
			object, own, nested := strings.Cut(group[i].name, ".")
			if !nested {
				object, own = "", object
			}
			k := keyInfo{name: own, kind: group[i].kind}
			for _, w := range append(k.spellings(), group[i].also...) {
				if _, taken := means[w]; taken {
					continue
				}
				words = append(words, w)
				means[w] = w
				if slices.Contains(group[i].also, w) {
					means[w] = k.spellings()[0]
				}
				if nested {
					means[w] = object + "." + means[w]
				}
			}
		}
	}
	if near := nearest.Word(word, words); near != "" {
		return didYouMean(means[near])
	}
	return ""
}

// otherWord gives the key that people call so elsewhere.
func otherWord(word string, keys []keyInfo) string {
	for i := range keys {
		if slices.ContainsFunc(keys[i].also, func(a string) bool { return strings.EqualFold(a, word) }) {
			return keys[i].spellings()[0]
		}
	}
	return ""
}

// elsewhere says where a key stands that does not belong to the step itself: in an object of a step of this type, and of another.
func elsewhere(word string, kind StepType) (here, other string) {
	for _, k := range allKeys {
		object, own, nested := strings.Cut(k.name, ".")
		switch {
		case !nested || !k.is(word, own):
		case k.belongs(kind):
			here = "; it belongs in " + object
		case other == "":
			other = "; it belongs in " + object + ", of a " + string(k.steps[0]) + " step"
		}
	}
	return here, other
}

// neighbours are the keys of the objects inside of a step of this type, when the step itself is read, else those of the step.
func (r *reader) neighbours() (inside, outside []keyInfo) {
	for _, k := range allKeys {
		_, _, nested := strings.Cut(k.name, ".")
		switch {
		case !k.belongs(r.kind):
		case nested && r.prefix == "":
			inside = append(inside, k)
		case !nested && r.prefix != "":
			outside = append(outside, k)
		}
	}
	return inside, outside
}

// is says whether a word spells the key of that name.
func (k *keyInfo) is(word, name string) bool {
	return word == name || k.kind == kindMS && word+ms == name
}

func didYouMean(path string) string {
	if object, own, nested := strings.Cut(path, "."); nested {
		return `; did you mean "` + own + `" in ` + object + "?"
	}
	return `; did you mean "` + path + `"?`
}

// suggestions bounds how often all the names of a definition are looked through.
const suggestions = 20

// likeStep is a hint at the other step whose name is most like this one.
func (v *validator) likeStep(i int, name string) string {
	if v.suggested++; v.suggested > suggestions {
		return ""
	}
	if v.names == nil {
		for i := range v.steps {
			v.names = append(v.names, v.steps[i].Name)
		}
	}
	own := v.names[i]
	v.names[i] = ""
	defer func() { v.names[i] = own }()
	return nearest.Did(name, v.names)
}

// likeType is a hint at the step type that was meant.
func likeType(name string) string {
	var names []string
	for _, t := range stepTypes {
		names = append(names, string(t))
	}
	return nearest.Did(name, names)
}
