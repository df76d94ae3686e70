package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/agnt5/agnt5d/client"
	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/model"
	"github.com/spf13/cobra"
)

func newForkCmd() *cobra.Command {
	var f client.Fork
	var set []string
	var plan bool
	cmd := &cobra.Command{
		Use:   "fork RUN --from STEP",
		Short: "Start a new run from a step of one that has ended",
		Long: `Starts a new run that takes over from one that has ended. STEP and everything after it run again, and so do steps that had not settled, or are
new in the version. A step of --set counts as completed with the output that is given, and what follows it runs again. All else is kept: it
stands in the new run as it stood in the other one, and never runs there. --plan only says what becomes of each step.`,
		Example:           "  agnt5d fork order-17 --from charge --plan\n  agnt5d fork order-17 --from charge --set 'address={\"city\": \"Ulm\"}' --id order-17-again",
		Args:              nargs("RUN"),
		ValidArgsFunction: runIDs("completed", "failed", "cancelled"),
	}
	cmd.Flags().StringVar(&f.From, "from", "", "the step from which the new run runs again")
	cmd.Flags().StringArrayVar(&set, "set", nil, "STEP=JSON: a step that counts as completed, with its output; may be given more than once")
	cmd.Flags().String("input", "", "input of the new run: JSON, @FILE, or @- for standard input; without it that of the run")
	cmd.Flags().Uint32Var(&f.Version, "version", 0, "version of the workflow; without it that of the run")
	cmd.Flags().StringVar(&f.ID, "id", "", "id of the new run: the same fork again gives the run that exists")
	cmd.Flags().StringVar(&f.Reason, "reason", "", "kept in the new run's history")
	cmd.Flags().BoolVar(&plan, "plan", false, "only say what becomes of each step")
	return remoteVerb(cmd, func(cmd *cobra.Command, args []string, c *client.Client, o *remote) error {
		if f.From == "" {
			return exit(exitUsage, "fork wants --from, the step from which the new run runs again")
		}
		if f.ID == "" && cmd.Flags().Changed("id") {
			return exit(exitUsage, "--id is empty: leave it out to have one made")
		}
		raw, err := payloadOf(cmd, "input")
		if err != nil {
			return err
		}
		if raw != nil {
			f.Input = raw
		}
		if f.Set, err = setOutputs(set); err != nil {
			return err
		}
		do := c.Fork
		if plan {
			do = c.PlanFork
		}
		out, err := do(cmd.Context(), args[0], f)
		if err != nil {
			return err
		}
		switch w := cmd.OutOrStdout(); {
		case o.json():
			return printJSON(w, out)
		case plan:
			return printForkPlan(w, out)
		default:
			if !out.Created {
				fmt.Fprintf(cmd.ErrOrStderr(), "run %s exists already: it is this fork\n", visible(out.WorkflowID))
			}
			_, err = fmt.Fprintln(w, visible(out.WorkflowID))
			return err
		}
	})
}

// setOutputs reads what --set gave.
func setOutputs(texts []string) (map[string]any, error) {
	set := map[string]any{}
	for _, text := range texts {
		step, output, ok := strings.Cut(text, "=")
		if !ok || step == "" {
			return nil, exit(exitUsage, "--set %s: want STEP=JSON", text)
		}
		if err := flow.CheckJSON([]byte(output), 0); err != nil {
			if isWord(output) {
				return nil, exit(exitUsage, "--set %s: the output %w; a text needs quotes around it: --set '%s=\"%s\"'", step, err, step, clip(output, 60))
			}
			return nil, exit(exitUsage, "--set %s: the output %w", step, err)
		}
		if _, twice := set[step]; twice {
			return nil, exit(exitUsage, "--set %s is given twice", step)
		}
		set[step] = json.RawMessage(output)
	}
	return set, nil
}

func printForkPlan(w io.Writer, f *model.Fork) error {
	fmt.Fprintf(w, "a fork of run %s from %s, with version %d of %s; nothing was started\n", visible(f.ForkedFrom.WorkflowID), visible(f.ForkedFrom.Step), f.Version, visible(f.WorkflowName))
	for _, row := range []struct {
		what  string
		steps []string
	}{
		{"kept", f.Plan.Kept}, {"set", f.Plan.Set}, {"runs again", f.Plan.RunsAgain}, {"may repeat outside", f.Plan.MayRepeat},
	} {
		if len(row.steps) > 0 {
			fmt.Fprintf(w, "%-19s %s\n", row.what+":", visible(strings.Join(row.steps, ", ")))
		}
	}
	for _, step := range f.Plan.RunsAgain {
		fmt.Fprintf(w, "  %s runs again: %s\n", visible(step), visible(whyAgain(f.Plan.Why[step])))
	}
	return nil
}

// whyAgain says why a step runs again in a fork.
func whyAgain(why model.ForkWhy) string {
	switch why.Code {
	case "from":
		return "the fork runs again from it"
	case "after":
		return "it comes after " + why.After + ", which runs again"
	case "after_set":
		return "it comes after " + why.After + ", whose output was given"
	case "not_settled":
		return "it failed, or had not ended"
	case "compensated":
		return "it was compensated, or was to be"
	case "new":
		return "it is new in this version"
	case "other_type":
		return "it is of another type in this version"
	case "other_branch":
		return "it failed or timed out, and this version goes on to another step then"
	case "finally":
		return "finally steps always run"
	}
	return why.Code // of a newer release
}
