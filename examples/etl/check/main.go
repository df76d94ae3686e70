// Command check computes the figures of a report again from the sources beside it, and compares. It shares no code with the
// pipeline or the engine: rows are collected whole and judged at the end, sums are kept in tenths.
//
//	go run ./examples/etl/check DIR
package main

import (
	"bufio"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"html"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	bolt "go.etcd.io/bbolt"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: check DIR, the folder that holds sources/ and report.html")
		os.Exit(2)
	}
	n, err := check(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, "check:", err)
		os.Exit(1)
	}
	fmt.Printf("%d figures of the report agree with the sources\n", n)
}

// check gives how many figures agree, or the first that does not.
func check(dir string) (int, error) {
	rows, err := collect(filepath.Join(dir, "sources"))
	if err != nil {
		return 0, err
	}
	want := figures(rows)
	text, err := os.ReadFile(filepath.Join(dir, "report.html"))
	if err != nil {
		return 0, err
	}
	got := map[string]float64{}
	for _, table := range []string{"months", "quality"} {
		if err := scrape(string(text), table, got); err != nil {
			return 0, err
		}
	}
	for name, w := range want {
		g, ok := got[name]
		if !ok {
			return 0, fmt.Errorf("the report lacks %s, %.3f by the sources", name, w)
		}
		if math.Abs(g-w) > 0.0051 { // printed with two places
			return 0, fmt.Errorf("%s: the report says %v, the sources %.3f", name, g, w)
		}
	}
	if len(got) != len(want) {
		return 0, fmt.Errorf("the report has %d figures, the sources give %d", len(got), len(want))
	}
	return len(want), nil
}

// collect reads all three sources into maps of column to text.
func collect(dir string) ([]map[string]string, error) {
	var rows []map[string]string
	files, err := filepath.Glob(filepath.Join(dir, "files", "*"))
	if err != nil {
		return nil, err
	}
	for _, name := range files {
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		lines, err := csv.NewReader(f).ReadAll()
		_ = f.Close()
		if err != nil {
			return nil, err
		}
		for _, l := range lines[1:] {
			row := map[string]string{}
			for i, column := range lines[0] {
				row[column] = l[i]
			}
			rows = append(rows, row)
		}
	}
	f, err := os.Open(filepath.Join(dir, "api", "observations.jsonl"))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		row := map[string]string{}
		if err := json.Unmarshal(lines.Bytes(), &row); err != nil {
			return nil, err
		}
		rows = append(rows, row)
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	db, err := bolt.Open(filepath.Join(dir, "archive.bolt"), 0o600, &bolt.Options{ReadOnly: true, Timeout: time.Second})
	if err != nil {
		return nil, err
	}
	defer db.Close()
	err = db.View(func(tx *bolt.Tx) error {
		return tx.Bucket([]byte("observations")).ForEach(func(_, v []byte) error {
			row := map[string]string{}
			rows = append(rows, row)
			return json.Unmarshal(v, &row)
		})
	})
	return rows, err
}

var monthDays = [...]int{31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31}

// figures gives every number of the report under the name that scrape gives it.
func figures(rows []map[string]string) map[string]float64 {
	out := map[string]float64{}
	taken := map[string]bool{}
	for _, row := range rows {
		city := row["city"]
		for _, column := range []string{"rows read", "bad date", "missing", "impossible", "duplicate", "kept", "of these from °F"} {
			out[city+"/"+column] += 0
		}
		out[city+"/rows read"]++
		var y, m, d int
		_, _ = fmt.Sscanf(row["date"], "%d-%d-%d", &y, &m, &d) // what is unreadable stays 0 and is a bad date
		leap := m == 2 && y%4 == 0                             // no century is in the data
		if m < 1 || m > 12 || d < 1 || d > monthDays[m-1] && !(leap && d == 29) {
			out[city+"/bad date"]++
			continue
		}
		tenths, missing := map[string]int{}, false
		for _, column := range []string{"precipitation", "temp_max", "temp_min", "wind"} {
			missing = missing || row[column] == "" || row[column] == "-9999"
			v, _ := strconv.ParseFloat(row[column], 64) // "" is missing already
			if row["unit"] == "F" && strings.HasPrefix(column, "temp") {
				v = (v - 32) * 5 / 9
			}
			tenths[column] = int(math.Round(v * 10))
		}
		high, low := tenths["temp_max"], tenths["temp_min"]
		switch {
		case missing:
			out[city+"/missing"]++
			continue
		case high > 570 || low < -900 || low > high || tenths["precipitation"] < 0 || tenths["wind"] < 0:
			out[city+"/impossible"]++
			continue
		case taken[city+row["date"]]:
			out[city+"/duplicate"]++
			continue
		}
		taken[city+row["date"]] = true
		out[city+"/kept"]++
		if row["unit"] == "F" {
			out[city+"/of these from °F"]++
		}
		month := city + "/" + time.Month(m).String() + "/"
		out[month+"days"]++
		out[month+"mean high, °C"] += float64(high)
		out[month+"mean low, °C"] += float64(low)
		out[month+"precipitation, mm"] += float64(tenths["precipitation"])
	}
	for name := range out {
		column := name[strings.LastIndex(name, "/")+1:]
		switch column {
		case "mean high, °C", "mean low, °C":
			out[name] /= 10 * out[strings.TrimSuffix(name, column)+"days"]
		case "precipitation, mm":
			out[name] /= 10
		}
	}
	return out
}

var (
	line = regexp.MustCompile(`<tr>(.*?)</tr>`)
	cell = regexp.MustCompile(`<t[dh]>(.*?)</t[dh]>`)
)

// scrape reads a table as a person would: "Seattle/May/days" or "Seattle/kept".
func scrape(text, id string, into map[string]float64) error {
	_, table, found := strings.Cut(text, `<table id="`+id+`">`)
	table, _, whole := strings.Cut(table, "</table>")
	if !found || !whole {
		return fmt.Errorf("the report has no table %q", id)
	}
	var header []string
	for _, tr := range line.FindAllStringSubmatch(table, -1) {
		var cells []string
		for _, c := range cell.FindAllStringSubmatch(tr[1], -1) {
			cells = append(cells, html.UnescapeString(c[1]))
		}
		if header == nil {
			header = cells
			continue
		}
		name, first := cells[0], 1
		if id == "months" {
			name, first = name+"/"+cells[1], 2
		}
		for i := first; i < len(cells); i++ {
			v, err := strconv.ParseFloat(cells[i], 64)
			if err != nil {
				return fmt.Errorf("%s, %s: %w", name, header[i], err)
			}
			into[name+"/"+header[i]] = v
		}
	}
	return nil
}
