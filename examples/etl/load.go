package etl

import (
	"context"
	"fmt"
	"path/filepath"
	"sort"
	"strings"

	"github.com/agnt5/agnt5d/worker"
)

// Warehouse is the manifest of the warehouse, warehouse/current.json: a part that it does not name does not count.
type Warehouse struct {
	Run   string `json:"run"`
	Parts []File `json:"parts"`
	Rows  int    `json:"rows"`
}

var manifest = filepath.Join("warehouse", "current.json")

// Load writes the enriched rows as one part for each city and year. Parts are named by the idempotency key: an attempt after one
// that was lost writes the same files again, never a second set. The manifest is replaced last, so that who reads the warehouse
// sees all of the old load or all of the new one.
func (p *Pipeline) Load(ctx context.Context, _ struct{}) (Warehouse, error) {
	return body(ctx, p, func(t *worker.Task) (Warehouse, error) {
		out := Warehouse{Run: t.WorkflowID}
		rows, err := p.readRows(stepFile(t, "enrich_data"), enrichHeader)
		if err != nil {
			return out, err
		}
		parts := map[string][][]string{}
		for _, r := range rows {
			city := strings.ToLower(strings.ReplaceAll(r[0], " ", "-"))
			path := filepath.Join("warehouse", "city="+city, "year="+r[1][:4], "part-"+keyName(t)+".csv")
			parts[path] = append(parts[path], r)
		}
		for path, list := range parts {
			out.Parts = append(out.Parts, File{path, len(list)})
			out.Rows += len(list)
		}
		sort.Slice(out.Parts, func(i, j int) bool { return out.Parts[i].Path < out.Parts[j].Path })
		for i, part := range out.Parts {
			if err := p.writeRows(ctx, part.Path, enrichHeader, parts[part.Path]); err != nil {
				return out, err
			}
			if err := p.pause(ctx, t.Step, i+1, len(out.Parts)); err != nil {
				return out, err
			}
		}
		return out, p.writeJSON(ctx, manifest, out)
	})
}

// warehouseRows reads every part that the manifest names.
func (p *Pipeline) warehouseRows() ([][]string, error) {
	var w Warehouse
	if err := p.readJSON(manifest, &w); err != nil {
		return nil, err
	}
	var rows [][]string
	for _, part := range w.Parts {
		more, err := p.readRows(part.Path, enrichHeader)
		if err != nil {
			return nil, err
		}
		if len(more) != part.Rows {
			return nil, fmt.Errorf("%s: %d rows, the manifest says %d", part.Path, len(more), part.Rows)
		}
		rows = append(rows, more...)
	}
	return rows, nil
}
