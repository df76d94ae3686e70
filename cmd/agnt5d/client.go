package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/agnt5/agnt5d/client"
	"github.com/agnt5/agnt5d/engine"
	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/internal/archive"
	"github.com/agnt5/agnt5d/internal/ids"
	"github.com/agnt5/agnt5d/model"
	"github.com/spf13/cobra"
)

// remote is what a verb that talks to a daemon has in common with the others.
type remote struct {
	address
	format string
}

// address is where a daemon is, and what opens it.
type address struct{ url, tokenFile string }

func (a *address) flags(cmd *cobra.Command, when string) {
	cmd.Flags().StringVar(&a.url, "url", "", "the daemon"+when+" (default AGNT5_URL, else "+client.DefaultURL+")")
	cmd.Flags().StringVar(&a.tokenFile, "token-file", "", "file that holds an access token (default: the token in AGNT5_API_KEY)")
	_ = cmd.MarkFlagFilename("token-file")
}

// connect makes the client of a verb. stderr hears what is careless.
func (a *address) connect(stderr io.Writer) (*client.Client, error) {
	o := client.Options{Patience: patience, TokenFile: a.tokenFile}
	url := a.url
	if url == "" {
		url = misnamed("URL", stderr)
	}
	if a.tokenFile == "" {
		o.Key = misnamed("API_KEY", stderr)
	}
	c, err := client.New(url, o)
	if text := careless(a.tokenFile, "the access token"); err == nil && text != "" {
		fmt.Fprintln(stderr, "agnt5d: warning: "+text)
	}
	return c, usage(err)
}

// misnamed is a client's setting that begins as those of the daemon do, where the right name is not set. The client would take it, too,
// but would say so in a log.
func misnamed(name string, stderr io.Writer) string {
	value := os.Getenv("AGNT5D_" + name)
	if value == "" || os.Getenv("AGNT5_"+name) != "" {
		return ""
	}
	fmt.Fprintf(stderr, "agnt5d: warning: AGNT5D_%[1]s is taken for AGNT5_%[1]s: AGNT5D_ is for settings of the daemon\n", name)
	return value
}

// patience is how long a verb tries a daemon that does not answer.
const patience = 2 * time.Second

// remoteVerb makes a verb that talks to a daemon.
func remoteVerb(cmd *cobra.Command, run func(cmd *cobra.Command, args []string, c *client.Client, o *remote) error) *cobra.Command {
	o := &remote{}
	o.address.flags(cmd, "")
	addFormat(cmd, &o.format)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := checkFormat(o.format); err != nil {
			return err
		}
		c, err := o.connect(cmd.ErrOrStderr())
		if err != nil {
			return err
		}
		return told(run(cmd, args, c, o))
	}
	return cmd
}

func (o *remote) json() bool { return o.format == "json" }

// told gives the daemon's errors the exit codes that they stand for.
func told(err error) error {
	var x *exitErr
	if err == nil || errors.As(err, &x) {
		return err
	}
	var gone *client.Unreachable
	if errors.As(err, &gone) {
		if strings.Contains(gone.Error(), "tls: ") { // somebody answered
			return &exitErr{exitUnreachable, gone}
		}
		return exit(exitUnreachable, "%v (is \"agnt5d serve\" running?)", gone)
	}
	var wrong *archive.FilterError // of a file
	switch {
	case errors.As(err, &wrong):
		return &exitErr{exitUsage, err}
	case errors.Is(err, engine.ErrWorkflowNotFound):
		return &exitErr{exitNotFound, err}
	}
	var p *model.Problem
	if !errors.As(err, &p) {
		return &exitErr{exitError, err}
	}
	if p.Code == "not_found" {
		return exit(exitNotFound, "%w\n  The daemon does not know this request: check its address, which has no path, and whether it is of an older release (\"agnt5d version\").", p)
	}
	if p.Code == "not_http" || p.Code == "not_https" { // the address begins with the wrong one of the two
		return &exitErr{exitUnreachable, p}
	}
	code := exitError
	switch p.Status {
	case 400, 413, 415, 422:
		code = exitUsage
	case 401, 403, 421:
		code = exitAuth
	case 404, 410:
		code = exitNotFound
	case 409:
		code = exitConflict
	case 503:
		code = exitUnreachable
	}
	if len(p.Errors) > 0 {
		return invalid("", faults(p))
	}
	if p.Help != "" {
		return exit(code, "%w\n  %s", p, p.Help)
	}
	return &exitErr{code, p}
}

// nargs wants a verb's arguments by name. One that is empty is refused, as an unset variable would be; so is an id or name
// that no path can carry, unless a file is read.
func nargs(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(names) == 0 && len(args) > 0:
			return exit(exitUsage, "%s takes no argument, and %q was given (see \"%s --help\")", verbOf(cmd), args[0], cmd.CommandPath())
		case len(args) != len(names):
			hint := ""
			if len(args) > len(names) && cmd.Flags().Lookup("id") != nil {
				hint = "; your own id goes with --id"
			}
			return exit(exitUsage, "%s wants %s, and %d arguments were given%s (see \"%s --help\")", verbOf(cmd), strings.Join(names, " "), len(args), hint, cmd.CommandPath())
		}
		for i, name := range names {
			if err := checkArg(cmd, name, args[i]); err != nil {
				return err
			}
		}
		return nil
	}
}

// verbOf is a verb without the program's name, which stands before each error.
func verbOf(cmd *cobra.Command) string {
	return strings.TrimPrefix(cmd.CommandPath(), cmd.Root().Name()+" ")
}

