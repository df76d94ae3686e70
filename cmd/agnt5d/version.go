package main

import (
	"fmt"
	"runtime"

	"github.com/agnt5/agnt5d/internal/build"
	"github.com/agnt5/agnt5d/internal/event"
	"github.com/agnt5/agnt5d/schedules"
	"github.com/spf13/cobra"
)

// versionLine is what --version and the verb say.
func versionLine() string {
	b := build.Read()
	return fmt.Sprintf("agnt5d %s, commit %s, journal format %d, time zones %s, %s %s/%s\n", b.Version, b.Commit, event.Format, schedules.ZoneData, b.Go, runtime.GOOS, runtime.GOARCH)
}

func newVersionCmd() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:     "version",
		Short:   "Print the release, its commit, the journal format it writes, its time zone data, and the Go that built it",
		Example: "  agnt5d version -o json\n  agnt5d --version",
		Args:    nargs(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkFormat(format); err != nil {
				return err
			}
			if format != "json" {
				_, err := fmt.Fprint(cmd.OutOrStdout(), versionLine())
				return err
			}
			b := build.Read()
			return printJSON(cmd.OutOrStdout(), struct {
				Version string `json:"version"`
				Commit  string `json:"commit"`
				Format  int    `json:"format"`
				Zones   string `json:"zones"`
				Go      string `json:"go"`
				OS      string `json:"os"`
			}{b.Version, b.Commit, event.Format, schedules.ZoneData, b.Go, runtime.GOOS + "/" + runtime.GOARCH})
		},
	}
	addFormat(cmd, &format)
	return cmd
}
