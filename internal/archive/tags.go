package archive

import (
	"maps"
	"slices"
	"strings"

	"github.com/agnt5/agnt5d/internal/event"
	"github.com/agnt5/agnt5d/journal"
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

// ChildTag is the tag that the head of a child has, by which the children of a run are found. No tag of people has an empty name.
func ChildTag(parent string) string { return ":" + parent }

// PausedTag is the tag that the head of a paused run has, by which such runs are found. No run has an empty id, so that it is no ChildTag.
const PausedTag = ":"

// ParentOf gives the id of the parent of a head's run; "": it has none.
func ParentOf(h *journal.Head) string {
	for _, text := range h.Tags {
		if parent, is := strings.CutPrefix(text, ":"); is && parent != "" {
			return parent
		}
	}
	return ""
}

// IsPaused says that a head's run is paused.
func IsPaused(h *journal.Head) bool { return slices.Contains(h.Tags, PausedTag) }

// tagTexts gives tags as heads have them, with that of a child and that of a paused run.
func tagTexts(tags []event.Tag, parent *event.Parent, paused bool) []string {
	var texts []string
	for _, t := range tags {
		texts = append(texts, t.Name+":"+t.Value)
	}
	if parent != nil {
		texts = append(texts, ChildTag(parent.ID))
	}
	if paused {
		texts = append(texts, PausedTag)
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
		if name, value, _ := strings.Cut(text, ":"); name != "" {
			shown[name] = value
		}
	}
	if len(shown) == 0 {
		return nil
	}
	return shown
}
