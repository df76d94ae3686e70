package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"

	"github.com/agnt5/agnt5d/client"
	"github.com/agnt5/agnt5d/model"
	"github.com/spf13/cobra"
)

// How many starts one request has, and how many bytes they have together.
const (
	startsAtOnce = 1_000
	startsBytes  = 16 << 20
)

// batchLine is a line of a file of starts.
type batchLine struct {
	WorkflowID string            `json:"workflow_id"`
	InputData  json.RawMessage   `json:"input_data"`
	Version    uint32            `json:"version"`
	StartAt    string            `json:"start_at"`
	Delay      string            `json:"delay"`
	Tags       map[string]string `json:"tags"`
	Signal     *struct {
		Name     string          `json:"name"`
		SignalID string          `json:"signal_id"`
		Payload  json.RawMessage `json:"payload"`
	} `json:"signal"`
}

// startLine reads a line of a file of starts.
func startLine(workflow string, text []byte) (start client.BatchStart, err error) {
	var line batchLine
	read := json.NewDecoder(bytes.NewReader(text))
	read.DisallowUnknownFields()
	if err := read.Decode(&line); err != nil {
		return start, err
	}
	if read.More() {
		return start, fmt.Errorf("there is something behind the object; a start is one line")
	}
	start = client.BatchStart{Workflow: workflow, ID: line.WorkflowID, Input: line.InputData, Version: line.Version, Tags: line.Tags}
	if line.Signal != nil {
		start.Signal = &client.StartSignal{Name: line.Signal.Name, ID: line.Signal.SignalID, Payload: line.Signal.Payload}
	}
	start.StartAt, start.Delay, err = later(line.StartAt, line.Delay)
	return start, err
}

// startMany starts a run for each line of a file. All lines are read before the first run starts.
func startMany(cmd *cobra.Command, c *client.Client, o *remote, workflow, path string, tags map[string]string) error {
	text, err := readFile(cmd, path, maxBatchFile)
	if err != nil {
		return fmt.Errorf("--batch %s: %w", path, err)
	}
	var starts []client.BatchStart
	var lines, sizes []int
	for n, line := range bytes.Split(text, []byte("\n")) {
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		start, err := startLine(workflow, line)
		if err != nil {
			return exit(exitUsage, "%s:%d: %w; want an object with workflow_id, input_data, version, start_at, delay, tags or signal", path, n+1, err)
		}
		start.Tags = merged(tags, start.Tags)
		starts, lines, sizes = append(starts, start), append(lines, n+1), append(sizes, len(line))
	}
	failed, all := 0, make([]model.BatchStarted, 0, len(starts))
	for at := 0; at < len(starts); {
		end, size := at, 0
		for end < len(starts) && end-at < startsAtOnce && (end == at || size+sizes[end] <= startsBytes) {
			size += sizes[end]
			end++
		}
		got, err := c.StartMany(cmd.Context(), starts[at:end])
		if err != nil {
			return fmt.Errorf("%s:%d: %w (the lines before it were started)", path, lines[at], err)
		}
		for i, run := range got {
			switch {
			case run.Error != nil:
				failed++
				fmt.Fprintf(cmd.ErrOrStderr(), "%s:%d: %s: %s\n", path, lines[at+i], run.Error.Code, visible(run.Error.Detail))
			case !o.json():
				fmt.Fprintln(cmd.OutOrStdout(), run.WorkflowID)
			}
		}
		all, at = append(all, got...), end
	}
	if o.json() {
		if err := printJSON(cmd.OutOrStdout(), all); err != nil {
			return err
		}
	}
	if failed > 0 {
		return exit(exitError, "%d of %s were not started", failed, count(len(starts), "run"))
	}
	return nil
}

// merged gives the tags of a line beside those of every line.
func merged(every, own map[string]string) map[string]string {
	all := maps.Clone(every)
	if all == nil {
		return own
	}
	maps.Copy(all, own)
	return all
}

// maxBatchFile bounds a file of starts.
const maxBatchFile = 256 << 20
