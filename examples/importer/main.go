// The importer reads a file of daily weather, row by row: an item for each row, so that each is tried, kept and counted by itself. Rows that
// are wrong are tolerated up to a part of all, and written into a file of their own with what is wrong with them; more, and the import is
// refused. Kill it and start it again: rows that are in the store are not imported again.
//
//	go run ./examples/importer
//	go run ./examples/importer -run weather-2 -tolerate 2
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"math"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/agnt5/agnt5d/engine"
	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/worker"
)

type options struct {
	file     string // of the engine; beside it lie the store and the rejected rows
	input    string // a CSV file with a first line of names
	run      string // id of the run
	tolerate int64  // percent of the rows that may be wrong
	parallel int64  // rows under way at a time
}

// definition is the workflow: read the rows, import each, report; or refuse the file.
func definition(o options) flow.Definition {
	return flow.Definition{
		Description: "imports the rows of a file, and reports those that are wrong",
		Output:      []byte(`{"imported":"${ steps.report.output?.imported ?? 0 }","rejected":"${ steps.report.output?.rejected ?? 0 }","refused":"${ steps.refuse.state == 'completed' }"}`),
		Steps: []flow.Step{
			flow.Task("read", "import", "read", flow.Templates(map[string]string{"path": "${ input.path }"})),
			flow.Task("rows", "import", "row", flow.RunAfter("read"), flow.ForEach("steps.read.output.rows"),
				flow.MaxParallel(o.parallel), flow.ToleratePercent(o.tolerate), flow.OnFailure("refuse")),
			flow.Task("report", "import", "report", flow.RunAfter("rows"), flow.Templates(map[string]string{
				"rows": "${ steps.read.output.rows }", "results": "${ steps.rows.output }"})),
			flow.Task("refuse", "import", "refuse"),
		},
	}
}

// row is a line of the file.
type row struct {
	Line int    `json:"line"` // from 1
	Text string `json:"text"`
}

// day is what a row says.
type day struct {
	City    string  `json:"city"`
	Date    string  `json:"date"`
	Rain    float64 `json:"rain_mm"`
	Highest float64 `json:"highest_c"`
	Lowest  float64 `json:"lowest_c"`
}

// parse reads city,date,precipitation,temp_max,temp_min,wind,weather,unit.
func (r row) parse() (d day, err error) {
	cells := strings.Split(r.Text, ",")
	if len(cells) != 8 {
		return d, fmt.Errorf("%d cells, want 8", len(cells))
	}
	d.City, d.Date = cells[0], cells[1]
	if _, err := time.Parse(time.DateOnly, d.Date); err != nil {
		return d, fmt.Errorf("%s is no day", d.Date)
	}
	for i, to := range []*float64{&d.Rain, &d.Highest, &d.Lowest} {
		if *to, err = strconv.ParseFloat(cells[2+i], 64); err != nil {
			return d, fmt.Errorf("cell %d is no number: %q", 3+i, cells[2+i])
		}
	}
	if cells[7] == "F" {
		d.Highest, d.Lowest = celsius(d.Highest), celsius(d.Lowest)
	}
	switch {
	case d.Rain < 0:
		return d, fmt.Errorf("%v mm of rain", d.Rain)
	case d.Highest > 55:
		return d, fmt.Errorf("%v degrees", d.Highest)
	case d.Highest < d.Lowest:
		return d, fmt.Errorf("the night has %v degrees, the day %v", d.Lowest, d.Highest)
	}
	return d, nil
}

func celsius(f float64) float64 { return math.Round((f-32)/1.8*10) / 10 }

// importer has the handlers.
type importer struct {
	dir string // of the store
	out io.Writer
}

type read struct {
	Rows []row `json:"rows"`
}

