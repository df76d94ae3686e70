package flow

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// keyInfo is what is said of one key of a definition: in the docs, in the JSON Schema, in hints, to other implementations.
type keyInfo struct {
	name        string
	kind        kind
	steps       []StepType // that it belongs to; nil: all
	required    bool
	standard    string // the default
	limits      string // in words; of numbers they are made of least and most
	least, most int64  // of a number
	doc         string // what it means
	also        []string
	inner       []keyInfo // of an object
	values      []string  // of a choice
	top         bool      // of the whole, not of a step
}

// kind is what kind of value a key has.
type kind uint8

const (
	kindText    kind = iota
	kindName         // a name (see ValidName)
	kindStep         // the name of a step
	kindType         // the name of a step type
	kindSteps        // names of steps
	kindObjects      // object keys
	kindCount        // a whole number
	kindMS           // a whole number of milliseconds; the key ends in _ms and may be a duration without that
	kindFactor       // a number
	kindJSON
	kindObject
	kindList       // of steps
	kindChoice     // one of some words
	kindExpression // a text that is evaluated
	kindItems      // a list, or an expression
	kindTolerance  // a whole number, or a percentage
	kindTemplate   // JSON in whose texts expressions are replaced
	kindTemplates  // an object of such
	kindBool       // true or false
)

func (k kind) String() string {
	switch k {
	case kindSteps, kindObjects:
		return "list of texts"
	case kindCount:
		return "whole number"
	case kindMS:
		return "milliseconds"
	case kindFactor:
		return "number"
	case kindJSON:
		return "any JSON"
	case kindObject:
		return "object"
	case kindList:
		return "list of objects"
	case kindExpression:
		return "expression"
	case kindItems:
		return "list or expression"
	case kindTolerance:
		return "whole number or percentage"
	case kindTemplate:
		return "template"
	case kindTemplates:
		return "object of templates"
	case kindBool:
		return "`true` or `false`"
	}
	return "text"
}

// stepsText names the step types that a key belongs to, "" when it belongs to all.
func (k *keyInfo) stepsText() string {
	var names []string
	for _, t := range k.steps {
		names = append(names, string(t))
	}
	return strings.Join(names, ", ")
}

// key is one key of an object that is read into a T and written from it.
type key[T any] struct {
	keyInfo
	read  func(r *reader, v *value, into *T)
	write func(o *fields, from *T) error
	given func(from *T) bool
	check func(v *validator, i int, path string, from *T) // nil: what is read is right
}

func infos[T any](keys []key[T]) []keyInfo {
	all := make([]keyInfo, 0, len(keys))
	for i := range keys {
		all = append(all, keys[i].keyInfo)
	}
	return all
}

// find gives the key of that name; short says that it is a duration, written without _ms.
func find[T any](keys []key[T], name string) (k *key[T], short bool) {
	for i := range keys {
		k := &keys[i]
		if k.name == name {
			return k, false
		}
		if k.kind == kindMS && len(k.name) == len(name)+len(ms) && strings.HasPrefix(k.name, name) {
			return k, true
		}
	}
	return nil, false
}

// readKeys reads an object key by key.
func readKeys[T any](r *reader, v *value, what string, keys []key[T], into *T) {
	if v.kind != '{' {
		r.wrong(v, what, "an object")
		return
	}
	if k, twice := v.repeated(); twice {
		r.add(k.at, CodeKeyDuplicate, "%s has the key %s twice", what, quote(k.text))
	}
	for i := range v.keys {
		k, short := find(keys, v.keys[i].text)
		switch {
		case k == nil:
			r.unknown(v.keys[i], what, func() []keyInfo { return infos(keys) })
		case short:
			r.short(v, i, k.name, func(v *value) { k.read(r, v, into) })
		default:
			k.read(r, &v.items[i], into)
		}
	}
}

// writeKeys writes what is given.
func writeKeys[T any](o *fields, keys []key[T], from *T) error {
	o.v.kind = '{'
	for i := range keys {
		if err := keys[i].write(o, from); err != nil {
			return err
		}
	}
	return nil
}

func checkKeys[T any](v *validator, i int, prefix string, keys []key[T], from *T) {
	for n := range keys {
		if k := &keys[n]; k.check != nil && k.given(from) {
			k.check(v, i, prefix+k.name, from)
		}
	}
}

func (k *keyInfo) belongs(t StepType) bool { return k.steps == nil || slices.Contains(k.steps, t) }

// textKey is a key for a text. One that is required is written when it is empty, too.
func textKey[T any](k keyInfo, always bool, at func(*T) *string) key[T] {
	made := key[T]{keyInfo: k,
		read: func(r *reader, v *value, into *T) { r.text(k.name, v, at(into)) },
		write: func(o *fields, from *T) error {
			if s := *at(from); s != "" || always {
				o.put(k.name, value{kind: '"', text: s})
			}
			return nil
		},
		given: func(from *T) bool { return *at(from) != "" }}
	if k.kind == kindName {
		made.check = func(v *validator, i int, path string, from *T) { v.name(i, path, *at(from)) }
	}
	return made
}

