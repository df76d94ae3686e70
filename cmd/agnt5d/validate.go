package main

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/model"
	"github.com/spf13/cobra"
)

func newValidateCmd() *cobra.Command {
	var format string
	var schema bool
	cmd := &cobra.Command{
		Use:   "validate FILE",
		Short: "Check a workflow definition (JSON or YAML) and report every problem at once",
		Long: `Reports every problem of a workflow definition as FILE:LINE:COLUMN. The exit code is 0 when there is none, 1 when the definition is
not valid, 5 when there is no such file.

--schema prints the JSON Schema of definitions, so that editors can complete and check them.`,
		Example: "  agnt5d validate etl.yaml\n  agnt5d validate - < etl.json\n  agnt5d validate --schema > workflow.schema.json",
		Args: func(cmd *cobra.Command, args []string) error {
			if schema {
				return nargs()(cmd, args)
			}
			return nargs("FILE")(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkFormat(format); err != nil {
				return err
			}
			if schema {
				_, err := cmd.OutOrStdout().Write(flow.Schema())
				return err
			}
			return validate(cmd, args[0], format)
		},
	}
	cmd.Flags().BoolVar(&schema, "schema", false, "print the JSON Schema of definitions, for editors")
	addFormat(cmd, &format)
	return cmd
}

// readDefinition reads a definition's text. One that is too large has the problem that flow would report.
func readDefinition(cmd *cobra.Command, name string) ([]byte, flow.Problems, error) {
	body, err := readFile(cmd, name, flow.MaxBytes)
	if over := (*tooLarge)(nil); errors.As(err, &over) {
		return nil, flow.Problems{{Code: flow.CodeTooLarge, Detail: "the definition " + over.Error()}}, nil
	}
	return body, nil, err
}

func validate(cmd *cobra.Command, name, format string) error {
	body, problems, err := readDefinition(cmd, name)
	if err != nil {
		return err
	}
	var d *flow.Definition
	var warnings flow.Problems
	var digest flow.Digest
	if len(problems) == 0 {
		d, problems, warnings = flow.Check(body)
	}
	if len(problems) == 0 {
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
			fmt.Fprintf(out, "%s: error: %s\n", at(name, p), flow.Problems{p})
		}
		for _, p := range warnings {
			fmt.Fprintf(out, "%s: warning: %s\n", at(name, p), flow.Problems{p})
		}
		if len(problems) == 0 {
			fmt.Fprintf(out, "%s: valid, %s, %s\n", name, count(len(d.Steps), "step"), digest)
		}
	}
	if len(problems) > 0 {
		return exit(exitError, "")
	}
	return nil
}

// at is where a problem is, as editors and compilers write it.
func at(file string, p flow.Problem) string {
	if p.Line == 0 {
		return file
	}
	return fmt.Sprintf("%s:%d:%d", file, p.Line, p.Column)
}

// faults are the problems of a definition that a daemon refused.
func faults(p *model.Problem) (problems flow.Problems) {
	for _, f := range p.Errors {
		problems = append(problems, flow.Problem(f))
	}
	return problems
}

func list(p flow.Problems) flow.Problems {
	if p == nil {
		return flow.Problems{}
	}
	return p
}