func (m importer) read(_ context.Context, in struct {
	Path string `json:"path"`
}) (read, error) {
	fmt.Fprintln(m.out, "read", filepath.Base(in.Path))
	f, err := os.Open(in.Path)
	if err != nil {
		return read{}, flow.NonRetryable(err)
	}
	defer f.Close()
	rows := []row{}
	lines := bufio.NewScanner(f)
	for n := 1; lines.Scan(); n++ {
		if n > 1 { // the first has the names
			rows = append(rows, row{n, lines.Text()})
		}
	}
	return read{rows}, lines.Err()
}

// row puts a row into the store: a file for each day, so that doing it again changes nothing. A wrong row is wrong for good.
func (m importer) row(_ context.Context, r row) (string, error) {
	fmt.Fprintln(m.out, "row", r.Line)
	d, err := r.parse()
	if err != nil {
		return "", flow.NonRetryable(err)
	}
	text, err := json.Marshal(d)
	if err != nil {
		return "", err
	}
	name := d.City + "-" + d.Date + ".json"
	return name, write(filepath.Join(m.dir, name), text)
}

// write makes a file that is whole or not there.
func write(path string, text []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	return errors.Join(err, f.Close(), os.Rename(f.Name(), path))
}

type counts struct {
	Imported int `json:"imported"`
	Rejected int `json:"rejected"`
}

// report writes the rows that gave nothing into a file, as they came.
func (m importer) report(_ context.Context, in struct {
	Rows    []row     `json:"rows"`
	Results []*string `json:"results"` // nil: the row was wrong
}) (n counts, err error) {
	var bad strings.Builder
	for i, r := range in.Rows {
		if in.Results[i] == nil {
			n.Rejected++
			fmt.Fprintf(&bad, "%d,%s\n", r.Line, r.Text)
		} else {
			n.Imported++
		}
	}
	return n, write(filepath.Join(m.dir, "rejected.csv"), []byte(bad.String()))
}

func (m importer) refuse(ctx context.Context, _ struct{}) (string, error) {
	why := worker.FromContext(ctx).Errors["rows"]
	fmt.Fprintf(m.out, "refused: %s: %s\n", why.Code, why.Message)
	return why.Message, nil
}

func (m importer) handle(eng *engine.Engine) error {
	return errors.Join(
		engine.Handle(eng, "import", "read", m.read),
		engine.Handle(eng, "import", "row", m.row),
		engine.Handle(eng, "import", "report", m.report),
		engine.Handle(eng, "import", "refuse", m.refuse))
}

func run(ctx context.Context, o options, out io.Writer) error {
	m := importer{o.file + ".store", out}
	if err := os.MkdirAll(m.dir, 0o700); err != nil {
		return err
	}
	eng, err := engine.Open(o.file, engine.Options{})
	if err != nil {
		return err
	}
	defer eng.Close()
	if err := errors.Join(m.handle(eng), eng.Register("import", definition(o))); err != nil {
		return err
	}
	if _, err := eng.Start(ctx, "import", map[string]string{"path": o.input}, engine.WithID(o.run)); err != nil {
		return err
	}
	// The rows that failed are asked for with the end of the run: a page of a hundred, and each says what was wrong.
	status, err := eng.Wait(ctx, o.run, engine.WithItems(engine.ItemsAsked{Step: "rows", State: "failed"}))
	if err != nil {
		return err
	}
	for _, bad := range status.Items.Items {
		fmt.Fprintf(out, "wrong: line %d: %s\n", bad.Index+2, bad.Error.Message)
	}
	fmt.Fprintf(out, "%s: %s\n", status.State, status.Output)
	return nil
}

func main() {
	o := options{}
	flag.StringVar(&o.file, "file", filepath.Join(os.TempDir(), "agnt5-importer.db"), "the engine's file")
	flag.StringVar(&o.input, "input", "examples/etl/data/sources/files/seattle-2013.csv", "the file with the rows")
	flag.StringVar(&o.run, "run", "weather-1", "id of the run")
	flag.Int64Var(&o.tolerate, "tolerate", 5, "percent of the rows that may be wrong")
	flag.Int64Var(&o.parallel, "parallel", 8, "rows under way at a time")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, o, os.Stdout); err != nil {
		log.Fatal(err)
	}
}
