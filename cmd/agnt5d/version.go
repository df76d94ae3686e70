package main

import (
	"encoding/json"
	"fmt"
	"runtime"

	"github.com/agnt5/agnt5d/engine"
	"github.com/agnt5/agnt5d/internal/event"
	"github.com/spf13/cobra"
)

func newVersionCmd() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:     "version",
		Short:   "Print the release, the journal format it writes, and the Go that built it",
		Example: "  agnt5d version -o json",
		Args:    nargs(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkFormat(format); err != nil {
				return err
			}
			v := struct {
				Release string `json:"release"`
				Format  int    `json:"journal_format"`
				Go      string `json:"go"`
				OS      string `json:"os"`
			}{engine.Release(), event.Format, runtime.Version(), runtime.GOOS + "/" + runtime.GOARCH}
			if format == "json" {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(v)
			}
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "agnt5d %s, journal format %d, %s %s\n", v.Release, v.Format, v.Go, v.OS)
			return err
		},
	}
	addFormat(cmd, &format)
	return cmd
}
