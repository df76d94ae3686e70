package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/agnt5/agnt5d/client"
	"github.com/agnt5/agnt5d/model"
)

// statesOfItems are the states that an item may be in.
var statesOfItems = []string{"pending", "blocked", "scheduled", "running", "waiting", "retrying", "completed", "failed", "cancelled"}

// showItems lists the items of a step of a run that goes over a list, those in some states or all.
func showItems(cmd *cobra.Command, c *client.Client, o *remote, run, step string, states []string) error {
	for _, state := range states {
		if !slices.Contains(statesOfItems, state) {
			return exit(exitUsage, "--only %q: want a state of an item: %s", state, strings.Join(statesOfItems, ", "))
		}
	}
	one := ""
	if len(states) == 1 { // the daemon picks them
		one = states[0]
	}
	rows := [][]string{{"ITEM", "STATE", "ATTEMPT", "SINCE", ""}}
	all := []model.ItemStatus{}
	for cursor := ""; ; {
		page, err := c.Items(cmd.Context(), run, step, one, cursor, 1000)
		if err != nil {
			return err
		}
		for _, it := range page.Items {
			if len(states) > 0 && !slices.Contains(states, it.State) {
				continue
			}
			all = append(all, it)
			rows = append(rows, []string{it.Name, it.State, fmt.Sprint(it.Attempt), local(it.Since, zone(cmd)), aboutItem(&it)})
		}
		if cursor = page.NextCursor; cursor == "" {
			break
		}
	}
	if o.json() {
		return printJSON(cmd.OutOrStdout(), all)
	}
	return table(cmd.OutOrStdout(), rows)
}

// aboutItem is what else there is to say of an item.
func aboutItem(it *model.ItemStatus) string {
	switch {
	case it.Error != nil && it.State != "completed":
		return clip(it.Error.Code+": "+it.Error.Message, 80)
	case it.State == "completed":
		return clip(string(it.Output), 80)
	case it.Worker != "":
		return "on " + it.Worker
	}
	return ""
}

// howMany says how the items of a step stand.
func howMany(n *model.ItemCounts) string {
	text := fmt.Sprintf("%d of %d items", n.Completed, n.Total)
	for _, more := range []struct {
		n    int
		what string
	}{{n.Failed, "failed"}, {n.Open, "open"}, {n.Cancelled, "cancelled"}} {
		if more.n > 0 {
			text += fmt.Sprintf(", %d %s", more.n, more.what)
		}
	}
	return text
}
