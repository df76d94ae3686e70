package etl

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"path/filepath"
	"strconv"
	"time"

	"github.com/agnt5/agnt5d/worker"
	bolt "go.etcd.io/bbolt"
)

// Quality counts what Clean did with the rows of a city. Read is the sum of the others but Converted, which is part of Kept.
type Quality struct {
	Read       int `json:"read"`
	BadDate    int `json:"bad_date"`
	Missing    int `json:"missing"`    // a value that is empty or -9999
	Impossible int `json:"impossible"` // outside what has been measured on earth, or a night warmer than its day
	Duplicate  int `json:"duplicate"`  // a day that the city has already
	Kept       int `json:"kept"`
	Converted  int `json:"converted"` // from Fahrenheit
}

// Cleaned is what Clean answers.
type Cleaned struct {
	File
	Quality map[string]Quality `json:"quality"` // by city
}

var (
	cleanHeader  = []string{"city", "date", "precipitation", "temp_max", "temp_min", "wind", "weather"}
	enrichHeader = append(append([]string{}, cleanHeader...), "state", "latitude", "longitude", "season")
)

// Clean drops rows that cannot be right, brings the rest to Celsius, and counts what it did.
func (p *Pipeline) Clean(ctx context.Context, in File) (Cleaned, error) {
	return body(ctx, p, func(t *worker.Task) (Cleaned, error) {
		out := Cleaned{Quality: map[string]Quality{}}
		raw, err := p.readRows(in.Path, rawHeader)
		if err != nil {
			return out, err
		}
		var rows [][]string
		seen := map[string]bool{}
		err = p.each(ctx, len(raw), func(i int) error {
			q := out.Quality[raw[i][0]]
			if row := cleanRow(raw[i], seen, &q); row != nil {
				rows = append(rows, row)
			}
			out.Quality[raw[i][0]] = q
			return nil
		})
		if err != nil {
			return out, err
		}
		// The report comes long after, with other steps between: it finds the counts by the run's name.
		if err := p.writeJSON(ctx, qualityFile(t), out.Quality); err != nil {
			return out, err
		}
		out.File = File{stepFile(t, t.Step), len(rows)}
		return out, p.writeRows(ctx, out.Path, cleanHeader, rows)
	})
}

func qualityFile(t *worker.Task) string { return filepath.Join("runs", t.WorkflowID, "quality.json") }

// cleanRow gives the row as it is kept, or nil, and counts it either way.
func cleanRow(raw []string, seen map[string]bool, q *Quality) []string {
	q.Read++
	if _, err := time.Parse(time.DateOnly, raw[1]); err != nil {
		q.BadDate++
		return nil
	}
	var v [4]float64 // precipitation, temp_max, temp_min, wind
	for i := range v {
		f, err := strconv.ParseFloat(raw[2+i], 64)
		if err != nil || f == -9999 {
			q.Missing++
			return nil
		}
		v[i] = f
	}
	if raw[7] == "F" {
		v[1], v[2] = celsius(v[1]), celsius(v[2])
	}
	if v[0] < 0 || v[1] > 57 || v[2] < -90 || v[2] > v[1] || v[3] < 0 {
		q.Impossible++
		return nil
	}
	if day := raw[0] + raw[1]; seen[day] {
		q.Duplicate++
		return nil
	} else {
		seen[day] = true
	}
	if raw[7] == "F" {
		q.Converted++
	}
	q.Kept++
	row := []string{raw[0], raw[1]}
	for _, f := range v {
		row = append(row, strconv.FormatFloat(f, 'f', 1, 64))
	}
	return append(row, raw[6])
}

func celsius(f float64) float64 { return math.Round((f-32)/1.8*10) / 10 }

type station struct {
	State     string  `json:"state"`
	Latitude  float64 `json:"latitude"`
	Longitude float64 `json:"longitude"`
}

// Enrich adds to each row where its station is, from the database, and the season.
func (p *Pipeline) Enrich(ctx context.Context, in File) (File, error) {
	return body(ctx, p, func(t *worker.Task) (File, error) {
		stations := map[string]station{}
		err := p.view(filepath.Join("sources", "archive.bolt"), func(tx *bolt.Tx) error {
			return tx.Bucket([]byte("stations")).ForEach(func(city, v []byte) error {
				var s station
				if err := json.Unmarshal(v, &s); err != nil {
					return fmt.Errorf("station %s: %w", city, err)
				}
				stations[string(city)] = s
				return nil
			})
		})
		if err != nil {
			return File{}, err
		}
		rows, err := p.readRows(in.Path, cleanHeader)
		if err != nil {
			return File{}, err
		}
		err = p.each(ctx, len(rows), func(i int) error {
			s, ok := stations[rows[i][0]]
			if !ok {
				return fmt.Errorf("no station for %q in archive.bolt", rows[i][0])
			}
			rows[i] = append(rows[i], s.State, strconv.FormatFloat(s.Latitude, 'f', -1, 64), strconv.FormatFloat(s.Longitude, 'f', -1, 64), season(rows[i][1]))
			return nil
		})
		if err != nil {
			return File{}, err
		}
		out := File{stepFile(t, t.Step), len(rows)}
		return out, p.writeRows(ctx, out.Path, enrichHeader, rows)
	})
}

// season is the meteorological one of the northern half: whole months.
func season(date string) string {
	switch date[5:7] {
	case "12", "01", "02":
		return "winter"
	case "03", "04", "05":
		return "spring"
	case "06", "07", "08":
		return "summer"
	}
	return "autumn"
}
