// Command agnt5d runs durable workflows and shows exactly what happened in them. One file per verb.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"strings"
	"syscall"

	"github.com/agnt5/agnt5d/internal/build"
	"github.com/agnt5/agnt5d/internal/nearest"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Exit codes.
const (
	exitOK          = 0
	exitError       = 1
	exitUsage       = 2
	exitRunFailed   = 3
	exitCancelled   = 4
	exitNotFound    = 5
	exitConflict    = 6
	exitAuth        = 7
	exitUnreachable = 8
	exitTimeout     = 124
	exitInterrupted = 130
)

func main() { os.Exit(program(os.Args[1:])) }

// program is run in a process of its own. The first signal asks the verb to end; a second one ends the process, whatever
// the verb is at.
func program(args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, endAtNext)
	return run(ctx, args, os.Stdin, os.Stdout, os.Stderr)
}

// endAtNext ends the process at the next signal. Nothing that was acknowledged is lost.
func endAtNext() {
	again := make(chan os.Signal, 1)
	signal.Notify(again, os.Interrupt, syscall.SIGTERM)
	<-again
	os.Exit(exitInterrupted)
}

// run is the program, with its surroundings handed in so that tests can start it.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	root := newRoot()
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	addCompletion(root)
	began := false // the verb itself runs: what goes wrong now is not about usage
	root.PersistentPreRun = func(cmd *cobra.Command, _ []string) {
		if began = true; forPeople(cmd) {
			root.SetOut(&plain{stdout})
			root.SetErr(&plain{stderr})
		}
	}
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	var e *exitErr
	switch {
	case errors.Is(err, context.Canceled) && ctx.Err() != nil:
		e = &exitErr{exitInterrupted, errors.New("interrupted")}
	case errors.As(err, &e):
	case began:
		e = &exitErr{exitError, err}
	default:
		verb := root.Name() // cobra's own complaints are about usage
		if cmd, _, ferr := root.Find(args); ferr == nil {
			verb = cmd.CommandPath()
		}
		e = &exitErr{exitUsage, fmt.Errorf("%s (see \"%s --help\")", suggestion.ReplaceAllString(err.Error(), `; did you mean "$1"?`), verb)}
	}
	printError(stderr, wantsJSON(root, args), e)
	return e.code
}

// suggestion is how cobra says which verb was meant, on lines of their own.
var suggestion = regexp.MustCompile(`\n\nDid you mean this\?\n\t(\S+)(?s:.*)$`)

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:           "agnt5d",
		Short:         "Durable workflows in one binary and one file",
		SilenceUsage:  true,
		SilenceErrors: true,
		Version:       build.Read().Version,
	}
	root.SetVersionTemplate(versionLine())
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return exit(exitUsage, "%w%s (see \"%s --help\")", plainFlag(durationHint(err)), flagHint(cmd, err), cmd.CommandPath())
	})
	addUTC(root)
	for _, verb := range verbs {
		root.AddCommand(verb())
	}
	return root
}

// addCompletion adds the verb that cobra has, which says what it has no completion for. Its output is set by then.
func addCompletion(root *cobra.Command) {
	root.InitDefaultCompletionCmd()
	if c, _, err := root.Find([]string{"completion"}); err == nil && c != root {
		c.Args = cobra.ArbitraryArgs
		c.RunE = func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return exit(exitUsage, "completion for %q is not there: want bash, zsh, fish or powershell", args[0])
			}
			return cmd.Help()
		}
	}
}

// goFlag is how pflag says that a value is no number, or no truth.
var goFlag = regexp.MustCompile(`^(invalid argument ".*" for ".*") flag: strconv\.Parse(Uint|Int|Bool): `)

// plainFlag says what kind of value a flag wants, where the error names a function of Go's.
func plainFlag(err error) error {
	m := goFlag.FindStringSubmatch(err.Error())
	if m == nil {
		return err
	}
	return fmt.Errorf("%s: want %s", m[1], map[string]string{"Uint": "a whole number, 0 or more", "Int": "a whole number", "Bool": "true or false"}[m[2]])
}

// flagHint is the flag that was meant by one that is unknown.
func flagHint(cmd *cobra.Command, err error) string {
	name, unknown := strings.CutPrefix(err.Error(), "unknown flag: --")
	if !unknown {
		return ""
	}
	if name == "json" && cmd.Flags().Lookup("output") != nil {
		return "; did you mean -o json?"
	}
	var known []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) { known = append(known, f.Name) })
	if meant := nearest.Word(name, known); meant != "" {
		return "; did you mean --" + meant + "?"
	}
	return ""
}

// verbs is every verb, in the order of the help text.
var verbs = []func() *cobra.Command{
	newServeCmd, newUICmd, newDemoCmd, newValidateCmd, newRegisterCmd, newWorkflowsCmd, newStartCmd, newWaitCmd, newListCmd, newShowCmd, newGraphCmd, newExplainCmd, newSignalCmd, newCancelCmd,
	newPauseCmd, newResumeCmd, newCompleteCmd, newSkipCmd, newFailCmd, newRetryCmd, newForkCmd, newTagCmd, newFireCmd, newDeleteCmd, newPurgeCmd, newHistoryCmd, newOutputCmd, newTailCmd, newLogsCmd, newDiffCmd, newWorkersCmd, newServicesCmd, newSchedulesCmd, newTokenCmd, newObjectsCmd, newReplayCmd, newBackupCmd, newRestoreCmd, newImportCmd, newExportCmd, newCompactCmd, newVerifyCmd, newDoctorCmd, newBenchCmd, newVersionCmd,
}

// format is what -o takes: "" for people, "json" for programs.
func addFormat(cmd *cobra.Command, into *string) {
	cmd.Flags().StringVarP(into, "output", "o", "", `"json" for programs; default: text for people`)
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"json"}, cobra.ShellCompDirectiveNoFileComp))
}

func checkFormat(f string) error {
	if f != "" && f != "json" && f != "text" {
		return exit(exitUsage, "-o %q: want json", f)
	}
	return nil
}
