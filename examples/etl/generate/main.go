// Command generate makes the example's three sources from data/weather.csv, and spoils some rows on purpose, always the same
// ones. Run it in examples/etl; DATA.md says what it does to which row.
package main

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"log"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"

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

func main() {
	if err := generate("data/weather.csv", "data/sources"); err != nil {
		log.Fatal(err)
	}
}

func generate(from, to string) error {
	rows, err := read(from)
	if err != nil {
		return err
	}
	rows = spoil(rows)
	if err := os.RemoveAll(to); err != nil {
		return err
	}
	for _, dir := range []string{"files", "api"} {
		if err := os.MkdirAll(filepath.Join(to, dir), 0o755); err != nil {
			return err
		}
	}
	files := map[string][]observation{}
	var api, database []observation
	for _, o := range rows {
		year := o.Date[:4]
		switch {
		case year == "2015":
			database = append(database, o)
		case o.City == "Seattle":
			files[year] = append(files[year], o)
		default:
			api = append(api, o)
		}
		if o.Date == "2015-01-01" && o.City == "New York" {
			api = append(api, o) // where two sources meet, both have the day
		}
	}
	for year, list := range files {
		if err := writeCSV(filepath.Join(to, "files", "seattle-"+year+".csv"), list); err != nil {
			return err
		}
	}
	if err := writeLines(filepath.Join(to, "api", "observations.jsonl"), api); err != nil {
		return err
	}
	return writeDatabase(filepath.Join(to, "archive.bolt"), database)
}

func read(path string) ([]observation, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	lines, err := csv.NewReader(f).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	var rows []observation
	for _, l := range lines[1:] {
		rows = append(rows, observation{l[0], l[1], l[2], l[3], l[4], l[5], l[6], "C"})
	}
	return rows, nil
}

// spoil damages rows by their position, so that every run of the generator makes the same sources.
func spoil(rows []observation) []observation {
	var out []observation
	for i, o := range rows {
		switch {
		case i%97 == 13:
			o.TempMax = ""
		case i%131 == 40:
			o.Precipitation = "-9999"
		case i%173 == 60:
			o.TempMax = "84.0" // hotter than any place on earth has been
		case i%211 == 70:
			o.TempMax, o.TempMin = o.TempMin+"0", "45.5" // the night warmer than the day
		case i%61 == 20:
			o.TempMax, o.TempMin, o.Unit = fahrenheit(o.TempMax), fahrenheit(o.TempMin), "F"
		}
		out = append(out, o)
		if i%89 == 30 {
			out = append(out, o)
		}
		if strings.HasSuffix(o.Date, "-02-28") {
			o.Date = o.Date[:8] + "30"
			out = append(out, o)
		}
	}
	return out
}

func fahrenheit(celsius string) string {
	c, err := strconv.ParseFloat(celsius, 64)
	if err != nil {
		log.Fatalf("temperature %q: %v", celsius, err)
	}
	return strconv.FormatFloat(math.Round((c*1.8+32)*100)/100, 'f', 2, 64)
}

func writeCSV(path string, rows []observation) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	w := csv.NewWriter(f)
	_ = w.Write([]string{"city", "date", "precipitation", "temp_max", "temp_min", "wind", "weather", "unit"})
	for _, o := range rows {
		_ = w.Write([]string{o.City, o.Date, o.Precipitation, o.TempMax, o.TempMin, o.Wind, o.Weather, o.Unit})
	}
	w.Flush()
	if err := w.Error(); err != nil {
		return err
	}
	return f.Close()
}

func writeLines(path string, rows []observation) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	enc := json.NewEncoder(f)
	for _, o := range rows {
		if err := enc.Encode(o); err != nil {
			return err
		}
	}
	return f.Close()
}

// writeDatabase makes two buckets: "observations", a sequence number to a row in JSON, and "stations", a city to where it is.
func writeDatabase(path string, rows []observation) error {
	db, err := bolt.Open(path, 0o644, &bolt.Options{PageSize: 4096})
	if err != nil {
		return err
	}
	err = db.Update(func(tx *bolt.Tx) error {
		obs, err := tx.CreateBucket([]byte("observations"))
		if err != nil {
			return err
		}
		for i, o := range rows {
			b, err := json.Marshal(o)
			if err != nil {
				return err
			}
			if err := obs.Put(fmt.Appendf(nil, "%06d", i), b); err != nil {
				return err
			}
		}
		stations, err := tx.CreateBucket([]byte("stations"))
		if err != nil {
			return err
		}
		if err := stations.Put([]byte("Seattle"), []byte(`{"state":"WA","latitude":47.6,"longitude":-122.3}`)); err != nil {
			return err
		}
		return stations.Put([]byte("New York"), []byte(`{"state":"NY","latitude":40.7,"longitude":-74.0}`))
	})
	if err != nil {
		return err
	}
	return db.Close()
}
