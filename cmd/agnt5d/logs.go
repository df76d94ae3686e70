package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/agnt5/agnt5d/client"
	"github.com/agnt5/agnt5d/internal/archive"
	"github.com/agnt5/agnt5d/journal"
	"github.com/agnt5/agnt5d/model"
	"github.com/spf13/cobra"
)

func newLogsCmd() *cobra.Command {
	var follow bool
	var path string
	cmd := &cobra.Command{
		Use:   "logs RUN [STEP]",
		Short: "Print what the handlers of a run wrote to their logs",
		Long: `Prints what the handlers of a run, or of one of its steps, wrote to their logs (Go: worker.Log(ctx), Python: ctx.logger): the last
64 KiB of each attempt, kept as long as the run, in the order in which the attempts began. With -f it continues until the run has ended.`,
		Example: "  agnt5d logs order-17\n  agnt5d logs order-17 charge -f",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 2 {
				return nargs("RUN", "STEP")(cmd, args)
			}
			return nargs("RUN")(cmd, args)
		},
		ValidArgsFunction: runIDs(),
	}
	addFile(cmd, &path)
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "continue until the run has ended")
	return remoteVerb(cmd, func(cmd *cobra.Command, args []string, c *client.Client, o *remote) error {
		step := ""
		if len(args) == 2 {
			step = args[1]
		}
		p := &logPrinter{begun: func() (map[attemptOf]int, error) { return begun(cmd.Context(), c, args[0], path) }, out: cmd.OutOrStdout(), json: o.json(), in: zone(cmd), seen: map[attemptOf]uint64{}}
		if path != "" {
			if follow {
				return exit(exitUsage, "-f goes with a daemon: nothing is added to a file that none holds")
			}
			all, err := fileLogs(path, args[0], step)
			if err == nil {
				err = p.print(all)
			}
			if err == nil {
				p.sayNothing(cmd.ErrOrStderr(), args)
			}
			return err
		}
		for {
			ended := !follow
			if follow { // first: what is written before the end is in the logs that are read after
				st, err := c.Status(cmd.Context(), args[0], "none")
				if err != nil {
					return err
				}
				ended = st.CompletedAt != ""
			}
			all, err := c.Logs(cmd.Context(), args[0], step)
			if err != nil {
				return err
			}
			if err := p.print(all); err != nil {
				return err
			}
			if ended {
				p.sayNothing(cmd.ErrOrStderr(), args)
				return nil
			}
			if !pause(cmd.Context(), followEvery) {
				return nil // Ctrl-C is how it ends
			}
		}
	})
}

// fileLogs reads logs from a journal that no daemon holds.
func fileLogs(path, id, step string) ([]model.AttemptLog, error) {
	f, err := openFile(path, leaveOut)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	run, err := f.find(id)
	if err != nil {
		return nil, err
	}
	return archive.Logs(f.log, run, step, journal.SaidMark{}, 0)
}

// followEvery is how often logs -f asks: workers bring what was written within about a second.
const followEvery = time.Second

// pause waits, and reports false when ctx ends first.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

type attemptOf struct {
	step    string
	attempt uint32
}

// logPrinter prints logs, and of those that it has printed before only what is new.
type logPrinter struct {
	out  io.Writer
	json bool
	in   *time.Location
	seen map[attemptOf]uint64 // bytes, as the attempt counts them
	last attemptOf            // whose lines stand last

	begun func() (map[attemptOf]int, error) // gives the place of each attempt of the run, by its beginning
	order map[attemptOf]int                 // as it was given last
}

// begun gives the place of each attempt among those of a run, by its beginning.
func begun(ctx context.Context, c *client.Client, run, path string) (map[attemptOf]int, error) {
	page := func(_ int, cursor string) ([]model.Span, string, error) { return c.Timeline(ctx, run, 10_000, cursor) }
	if path != "" {
		page = func(int, string) ([]model.Span, string, error) {
			spans, err := fileTimeline(ctx, path, run)
			return spans, "", err
		}
	}
	all, _, err := gather(0, "", page)
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(all, func(a, b model.Span) int {
		return strings.Compare(cmp.Or(a.StartedAt, a.ScheduledAt), cmp.Or(b.StartedAt, b.ScheduledAt))
	})
	order := map[attemptOf]int{}
	for i, s := range all {
		order[attemptOf{s.Step, s.Attempt}] = i
	}
	return order, nil
}

// fileTimeline reads a run's timeline from a journal that no daemon holds.
func fileTimeline(ctx context.Context, path, id string) ([]model.Span, error) {
	f, err := openFile(path, leaveOut)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	h, last, err := f.lastOf(id)
	if err != nil {
		return nil, err
	}
	spans, _, err := f.Timeline(ctx, h, last, 0, 0, math.MaxInt)
	return spans, err
}

// sort puts logs into the order in which their attempts began. Of a run whose history cannot be read they stay by step and attempt.
func (p *logPrinter) sort(all []model.AttemptLog) {
	of := func(l model.AttemptLog) attemptOf { return attemptOf{l.Step, l.Attempt} }
	if len(all) > 1 && slices.ContainsFunc(all, func(l model.AttemptLog) bool { _, known := p.order[of(l)]; return !known }) {
		if order, err := p.begun(); err == nil {
			p.order = order
		}
	}
	slices.SortStableFunc(all, func(a, b model.AttemptLog) int { return cmp.Compare(p.order[of(a)], p.order[of(b)]) })
}

// sayNothing says that there was nothing to print.
func (p *logPrinter) sayNothing(w io.Writer, args []string) {
	if len(p.seen) > 0 || p.json {
		return
	}
	of := "the handlers of run " + args[0]
	if len(args) == 2 {
		of = "step " + args[1] + " of run " + args[0]
	}
	fmt.Fprintf(w, "%s wrote nothing to a log (Go: worker.Log(ctx), Python: ctx.logger; what a handler prints goes to its worker's own output)\n", of)
}

func (p *logPrinter) print(all []model.AttemptLog) error {
	p.sort(all)
	for _, l := range all {
		of := attemptOf{l.Step, l.Attempt}
		seen, again := p.seen[of]
		if again && l.To <= seen {
			continue
		}
		if again && seen > l.From && l.To-seen < uint64(len(l.Text)) {
			l.Text, l.From = l.Text[uint64(len(l.Text))-(l.To-seen):], seen
		}
		p.seen[of] = l.To
		if p.json {
			if err := printJSON(p.out, l); err != nil {
				return err
			}
			continue
		}
		if err := p.lines(of, &l, l.From > seen); err != nil {
			return err
		}
	}
	return nil
}

// lines prints a log for people, under a line that says whose it is.
func (p *logPrinter) lines(of attemptOf, l *model.AttemptLog, cut bool) error {
	b := &strings.Builder{}
	if p.last != of {
		fmt.Fprintf(b, "%s, attempt %d:\n", l.Step, l.Attempt)
		p.last = of
	}
	if cut {
		fmt.Fprintf(b, "  (the %d bytes before were not kept)\n", l.From)
	}
	for line := range strings.Lines(l.Text) {
		line = strings.TrimSuffix(line, "\n")
		if at, rest, ok := strings.Cut(line, " "); ok {
			if text := inZone(at, p.in, toMilli); text != at {
				line = text + " " + rest
			}
		}
		b.WriteString("  " + visible(line) + "\n")
	}
	_, err := io.WriteString(p.out, b.String())
	return err
}
