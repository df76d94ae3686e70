package etl

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"sort"
	"time"

	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/worker"
	bolt "go.etcd.io/bbolt"
)

// observation is a row as a source gives it: text, whatever it says.
type observation struct {
	City          string `json:"city"`
	Date          string `json:"date"`
	Precipitation string `json:"precipitation"`
	TempMax       string `json:"temp_max"`
	TempMin       string `json:"temp_min"`
	Wind          string `json:"wind"`
	Weather       string `json:"weather"`
	Unit          string `json:"unit"`
}

func (o observation) row() []string {
	return []string{o.City, o.Date, o.Precipitation, o.TempMax, o.TempMin, o.Wind, o.Weather, o.Unit}
}

var rawHeader = []string{"city", "date", "precipitation", "temp_max", "temp_min", "wind", "weather", "unit"}

// Sources is what Validate found.
type Sources struct {
	Files    []string `json:"files"`
	APIPages int      `json:"api_pages"`
	Database string   `json:"database"`
	Rows     int      `json:"database_rows"`
}

// Validate looks whether each source is there and answers. A file that is missing does not come back by trying again.
func (p *Pipeline) Validate(ctx context.Context, _ struct{}) (Sources, error) {
	return body(ctx, p, func(t *worker.Task) (Sources, error) {
		found := Sources{Database: filepath.Join("sources", "archive.bolt")}
		files, err := filepath.Glob(filepath.Join(p.Dir, "sources", "files", "*.csv"))
		if err != nil {
			return found, err
		}
		if len(files) == 0 {
			return found, flow.NonRetryable(fmt.Errorf("no CSV file in %s: unpack the sources first", filepath.Join(p.Dir, "sources", "files")))
		}
		for _, f := range files {
			path := filepath.Join("sources", "files", filepath.Base(f))
			if _, err := p.readRows(path, rawHeader); err != nil {
				return found, flow.NonRetryable(err)
			}
			found.Files = append(found.Files, path)
		}
		first, err := p.fetch(ctx, 1)
		if err != nil {
			return found, err
		}
		found.APIPages = first.Pages
		err = p.view(found.Database, func(tx *bolt.Tx) error {
			b := tx.Bucket([]byte("observations"))
			if b == nil || tx.Bucket([]byte("stations")) == nil {
				return flow.NonRetryable(fmt.Errorf("%s: wants the buckets observations and stations", found.Database))
			}
			found.Rows = b.Stats().KeyN
			return nil
		})
		if err != nil {
			return found, err
		}
		return found, p.pause(ctx, t.Step, 1, 1)
	})
}

// ExtractFiles reads the CSV files that Validate named.
func (p *Pipeline) ExtractFiles(ctx context.Context, in Sources) (File, error) {
	return body(ctx, p, func(t *worker.Task) (File, error) {
		var rows [][]string
		for _, path := range in.Files {
			more, err := p.readRows(path, rawHeader)
			if err != nil {
				return File{}, err
			}
			rows = append(rows, more...)
		}
		return p.extracted(ctx, t, rows)
	})
}

// ExtractAPI reads the API page by page.
func (p *Pipeline) ExtractAPI(ctx context.Context, _ struct{}) (File, error) {
	return body(ctx, p, func(t *worker.Task) (File, error) {
		var rows [][]string
		for n := 1; n != 0; {
			got, err := p.fetch(ctx, n)
			if err != nil {
				return File{}, err
			}
			for _, o := range got.Observations {
				rows = append(rows, o.row())
			}
			n = got.Next
		}
		return p.extracted(ctx, t, rows)
	})
}

// ExtractDatabase reads the observations of the database file.
func (p *Pipeline) ExtractDatabase(ctx context.Context, in Sources) (File, error) {
	return body(ctx, p, func(t *worker.Task) (File, error) {
		var rows [][]string
		err := p.view(in.Database, func(tx *bolt.Tx) error {
			return tx.Bucket([]byte("observations")).ForEach(func(k, v []byte) error {
				var o observation
				if err := json.Unmarshal(v, &o); err != nil {
					return fmt.Errorf("observation %s: %w", k, err)
				}
				rows = append(rows, o.row())
				return nil
			})
		})
		if err != nil {
			return File{}, err
		}
		return p.extracted(ctx, t, rows)
	})
}

func (p *Pipeline) extracted(ctx context.Context, t *worker.Task, rows [][]string) (File, error) {
	if err := p.each(ctx, len(rows), func(int) error { return nil }); err != nil {
		return File{}, err
	}
	out := File{stepFile(t, t.Step), len(rows)}
	return out, p.writeRows(ctx, out.Path, rawHeader, rows)
}

// Extracted is what Merge gets: the outputs of the three steps before it, by their names.
type Extracted struct {
	Database File `json:"extract_database"`
	API      File `json:"extract_api"`
	Files    File `json:"extract_files"`
}

// Merge puts the three extracts together, by city and date.
func (p *Pipeline) Merge(ctx context.Context, in Extracted) (File, error) {
	return body(ctx, p, func(t *worker.Task) (File, error) {
		var rows [][]string
		for _, from := range []File{in.Database, in.API, in.Files} {
			more, err := p.readRows(from.Path, rawHeader)
			if err != nil {
				return File{}, err
			}
			if len(more) != from.Rows {
				return File{}, flow.NonRetryable(fmt.Errorf("%s: %d rows, want %d: it was changed since it was extracted", from.Path, len(more), from.Rows))
			}
			rows = append(rows, more...)
		}
		sort.SliceStable(rows, func(i, j int) bool {
			if rows[i][0] != rows[j][0] {
				return rows[i][0] < rows[j][0]
			}
			return rows[i][1] < rows[j][1]
		})
		return p.extracted(ctx, t, rows)
	})
}

func (p *Pipeline) fetch(ctx context.Context, n int) (page, error) {
	var got page
	url := fmt.Sprintf("%s/observations?page=%d", p.API, n)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return got, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return got, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return got, fmt.Errorf("%s: %s", url, resp.Status)
	}
	if err := json.NewDecoder(resp.Body).Decode(&got); err != nil {
		return got, fmt.Errorf("%s: %w", url, err)
	}
	return got, nil
}

// view reads the database file. Read-only, so that several steps may have it open at once.
func (p *Pipeline) view(path string, fn func(*bolt.Tx) error) error {
	db, err := bolt.Open(filepath.Join(p.Dir, path), 0o600, &bolt.Options{ReadOnly: true, Timeout: 5 * time.Second})
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	err = db.View(fn)
	if cerr := db.Close(); err == nil {
		err = cerr
	}
	return err
}
