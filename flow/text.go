package flow

import (
	"bytes"
	"errors"
)

// Text is a value of a JSON or YAML text that is not a definition of a workflow: it knows its place, and keeps numbers as they were
// written.
type Text struct {
	v   *value
	src source
}

// TextKey is a key of an object and what stands under it.
type TextKey struct {
	Name  string
	Value Text

	at  int32
	src source
}

// ReadText reads a text as JSON if it begins with {, else as YAML. what begins the sentences of problems: "the schedule".
func ReadText(b []byte, what string, limit int) (Text, Problems) {
	var f findings
	switch text := bytes.TrimLeft(b, " \t\r\n"); {
	case len(text) == 0:
		f.whole(0, CodeInvalidJSON, "%s is empty: want YAML or JSON", what)
	case len(b) > limit:
		f.whole(0, CodeTooLarge, "%s is %d bytes, the limit is %d", what, len(b), limit)
	case text[0] == '{':
		source := &jsonSource{text: b}
		f.source = source
		err := checkJSON(b, 0, documentNesting)
		if err == nil {
			v := readJSON(b)
			return Text{&v, source}, nil
		}
		var at int32
		if bad, ok := errors.AsType[*jsonError](err); ok {
			at = int32(bad.at)
		}
		f.whole(at, CodeInvalidJSON, "%s %v", what, err)
	default:
		source := &yamlSource{}
		f.source = source
		v, err := yamlValue(b, source)
		if err == nil {
			return Text{&v, source}, nil
		}
		var at int32
		if bad, ok := errors.AsType[*yamlError](err); ok {
			at = source.meet(bad.line, bad.column)
		}
		f.whole(at, CodeInvalidJSON, "%s %v", what, err)
	}
	return Text{}, f.problems()
}

// Kind is one of n b # " [ { for null, a boolean, a number, a text, a list and an object.
func (t Text) Kind() byte { return t.v.kind }

// Says names the kind with its article: "a number".
func (t Text) Says() string { return t.v.describe() }

// Text is that of a text, a number or a boolean, as it was written.
func (t Text) Text() string { return t.v.text }

// Items are those of a list.
func (t Text) Items() []Text {
	if t.v.kind != '[' {
		return nil
	}
	all := make([]Text, len(t.v.items))
	for i := range t.v.items {
		all[i] = Text{&t.v.items[i], t.src}
	}
	return all
}

// Keys are those of an object, in the order of the text.
func (t Text) Keys() []TextKey {
	if t.v.kind != '{' {
		return nil
	}
	all := make([]TextKey, len(t.v.items))
	for i := range t.v.items {
		all[i] = TextKey{t.v.keys[i].text, Text{&t.v.items[i], t.src}, t.v.keys[i].at, t.src}
	}
	return all
}

// Place is where the value stands, from 1.
func (t Text) Place() (line, column int) { return placeOf(t.src, t.v.at) }

// Place is where the key stands, from 1.
func (k TextKey) Place() (line, column int) { return placeOf(k.src, k.at) }

func placeOf(src source, at int32) (line, column int) {
	p := src.places([]int32{at})[0]
	return p.line, p.column
}

// JSON is the value in canonical form: compact, keys sorted, ASCII, numbers as they were written. The error is about a key that stands
// twice.
func (t Text) JSON() ([]byte, error) {
	if err := t.v.duplicate(); err != nil {
		return nil, err
	}
	return t.v.appendCanonical(nil), nil
}
