package main

import (
	"maps"
	"slices"
	"strings"

	"github.com/agnt5/agnt5d/flow"
)

// tagFlag is a flag that may be given more than once: each time a tag, name=value. They are kept as filters name them, name:value.
type tagFlag struct{ into *[]string }

func (t *tagFlag) String() string {
	if t.into == nil {
		return ""
	}
	return strings.Join(*t.into, ", ")
}

func (t *tagFlag) Set(text string) error {
	name, value, err := flow.ParseTag(text)
	if err == nil {
		*t.into = append(*t.into, name+":"+value)
	}
	return err
}

func (t *tagFlag) Type() string { return "name=value" }

// tagMap gives tags that were given by flags; a later one of the same name counts.
func tagMap(texts []string) map[string]string {
	var tags map[string]string
	for _, text := range texts {
		if tags == nil {
			tags = map[string]string{}
		}
		name, value, _ := strings.Cut(text, ":")
		tags[name] = value
	}
	return tags
}

// shownTags gives tags in one line, by name: "env=prod team=data".
func shownTags(tags map[string]string) string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(tags)) {
		all = append(all, name+"="+tags[name])
	}
	return strings.Join(all, " ")
}
