package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/agnt5/agnt5d/client"
	"github.com/agnt5/agnt5d/flow"
	"github.com/spf13/cobra"
)

func newTagCmd() *cobra.Command {
	var remove []string
	cmd := &cobra.Command{
		Use:   "tag RUN NAME=VALUE...",
		Short: "Give a run tags, or take some away",
		Long: `Gives a run tags, by which list --tag finds it, and prints all that it has then. A tag of a name that it has gets the new value. The run may have
ended. Its history says who changed which tag.`,
		Example:           "  agnt5d tag order-17 team=data seen=yes\n  agnt5d tag order-17 --remove seen",
		ValidArgsFunction: runIDs(),
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 || len(args) == 1 && len(remove) == 0 {
				return exit(exitUsage, "%s wants a run, and tags as NAME=VALUE or --remove NAME (see \"%s --help\")", verbOf(cmd), cmd.CommandPath())
			}
			return nil
		},
	}
	cmd.Flags().StringArrayVar(&remove, "remove", nil, "take the tag of this name away; may be given more than once")
	return remoteVerb(cmd, func(cmd *cobra.Command, args []string, c *client.Client, o *remote) error {
		var set []string
		flag := tagFlag{&set}
		for _, text := range args[1:] {
			if err := flag.Set(text); err != nil {
				return exit(exitUsage, "%v", err)
			}
		}
		for _, name := range remove {
			if err := flow.ValidTagName(name); err != nil {
				return exit(exitUsage, "--remove: %v", err)
			}
		}
		tags, err := c.Tag(cmd.Context(), args[0], tagMap(set), remove...)
		if err != nil {
			return err
		}
		if o.json() {
			return printJSON(cmd.OutOrStdout(), tags)
		}
		_, err = fmt.Fprintln(cmd.OutOrStdout(), visible(cmp.Or(shownTags(tags), "no tags")))
		return err
	})
}

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