// textsKey is a key for a list of texts.
func textsKey[T any](k keyInfo, at func(*T) *[]string) key[T] {
	return key[T]{keyInfo: k,
		read: func(r *reader, v *value, into *T) { r.list(k.name, v, at(into)) },
		write: func(o *fields, from *T) error {
			if list := *at(from); len(list) > 0 {
				l := value{kind: '[', items: make([]value, 0, len(list))}
				for _, s := range list {
					l.items = append(l.items, value{kind: '"', text: s})
				}
				o.put(k.name, l)
			}
			return nil
		},
		given: func(from *T) bool { return len(*at(from)) > 0 }}
}

// numberKey is a key for a whole number.
func numberKey[T any](k keyInfo, at func(*T) **int64) key[T] {
	return key[T]{keyInfo: k,
		read: func(r *reader, v *value, into *T) { r.number(k.name, v, at(into)) },
		write: func(o *fields, from *T) error {
			if n := *at(from); n != nil {
				o.put(k.name, value{kind: '#', text: strconv.FormatInt(*n, 10)})
			}
			return nil
		},
		given: func(from *T) bool { return *at(from) != nil },
		check: func(v *validator, i int, path string, from *T) { v.within(i, path, **at(from), &k) }}
}

// boolKey is a key for true or false; false is as good as nothing.
func boolKey[T any](k keyInfo, at func(*T) *bool) key[T] {
	return key[T]{keyInfo: k,
		read: func(r *reader, v *value, into *T) {
			switch v.kind {
			case 'b':
				*at(into) = v.text == "true"
			case 'n':
			default:
				r.wrong(v, r.prefix+k.name, "true or false")
			}
		},
		write: func(o *fields, from *T) error {
			if *at(from) {
				o.put(k.name, value{kind: 'b', text: "true"})
			}
			return nil
		},
		given: func(from *T) bool { return *at(from) }}
}

// policyKey is a key for a whole number of a retry policy, of which 0 stands for the default unless it was given as 0.
func policyKey(k keyInfo, zero zeroField, at func(*Retry) *int64) key[Retry] {
	given := func(p *Retry) bool { return *at(p) != 0 || p.zeros&zero != 0 }
	return key[Retry]{keyInfo: k, given: given,
		read: func(r *reader, v *value, into *Retry) {
			var n *int64
			if r.number(k.name, v, &n); n == nil {
				return
			}
			if *at(into) = *n; *n == 0 {
				into.zeros |= zero
			}
		},
		write: func(o *fields, from *Retry) error {
			if given(from) {
				o.put(k.name, value{kind: '#', text: strconv.FormatInt(*at(from), 10)})
			}
			return nil
		},
		check: func(v *validator, i int, path string, from *Retry) { v.within(i, path, *at(from), &k) }}
}

// objectKey is a key for an object with keys of its own.
func objectKey[T, C any](k keyInfo, keys []key[C], at func(*T) **C) key[T] {
	k.inner = infos(keys)
	return key[T]{keyInfo: k,
		read: func(r *reader, v *value, into *T) {
			if v.kind == 'n' {
				return
			}
			c := new(C)
			*at(into) = c
			outer := r.prefix
			r.prefix += k.name + "."
			readKeys(r, v, strings.TrimSuffix(r.prefix, "."), keys, c)
			r.prefix = outer
		},
		write: func(o *fields, from *T) error {
			c := *at(from)
			if c == nil {
				return nil
			}
			var p fields
			if err := writeKeys(&p, keys, c); err != nil {
				return err
			}
			o.put(k.name, p.v)
			return nil
		},
		given: func(from *T) bool { return *at(from) != nil },
		check: func(v *validator, i int, path string, from *T) { checkKeys(v, i, path+".", keys, *at(from)) }}
}

// templateKey is a key for JSON that is kept in its canonical form.
func templateKey[T any](k keyInfo, at func(*T) *json.RawMessage) key[T] {
	return key[T]{keyInfo: k,
		read: func(r *reader, v *value, into *T) { r.template(&k, v, at(into)) },
		write: func(o *fields, from *T) error {
			in, err := keptJSON(*at(from))
			if err != nil {
				return fmt.Errorf("%s %w", k.name, err)
			}
			if in.kind != 'n' && (in.kind != '"' || in.text != "") {
				o.put(k.name, in)
			}
			return nil
		},
		given: func(from *T) bool { return *at(from) != nil },
		check: func(v *validator, i int, path string, from *T) { v.kept(i, path, &k, *at(from)) }}
}
