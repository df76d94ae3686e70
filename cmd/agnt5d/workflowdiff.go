package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"

	"github.com/agnt5/agnt5d/client"
	"github.com/spf13/cobra"
)

func newWorkflowsDiffCmd() *cobra.Command {
	return remoteVerb(&cobra.Command{
		Use:   "diff NAME VERSION [VERSION]",
		Short: "Print what differs between two versions of a workflow",
		Long: `Prints what a version of a workflow has that another has not: steps that were added or removed, and keys that changed, each with its old and
its new value. Without a second VERSION it compares with the current one.

The exit code is that of diff(1): 0 they are the same, 1 they differ, 2 or more they could not be compared.`,
		Example: "  agnt5d workflows diff order 1\n  agnt5d workflows diff order 1 3 -o json",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 3 {
				return nargs("NAME", "VERSION", "VERSION")(cmd, args)
			}
			return nargs("NAME", "VERSION")(cmd, args)
		},
		ValidArgsFunction: workflowNames,
	}, func(cmd *cobra.Command, args []string, c *client.Client, o *remote) error {
		versions := []uint32{0, 0}
		for i, text := range args[1:] {
			n, err := strconv.ParseUint(text, 10, 31)
			if err != nil || n == 0 {
				return exit(exitUsage, "VERSION %q: want a version's number, 1 or more; \"agnt5d workflows show NAME -o json\" lists them", text)
			}
			versions[i] = uint32(n)
		}
		d := &difference{Name: args[0]}
		var defs [2]map[string]json.RawMessage
		for i, into := range []*uint32{&d.From, &d.To} {
			w, err := c.Workflow(cmd.Context(), args[0], versions[i])
			if err != nil {
				return trouble(err)
			}
			*into = w.Version
			if err := json.Unmarshal(w.Definition, &defs[i]); err != nil {
				return trouble(err)
			}
		}
		err := d.compare(defs[0], defs[1])
		switch {
		case err != nil:
		case o.json():
			err = printJSON(cmd.OutOrStdout(), d)
		default:
			err = d.print(cmd.OutOrStdout())
		}
		if err != nil {
			return trouble(err)
		}
		if !d.same() {
			return exit(exitDiffer, "")
		}
		return nil
	})
}

// difference is what two versions of a workflow do not have in common.
type difference struct {
	Name      string   `json:"name"`
	From      uint32   `json:"from"`
	To        uint32   `json:"to"`
	Added     []string `json:"added"`     // steps of To alone
	Removed   []string `json:"removed"`   // steps of From alone
	Changed   []change `json:"changed"`   // keys of steps that both have, and of the definition itself
	Reordered bool     `json:"reordered"` // the steps that both have stand in another order
}

// change is a key whose value is another. A value that is not there is null.
type change struct {
	Step string          `json:"step,omitempty"` // "": of the definition itself
	Key  string          `json:"key"`
	From json.RawMessage `json:"from"`
	To   json.RawMessage `json:"to"`
}

func (d *difference) compare(from, to map[string]json.RawMessage) error {
	d.Added, d.Removed, d.Changed = []string{}, []string{}, []change{}
	was, wasOrder, err := stepsOf(from["steps"])
	if err != nil {
		return err
	}
	is, isOrder, err := stepsOf(to["steps"])
	if err != nil {
		return err
	}
	delete(from, "steps")
	delete(to, "steps")
	d.keys("", from, to)
	var kept []string
	for _, name := range wasOrder {
		if is[name] == nil {
			d.Removed = append(d.Removed, name)
		} else {
			kept = append(kept, name)
		}
	}
	next := 0
	for _, name := range isOrder {
		if was[name] == nil {
			d.Added = append(d.Added, name)
			continue
		}
		d.Reordered = d.Reordered || kept[next] != name
		next++
		d.keys(name, was[name], is[name])
	}
	return nil
}

// stepsOf gives the keys of each step, and the names of the steps in order.
func stepsOf(raw json.RawMessage) (steps map[string]map[string]json.RawMessage, order []string, err error) {
	var all []map[string]json.RawMessage
	if err := json.Unmarshal(raw, &all); err != nil {
		return nil, nil, err
	}
	steps = map[string]map[string]json.RawMessage{}
	for _, s := range all {
		var name string
		if err := json.Unmarshal(s["name"], &name); err != nil {
			return nil, nil, err
		}
		steps[name] = s
		order = append(order, name)
	}
	return steps, order, nil
}

// keys compares the values of keys. Definitions are canonical: what is the same is the same text.
func (d *difference) keys(step string, from, to map[string]json.RawMessage) {
	both := maps.Clone(from)
	maps.Copy(both, to)
	for _, key := range slices.Sorted(maps.Keys(both)) {
		if !bytes.Equal(from[key], to[key]) {
			d.Changed = append(d.Changed, change{step, key, from[key], to[key]})
		}
	}
}

func (d *difference) same() bool {
	return len(d.Removed)+len(d.Added)+len(d.Changed) == 0 && !d.Reordered
}

func (d *difference) print(w io.Writer) error {
	fmt.Fprintf(w, "%s, version %d to %d:\n", d.Name, d.From, d.To)
	for _, name := range d.Removed {
		fmt.Fprintf(w, "- step %s\n", name)
	}
	for _, name := range d.Added {
		fmt.Fprintf(w, "+ step %s\n", name)
	}
	for _, c := range d.Changed {
		of := "the definition"
		if c.Step != "" {
			of = "step " + c.Step
		}
		fmt.Fprintf(w, "~ %s, %s: %s → %s\n", of, c.Key, orNone(c.From), orNone(c.To))
	}
	if d.Reordered {
		fmt.Fprintln(w, "~ the steps stand in another order")
	}
	if d.same() {
		fmt.Fprintln(w, "they are the same")
	}
	return nil
}

func orNone(v json.RawMessage) string {
	if v == nil {
		return "none"
	}
	return string(v)
}
