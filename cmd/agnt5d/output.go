package main

import (
	"encoding/json"
	"errors"

	"github.com/agnt5/agnt5d/client"
	"github.com/agnt5/agnt5d/engine"
	"github.com/agnt5/agnt5d/internal/archive"
	"github.com/agnt5/agnt5d/model"
	"github.com/spf13/cobra"
)

func newOutputCmd() *cobra.Command {
	var path string
	cmd := &cobra.Command{
		Use:   "output RUN [STEP]",
		Short: "Print what a run or one of its steps gave, byte for byte",
		Long: `Prints the output of a completed run, or of a completed step of any run: the JSON as it came from the handler, and nothing else. fetch[3] is
item 3 of the step fetch. At a terminal a line end follows, and what would give it orders is shown as \u001b.`,
		Example: "  agnt5d output order-17 > result.json\n  agnt5d output order-17 charge\n  agnt5d output crawl-1 'fetch[3]' --file journal.db",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 2 {
				return nargs("RUN", "STEP")(cmd, args)
			}
			return nargs("RUN")(cmd, args)
		},
		ValidArgsFunction: runIDs(),
	}
	addFile(cmd, &path)
	return remoteVerb(cmd, func(cmd *cobra.Command, args []string, c *client.Client, _ *remote) error {
		out, err := outputOf(cmd, c, args, path)
		if err != nil {
			return err
		}
		if to := unwrap(cmd.OutOrStdout()); !isTerminal(to) {
			_, err = to.Write(out)
			return err
		}
		_, err = (&plain{cmd.OutOrStdout()}).Write(append(out, '\n'))
		return err
	})
}

// outputOf reads the output of a run, or of one of its steps, from the daemon or from a file.
func outputOf(cmd *cobra.Command, c *client.Client, args []string, path string) (json.RawMessage, error) {
	switch {
	case len(args) == 2 && path == "":
		return c.StepOutput(cmd.Context(), args[0], args[1])
	case len(args) == 2:
		return fileStepOutput(path, args[0], args[1])
	}
	var st *model.Status
	var err error
	if path == "" {
		st, err = c.Status(cmd.Context(), args[0], "none")
	} else {
		st, err = statusOf(cmd, c, args[0], path)
	}
	if err != nil {
		return nil, err
	}
	if st.State != "completed" {
		return nil, exit(exitConflict, "run %s is %s and has no output: only a completed run has; \"agnt5d output RUN STEP\" prints that of a step", st.WorkflowID, st.State)
	}
	return st.Output, nil
}

// fileStepOutput reads the output of a step from a journal that no daemon holds.
func fileStepOutput(path, id, step string) (json.RawMessage, error) {
	f, err := openFile(path, leaveOut)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	run, err := f.find(id)
	if err != nil {
		return nil, err
	}
	w := f.Walk()
	if err := f.walk(w, run, 0); err != nil {
		return nil, err
	}
	if w.States[run] == nil {
		return nil, exit(exitError, "%v", w.Newer[run])
	}
	ref, err := archive.OutputOf(w.States[run], step)
	switch {
	case errors.Is(err, engine.ErrStepNotFound):
		return nil, &exitErr{exitNotFound, err}
	case err != nil:
		return nil, &exitErr{exitConflict, err}
	}
	out, err := f.Payload(ref)
	if err != nil {
		return nil, f.broken(err)
	}
	return out, nil
}
