package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/agnt5/agnt5d/client"
	"github.com/agnt5/agnt5d/internal/archive"
	"github.com/agnt5/agnt5d/model"
	"github.com/spf13/cobra"
)

func newWorkersCmd() *cobra.Command {
	return remoteVerb(&cobra.Command{
		Use:     "workers",
		Short:   "List workers: their sessions, what they serve and what they are working on",
		Example: "  agnt5d workers\n  agnt5d workers -o json",
		Args:    nargs(),
	}, func(cmd *cobra.Command, _ []string, c *client.Client, o *remote) error {
		all, err := c.Workers(cmd.Context())
		if err != nil {
			return err
		}
		if o.json() {
			return printJSON(cmd.OutOrStdout(), map[string]any{"workers": all})
		}
		if len(all) == 0 {
			_, err := fmt.Fprintln(cmd.OutOrStdout(), "no worker is connected, and no push service is configured")
			return err
		}
		rows := [][]string{{"WORKER", "SERVICE", "VERSION", "PROCESS", "RUNNING", "SILENT", "HANDLERS", "WORKS ON"}}
		for _, w := range all {
			var on []string
			for _, t := range w.Running {
				on = append(on, t.WorkflowID+"/"+t.Step)
			}
			for _, t := range w.Hung {
				on = append(on, fmt.Sprintf("%s/%s (attempt %d is over, hangs)", t.WorkflowID, t.Step, t.Attempt))
			}
			rows = append(rows, []string{w.WorkerID, w.ServiceName, w.ServiceVersion, processOf(&w), running(&w),
				short(time.Duration(w.SilentMS) * time.Millisecond), clip(strings.Join(w.Handlers, " "), 50), clip(strings.Join(on, " "), 60)})
		}
		return table(cmd.OutOrStdout(), rows)
	})
}

// processOf says in which process a worker is.
func processOf(w *model.Worker) string {
	if w.PID == 0 {
		return w.Host
	}
	return strings.TrimSpace(fmt.Sprintf("%s pid %d", w.Host, w.PID))
}

// running says how many tasks a worker has, of how many that it may have.
func running(w *model.Worker) string {
	text := fmt.Sprintf("%d of %d", len(w.Running), w.Capacity)
	if len(w.Hung) > 0 {
		text += fmt.Sprintf(", %d hung", len(w.Hung))
	}
	return text
}

func newObjectsCmd() *cobra.Command {
	var prefix, path string
	var limit int
	cmd := &cobra.Command{
		Use:     "objects",
		Short:   "List object keys: their state, who holds them and who waits; delete one's state",
		Example: "  agnt5d objects --prefix user:\n  agnt5d objects --file runs.db -o json\n  agnt5d objects delete user:7",
		Args:    nargs(),
	}
	cmd.Flags().StringVar(&prefix, "prefix", "", "only keys with this prefix")
	cmd.Flags().IntVar(&limit, "limit", 50, "at most this many; 0: all")
	addFile(cmd, &path)
	cmd.AddCommand(newObjectsDeleteCmd())
	return remoteVerb(cmd, func(cmd *cobra.Command, _ []string, c *client.Client, o *remote) error {
		objects, err := listObjects(cmd, c, prefix, limit, path)
		if err != nil {
			return err
		}
		if o.json() {
			return printJSON(cmd.OutOrStdout(), map[string]any{"objects": objects})
		}
		rows := [][]string{{"KEY", "VERSION", "FENCE", "HELD BY", "WAITING", "STATE"}}
		for _, b := range objects {
			held := ""
			if b.Holder != nil {
				held = b.Holder.WorkflowID + "/" + b.Holder.Step
			}
			if b.Damaged != "" {
				rows = append(rows, []string{b.Key, "-", "-", held, fmt.Sprint(len(b.Queue)), "damaged"})
				continue
			}
			rows = append(rows, []string{b.Key, fmt.Sprint(b.Version), fmt.Sprint(b.Fence), held, fmt.Sprint(len(b.Queue)), clip(string(b.State), 60)})
		}
		return table(cmd.OutOrStdout(), rows)
	})
}

func newObjectsDeleteCmd() *cobra.Command {
	return remoteVerb(&cobra.Command{
		Use:               "delete KEY",
		Short:             "Delete the state of an object key that no step holds",
		Long:              "Deletes the state of an object key: the next step that gets the key finds none. While a step holds the key it is refused.",
		Example:           "  agnt5d objects delete user:7",
		Args:              nargs("KEY"),
		ValidArgsFunction: objectKeys,
	}, func(cmd *cobra.Command, args []string, c *client.Client, o *remote) error {
		_, missing := c.Object(cmd.Context(), args[0])
		if err := c.DeleteObject(cmd.Context(), args[0]); err != nil { // who may not is told so, and not whether it is there
			return err
		}
		if p := (*model.Problem)(nil); errors.As(missing, &p) && p.Code == "damaged" {
			missing = nil
		}
		if missing != nil { // a key that was never written is most likely misspelt
			return missing
		}
		if o.json() {
			return printJSON(cmd.OutOrStdout(), map[string]any{"key": args[0]})
		}
		_, err := fmt.Fprintf(cmd.OutOrStdout(), "the state of object %s is deleted\n", args[0])
		return err
	})
}

// objectKeys completes keys.
var objectKeys = completer(func(ctx context.Context, c *client.Client, typed string) (keys []string) {
	all, _, err := c.Objects(ctx, typed, 50, "")
	if err != nil {
		return nil
	}
	for _, b := range all {
		keys = append(keys, b.Key)
	}
	return keys
})

func listObjects(cmd *cobra.Command, c *client.Client, prefix string, limit int, path string) ([]model.Object, error) {
	if path != "" {
		f, err := openFile(path, leaveOut)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		if limit <= 0 {
			limit = 1 << 30
		}
		return archive.Objects(f.log, prefix, "", limit)
	}
	all, _, err := gather(limit, "", func(n int, cursor string) ([]model.Object, string, error) {
		return c.Objects(cmd.Context(), prefix, n, cursor)
	})
	return all, err
}