func checkArg(cmd *cobra.Command, name, arg string) error {
	if named := name != "FILE" && name != "URL" && !cmd.Flags().Changed("file"); !named && arg != "" {
		return nil // a path or an address, or a run of a journal in which . and .. were ids once
	}
	if err := ids.Check(arg); err != nil {
		return exit(exitUsage, "%s %w (see \"%s --help\")", name, err, cmd.CommandPath())
	}
	return nil
}

// count says how many: "1 run", "2 runs".
func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// namedRun refuses a --run that no run of a daemon can be. In a file it may be the id of a run of before.
func namedRun(cmd *cobra.Command, run string) error {
	if err := ids.Check(run); err != nil && run != "" && !cmd.Flags().Changed("file") {
		return exit(exitUsage, "--run %w", err)
	}
	return nil
}

// idFlag adds a flag for an id or name. Given without a value, as by an unset variable, it is an error.
func idFlag(cmd *cobra.Command, into *string, name, usage string) {
	cmd.Flags().Var(&checkedText{into, ids.Check}, name, usage)
}

// textFlag adds a flag that must not be empty when it is given.
func textFlag(cmd *cobra.Command, into *string, name, usage string) {
	cmd.Flags().Var(&checkedText{into, func(s string) error {
		if s == "" {
			return ids.Check(s)
		}
		return nil
	}}, name, usage)
}

// checkedText is the value of a flag that is looked at when it is read.
type checkedText struct {
	into  *string
	check func(string) error
}

func (c *checkedText) String() string {
	if c.into == nil {
		return ""
	}
	return *c.into
}

func (c *checkedText) Set(s string) error {
	if err := c.check(s); err != nil {
		return fmt.Errorf("it %w: give it a value, or leave the flag out", err)
	}
	*c.into = s
	return nil
}

func (c *checkedText) Type() string { return "string" }

// printJSON prints a value with its payloads byte for byte.
func printJSON(w io.Writer, v any) error {
	b, err := model.Marshal(v)
	if err != nil {
		return err
	}
	_, err = w.Write(append(b, '\n'))
	return err
}

// table prints rows in columns. The first row is the head, in capitals.
func table(w io.Writer, rows [][]string) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, r := range rows {
		cells := make([]string, len(r))
		for i, cell := range r {
			cells[i] = visible(strings.ReplaceAll(cell, "\t", " "))
		}
		fmt.Fprintln(t, strings.TrimRight(strings.Join(cells, "\t"), "\t"))
	}
	return t.Flush()
}

// outcome turns a run's end into the exit code of --wait.
func outcome(st *model.Status) error {
	switch st.State {
	case "failed", "quarantined":
		return &exitErr{code: exitRunFailed}
	case "cancelled":
		return &exitErr{code: exitCancelled}
	}
	return nil
}

// completer offers what a daemon knows, for the shell. It says nothing when there is none.
func completer(offer func(ctx context.Context, c *client.Client, typed string) []string) func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return func(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		url, _ := cmd.Flags().GetString("url")
		tokenFile, _ := cmd.Flags().GetString("token-file")
		c, err := client.New(url, client.Options{TokenFile: tokenFile})
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		return offer(ctx, c, typed), cobra.ShellCompDirectiveNoFileComp
	}
}

// runIDs completes ids of runs, in any of the states named, or all.
func runIDs(states ...string) func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return completer(func(ctx context.Context, c *client.Client, typed string) []string {
		if len(states) == 0 {
			states = []string{""}
		}
		var out []string
		for _, state := range states {
			runs, _, err := c.List(ctx, client.Filter{IDPrefix: typed, State: state}, 50, "")
			if err != nil {
				return nil
			}
			for _, r := range runs {
				out = append(out, r.WorkflowID+"\t"+r.WorkflowName+" "+r.State)
			}
		}
		return out
	})
}

// thenNames completes a run, and then a name that its workflow waits for.
func thenNames(of func(*flow.Step) string) func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	runs := runIDs("running")
	return func(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
		if len(args) != 1 {
			return runs(cmd, args, typed)
		}
		return completer(func(ctx context.Context, c *client.Client, typed string) []string {
			st, err := c.Status(ctx, args[0], "none")
			if err != nil {
				return nil
			}
			w, err := c.Workflow(ctx, st.WorkflowName, st.Version)
			if err != nil {
				return nil
			}
			def, problems := flow.Read(w.Definition)
			if len(problems) > 0 {
				return nil
			}
			var names []string
			for _, s := range def.All() {
				if name := of(&s); name != "" && strings.HasPrefix(name, typed) && !slices.Contains(names, name) {
					names = append(names, name)
				}
			}
			return names
		})(cmd, nil, typed)
	}
}

func signalOf(s *flow.Step) string {
	if s.Signal == nil {
		return ""
	}
	return s.Signal.Name
}

func timerOf(s *flow.Step) string {
	if s.Timer == nil {
		return ""
	}
	return s.Timer.Key
}

var workflowNames = completer(func(ctx context.Context, c *client.Client, typed string) []string {
	all, err := c.Workflows(ctx)
	if err != nil {
		return nil
	}
	var out []string
	for _, w := range all {
		if strings.HasPrefix(w.Name, typed) {
			out = append(out, w.Name)
		}
	}
	return out
})

// clip shortens a text to one line.
func clip(s string, n int) string {
	s = strings.Join(strings.Fields(s), " ")
	if r := []rune(s); len(r) > n {
		return string(r[:n-3]) + "..."
	}
	return s
}
