package flow

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/agnt5/agnt5d/internal/ids"
)

// MaxTags is how many tags a run has at most, MaxTagValue how many bytes the value of one.
const (
	MaxTags     = 16
	MaxTagValue = 256
)

const (
	tagMarks     = "_.-"
	wantTagName  = "want 1 to 128 of letters, digits, _ . -"
	wantTagValue = "want up to 256 bytes of printable UTF-8"
)

// TagRule is what is checked of the name of a tag.
var TagRule = textRule(maxName, tagMarks)

// ValidTagName checks the name of a tag: 1 to 128 of letters, digits, _ . - of ASCII, never . or .. alone.
func ValidTagName(name string) error {
	err := validText(name, maxName, tagMarks, wantTagName)
	if err == nil {
		err = ids.Check(name)
	}
	if err != nil {
		return fmt.Errorf("the name of a tag %w", err)
	}
	return nil
}

// ValidTag checks a tag: its name, and that its value is up to 256 bytes of printable UTF-8, which may be none.
func ValidTag(name, value string) error {
	if err := ValidTagName(name); err != nil {
		return err
	}
	switch {
	case len(value) > MaxTagValue:
		return fmt.Errorf("the value of tag %s is %d bytes long; %s", quote(name), len(value), wantTagValue)
	case !utf8.ValidString(value):
		return fmt.Errorf("the value of tag %s is not valid UTF-8; %s", quote(name), wantTagValue)
	}
	for _, r := range value {
		if !unicode.IsPrint(r) {
			return fmt.Errorf("the value of tag %s holds %U, which does not print; %s", quote(name), r, wantTagValue)
		}
	}
	return nil
}

// ValidTags checks the tags of a run: at most 16.
func ValidTags(tags map[string]string) error {
	for _, name := range slices.Sorted(maps.Keys(tags)) {
		if err := ValidTag(name, tags[name]); err != nil {
			return err
		}
	}
	return TooManyTags(len(tags))
}

// TooManyTags is the error of a run that would have so many tags; nil: it may.
func TooManyTags(n int) error {
	if n > MaxTags {
		return fmt.Errorf("%d tags, a run has at most %d", n, MaxTags)
	}
	return nil
}

// ParseTag reads a tag as filters name it, name:value, and as commands do, name=value. The name has neither : nor =, so the first of
// them is what parts the two.
func ParseTag(text string) (name, value string, err error) {
	at := strings.IndexAny(text, ":=")
	if text == "" {
		return "", "", errors.New("is empty; want name=value or name:value")
	}
	if at < 0 {
		if err := ValidTagName(text); err != nil {
			return "", "", err
		}
		return "", "", fmt.Errorf("%s has no value; want name=value or name:value", quote(text))
	}
	name, value = text[:at], text[at+1:]
	return name, value, ValidTag(name, value)
}
