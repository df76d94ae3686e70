package etl

import (
	"context"
	_ "embed"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/agnt5/agnt5d/engine"
	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/worker"
)

// Nightly is when the maintenance window opens: at three, UTC.
var Nightly = flow.Cron("0 3 * * *")

// Schedules is the file that starts the pipeline every night, for "agnt5d schedules apply" or schedules.ReadFile.
//
//go:embed schedules.yaml
var Schedules []byte

// Definition is the workflow. window says when the load may begin: Nightly, or for a demonstration flow.Delay.
func Definition(window flow.StepOption) flow.Definition {
	return flow.Definition{Steps: []flow.Step{
		flow.Task("validate_sources", "etl-service", "validate_data_sources"),
		flow.Task("extract_database", "etl-service", "extract_from_database", flow.After("validate_sources")),
		flow.Task("extract_api", "etl-service", "extract_from_api", flow.After("validate_sources")),
		flow.Task("extract_files", "etl-service", "extract_from_files", flow.After("validate_sources")),
		flow.Task("merge_extracted_data", "etl-service", "merge_data", flow.After("extract_database", "extract_api", "extract_files")),
		flow.Task("clean_data", "etl-service", "clean_and_normalize", flow.After("merge_extracted_data")),
		flow.Task("enrich_data", "etl-service", "enrich_with_metadata", flow.After("clean_data")),
		flow.WaitTimer("wait_for_maintenance_window", "maintenance", window, flow.After("enrich_data")),
		flow.Task("load_to_warehouse", "etl-service", "load_data_warehouse", flow.After("wait_for_maintenance_window")),
		flow.Task("generate_reports", "reporting-service", "generate_daily_reports", flow.After("load_to_warehouse")),
	}}
}

// Pipeline is the handlers and what they need. API is a setting of the process and no step's output: after a restart the
// example's server has another port, while outputs stay as they were.
type Pipeline struct {
	Dir  string        // everything is in here; paths in outputs are relative to it
	API  string        // base URL of the source that is an API
	Pace time.Duration // pause after each chunk of rows; 0: none. Gives a person, or a kill, time to come in between
	// Progress, if set, hears how far a step's body is. It is called from several steps at once.
	Progress func(step string, done, total int)
}

const chunk = 100 // rows between two pauses

// File is what most steps answer: where the rows are, and how many.
type File struct {
	Path string `json:"path"`
	Rows int    `json:"rows"`
}

// Handle registers every handler with an engine.
func (p *Pipeline) Handle(eng *engine.Engine) error {
	for _, err := range []error{
		engine.Handle(eng, "etl-service", "validate_data_sources", p.Validate),
		engine.Handle(eng, "etl-service", "extract_from_database", p.ExtractDatabase),
		engine.Handle(eng, "etl-service", "extract_from_api", p.ExtractAPI),
		engine.Handle(eng, "etl-service", "extract_from_files", p.ExtractFiles),
		engine.Handle(eng, "etl-service", "merge_data", p.Merge),
		engine.Handle(eng, "etl-service", "clean_and_normalize", p.Clean),
		engine.Handle(eng, "etl-service", "enrich_with_metadata", p.Enrich),
		engine.Handle(eng, "etl-service", "load_data_warehouse", p.Load),
		engine.Handle(eng, "reporting-service", "generate_daily_reports", p.Report),
	} {
		if err != nil {
			return err
		}
	}
	return nil
}

// stepFile is where a step of the run leaves its rows.
func stepFile(t *worker.Task, step string) string {
	return filepath.Join("runs", t.WorkflowID, step+".csv")
}

// each calls fn for every index below n, pauses after each chunk, and stops when the attempt is over.
func (p *Pipeline) each(ctx context.Context, n int, fn func(i int) error) error {
	step := worker.FromContext(ctx).Step
	for i := range n {
		if err := fn(i); err != nil {
			return err
		}
		if (i+1)%chunk == 0 || i+1 == n {
			if err := p.pause(ctx, step, i+1, n); err != nil {
				return err
			}
		}
	}
	return nil
}

func (p *Pipeline) pause(ctx context.Context, step string, done, total int) error {
	if p.Progress != nil {
		p.Progress(step, done, total)
	}
	if p.Pace == 0 {
		return ctx.Err()
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(p.Pace):
		return nil
	}
}

// write makes a file whole or not at all. The temporary file is named by the attempt: one that was lost may still be writing.
func (p *Pipeline) write(ctx context.Context, path string, fill func(io.Writer) error) (err error) {
	t := worker.FromContext(ctx)
	full := filepath.Join(p.Dir, path)
	if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
		return err
	}
	temp := fmt.Sprintf("%s.%s-%d-%d.tmp", full, keyName(t), t.Attempt, os.Getpid())
	f, err := os.Create(temp)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = f.Close()
			_ = os.Remove(temp)
		}
	}()
	if err := fill(f); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(temp, full)
}

func (p *Pipeline) writeRows(ctx context.Context, path string, header []string, rows [][]string) error {
	return p.write(ctx, path, func(w io.Writer) error {
		c := csv.NewWriter(w)
		if err := c.Write(header); err != nil {
			return err
		}
		return c.WriteAll(rows)
	})
}

func (p *Pipeline) writeJSON(ctx context.Context, path string, v any) error {
	return p.write(ctx, path, func(w io.Writer) error { return json.NewEncoder(w).Encode(v) })
}

func (p *Pipeline) readJSON(path string, v any) error {
	b, err := os.ReadFile(filepath.Join(p.Dir, path))
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, v); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// readRows reads a CSV file and checks its header: a column that moved must not pass silently.
func (p *Pipeline) readRows(path string, header []string) ([][]string, error) {
	f, err := os.Open(filepath.Join(p.Dir, path))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if len(rows) == 0 || fmt.Sprint(rows[0]) != fmt.Sprint(header) {
		return nil, fmt.Errorf("%s: its first line is not %v", path, header)
	}
	return rows[1:], nil
}
