package archive

import (
	"maps"
	"slices"
	"strings"

	"github.com/agnt5/agnt5d/internal/event"
)

// Tags gives tags as they are shown; nil: there are none.
func Tags(tags []event.Tag) map[string]string {
	if len(tags) == 0 {
		return nil
	}
	shown := make(map[string]string, len(tags))
	for _, t := range tags {
		shown[t.Name] = t.Value
	}
	return shown
}

// TagsOf gives tags as events have them.
func TagsOf(tags map[string]string) []event.Tag {
	var all []event.Tag
	for _, name := range slices.Sorted(maps.Keys(tags)) {
		all = append(all, event.Tag{Name: name, Value: tags[name]})
	}
	return all
}

// tagTexts gives tags as heads have them.
func tagTexts(tags []event.Tag) []string {
	var texts []string
	for _, t := range tags {
		texts = append(texts, t.Name+":"+t.Value)
	}
	slices.Sort(texts) // ab:1 comes after ab-c:1, and ab before ab-c
	return texts
}

// headTags gives the tags of a head as they are shown.
func headTags(texts []string) map[string]string {
	if len(texts) == 0 {
		return nil
	}
	shown := make(map[string]string, len(texts))
	for _, text := range texts {
		name, value, _ := strings.Cut(text, ":")
		shown[name] = value
	}
	return shown
}
