package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/internal/refusal"
	"github.com/agnt5/agnt5d/model"
	"github.com/spf13/cobra"
)

// exitErr ends the program with a code. An empty text prints nothing: it has been said already.
type exitErr struct {
	code int
	err  error
}

func (e *exitErr) Error() string {
	if e.err == nil {
		return ""
	}
	return e.err.Error()
}

func (e *exitErr) Unwrap() error { return e.err }

func exit(code int, format string, args ...any) error {
	if format == "" {
		return &exitErr{code, nil}
	}
	return &exitErr{code, fmt.Errorf(format, args...)}
}

// detailed is an error that has more to say to programs than a text.
type detailed struct {
	code    string
	message string
	details map[string]any
	text    string // for people
}

func (d *detailed) Error() string { return d.text }

// jsonError is an error as -o json prints it.
type jsonError struct {
	Code     string         `json:"code"` // of the daemon, see the errors page; else one of codeOf
	Message  string         `json:"message"`
	ExitCode int            `json:"exit_code"`
	Details  map[string]any `json:"details"` // help: the way out; errors: what is wrong with a definition; reasons: why a run is not done
}

// codeOf is the code of an error that no daemon has given one.
var codeOf = map[int]string{exitUsage: "usage", exitNotFound: "not_found", exitConflict: "conflict", exitAuth: "not_allowed", exitUnreachable: "unreachable",
	exitTimeout: "timeout", exitInterrupted: "interrupted"}

// printError prints the error of a verb: a line for people, or with -o json one JSON value.
func printError(w io.Writer, asJSON bool, e *exitErr) {
	switch text := e.Error(); {
	case text == "":
	case asJSON:
		_ = printJSON(w, toJSON(e))
	default:
		fmt.Fprintln(&plain{w}, "agnt5d: "+text)
	}
}

func toJSON(e *exitErr) jsonError {
	out := jsonError{Code: codeOf[e.code], Message: e.Error(), ExitCode: e.code, Details: map[string]any{}}
	if out.Code == "" {
		out.Code = "error"
	}
	var d *detailed
	var p *model.Problem
	var r *refusal.Refusal
	switch {
	case errors.As(e, &d):
		out.Code, out.Message, out.Details = d.code, d.message, d.details
	case errors.As(e, &p):
		out.Code = p.Code
		out.Message = strings.TrimSuffix(strings.TrimSuffix(out.Message, "\n  "+p.Help), " ("+p.Code+")")
		if p.Help != "" {
			out.Details["help"] = p.Help
		}
	case errors.As(e, &r):
		out.Code = r.Code()
	}
	return out
}

// wantsJSON says whether a verb was called with -o json, also when its flags could not all be read.
func wantsJSON(root *cobra.Command, args []string) bool {
	cmd, rest, err := root.Find(args)
	if err != nil || cmd.Flags().Lookup("output") == nil {
		return false
	}
	if f := cmd.Flags().Lookup("output"); f.Changed {
		return f.Value.String() == "json"
	}
	for i, arg := range rest {
		switch {
		case arg == "--":
			return false
		case arg == "-ojson", arg == "-o=json", arg == "--output=json":
			return true
		case (arg == "-o" || arg == "--output") && i+1 < len(rest) && rest[i+1] == "json":
			return true
		}
	}
	return false
}

// usage makes a wrong use of a verb the error it is.
func usage(err error) error {
	if err == nil {
		return nil
	}
	return &exitErr{exitUsage, err}
}

// invalid is the error of a definition that was refused: each problem on a line of its own, as "validate" shows them.
func invalid(file string, problems flow.Problems) error {
	d := &detailed{code: "invalid_definition", message: "the definition is not valid", details: map[string]any{"errors": list(problems)}}
	if len(problems) > 1 {
		d.message += fmt.Sprintf(": %d problems", len(problems))
	}
	d.text = d.message
	for _, p := range problems {
		d.text += "\n  "
		if file != "" {
			d.text += at(file, p) + ": "
		}
		d.text += flow.Problems{p}.Error()
	}
	return &exitErr{exitError, d}
}
