package main

import (
	"context"
	"fmt"

	"github.com/agnt5/agnt5d/client"
	"github.com/agnt5/agnt5d/model"
	"github.com/spf13/cobra"
)

const correctable = "STEP may be an item of a list, such as 'fetch[3]'. The step must be open, or have failed without anything that caught that; then a failed run goes on. An attempt of it is cancelled."

func newCompleteCmd() *cobra.Command {
	cmd := correctCmd(model.DeedComplete, "Complete a step by hand, with an output", "is completed", nil)
	cmd.Long = "Completes a step by hand. " + correctable
	cmd.Example = "  agnt5d complete order-17 charge --plan\n  agnt5d complete order-17 charge --payload '{\"paid\": true}' --reason \"paid by hand\""
	cmd.Flags().String("payload", "", "the step's output: JSON, @FILE, or @- for standard input; without it null")
	return cmd
}

func newSkipCmd() *cobra.Command {
	cmd := correctCmd(model.DeedSkip, "Skip a step by hand", "is skipped", (*client.Client).SkipStep)
	cmd.Long = "Skips a step by hand. What depends on it by join all is skipped, too. " + correctable
	cmd.Example = "  agnt5d skip order-17 greet --reason \"nobody to greet\""
	return cmd
}

func newFailCmd() *cobra.Command {
	cmd := correctCmd(model.DeedFail, "Fail an open step by hand, for good", "has failed", (*client.Client).FailStep)
	cmd.Long = "Fails an open step by hand, for good: nothing tries it again, and no timer takes it. An attempt of it is cancelled."
	cmd.Example = "  agnt5d fail order-17 charge --reason \"the card is stolen\""
	return cmd
}

// correctCmd is a verb that ends a step by hand; nil completes it.
func correctCmd(verb, short, became string, do func(c *client.Client, ctx context.Context, run, step, reason string) error) *cobra.Command {
	var reason string
	var plan bool
	cmd := &cobra.Command{Use: verb + " RUN STEP", Short: short, Args: nargs("RUN", "STEP"), ValidArgsFunction: runIDs("running", "finishing", "failed")}
	cmd.Flags().StringVar(&reason, "reason", "", "kept in the run's history")
	cmd.Flags().BoolVar(&plan, "plan", false, planFlag)
	return remoteVerb(cmd, func(cmd *cobra.Command, args []string, c *client.Client, o *remote) error {
		run, step := args[0], args[1]
		var output any
		if do == nil {
			raw, err := payloadOf(cmd, "payload")
			if err != nil {
				return err
			}
			output = raw
		}
		if plan {
			return printPlans(cmd, args[:1], c, o, client.Deed{Do: verb, Step: step, Output: output, Reason: reason})
		}
		if do == nil {
			if err := c.CompleteStep(cmd.Context(), run, step, output, reason); err != nil {
				return err
			}
		} else if err := do(c, cmd.Context(), run, step, reason); err != nil {
			return err
		}
		if o.json() {
			return printJSON(cmd.OutOrStdout(), map[string]any{"workflow_id": run, "step": step})
		}
		_, err := fmt.Fprintf(cmd.OutOrStdout(), "step %s of run %s %s\n", step, run, became)
		return err
	})
}
