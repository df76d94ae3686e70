package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/agnt5/agnt5d/flow"
	"github.com/spf13/cobra"
)

func newValidateCmd() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:     "validate FILE",
		Short:   "Check a workflow definition (JSON or YAML) and report every problem at once",
		Example: "  agnt5d validate etl.yaml\n  agnt5d validate - < etl.json",
		Args:    nargs("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkFormat(format); err != nil {
				return err
			}
			body, err := readFile(cmd, args[0])
			if err != nil {
				return exit(exitError, "%v", err)
			}
			return validate(cmd, args[0], body, format)
		},
	}
	addFormat(cmd, &format)
	return cmd
}

// readFile reads a file, or standard input for "-", up to the size that a definition may have.
func readFile(cmd *cobra.Command, name string) ([]byte, error) {
	in := cmd.InOrStdin()
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in = f
	}
	return io.ReadAll(io.LimitReader(in, flow.MaxBytes+1))
}

func validate(cmd *cobra.Command, name string, body []byte, format string) error {
	d, problems := flow.Read(body)
	var warnings flow.Problems
	var digest flow.Digest
	if len(problems) == 0 {
		warnings = flow.Warnings(d)
		canonical, err := flow.Canonical(d)
		if err != nil {
			return exit(exitError, "%s: %v", name, err)
		}
		digest = flow.DigestOf(canonical)
	}
	out := cmd.OutOrStdout()
	if format == "json" {
		err := json.NewEncoder(out).Encode(map[string]any{"valid": len(problems) == 0, "digest": digest, "errors": list(problems), "warnings": list(warnings)})
		if err != nil {
			return err
		}
	} else {
		for _, p := range problems {
			fmt.Fprintf(out, "%s: error: %s\n", name, flow.Problems{p})
		}
		for _, p := range warnings {
			fmt.Fprintf(out, "%s: warning: %s\n", name, flow.Problems{p})
		}
		if len(problems) == 0 {
			fmt.Fprintf(out, "%s: valid, %d steps, %s\n", name, len(d.Steps), digest)
		}
	}
	if len(problems) > 0 {
		return exit(exitError, "")
	}
	return nil
}

func list(p flow.Problems) flow.Problems {
	if p == nil {
		return flow.Problems{}
	}
	return p
}
