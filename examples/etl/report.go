package etl

import (
	"context"
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/agnt5/agnt5d/worker"
)

//go:embed report.html.tmpl
var reportText string

var reportTemplate = template.Must(template.New("report").Parse(reportText))

// Month is a line of the report: a calendar month of a city, over all years.
type Month struct {
	City          string
	Number        int // 1 to 12
	Days          int
	MaxSum        float64
	MinSum        float64
	Precipitation float64 // mm, all days
}

func (m Month) Name() string     { return time.Month(m.Number).String() }
func (m Month) MeanMax() float64 { return m.MaxSum / float64(m.Days) }
func (m Month) MeanMin() float64 { return m.MinSum / float64(m.Days) }

// PerDay is used in the picture: months have lost different numbers of days to cleaning.
func (m Month) PerDay() float64 { return m.Precipitation / float64(m.Days) }

// Reported is what Report answers.
type Reported struct {
	Path   string `json:"path"`
	Months int    `json:"months"`
	Days   int    `json:"days"`
}

// Report makes report.html of what is in the warehouse.
func (p *Pipeline) Report(ctx context.Context, _ struct{}) (Reported, error) {
	return body(ctx, p, func(t *worker.Task) (Reported, error) {
		out := Reported{Path: "report.html"}
		rows, err := p.warehouseRows()
		if err != nil {
			return out, err
		}
		byMonth := map[string]*Month{}
		err = p.each(ctx, len(rows), func(i int) error { return addDay(byMonth, rows[i]) })
		if err != nil {
			return out, err
		}
		var quality map[string]Quality
		if err := p.readJSON(qualityFile(t), &quality); err != nil {
			return out, err
		}
		var months []Month
		for _, m := range byMonth {
			months = append(months, *m)
			out.Days += m.Days
		}
		sort.Slice(months, func(i, j int) bool {
			if months[i].City != months[j].City {
				return months[i].City < months[j].City
			}
			return months[i].Number < months[j].Number
		})
		out.Months = len(months)
		return out, p.write(ctx, out.Path, func(w io.Writer) error {
			return reportTemplate.Execute(w, map[string]any{
				"Run": t.WorkflowID, "Months": months, "Quality": quality, "Picture": picture(months), "Days": out.Days,
			})
		})
	})
}

func addDay(byMonth map[string]*Month, row []string) error {
	n, err := strconv.Atoi(row[1][5:7])
	if err != nil {
		return fmt.Errorf("date %q: %w", row[1], err)
	}
	var v [3]float64
	for i := range v {
		if v[i], err = strconv.ParseFloat(row[2+i], 64); err != nil {
			return fmt.Errorf("%s %s: %w", row[0], row[1], err)
		}
	}
	key := row[0] + row[1][5:7]
	m := byMonth[key]
	if m == nil {
		m = &Month{City: row[0], Number: n}
		byMonth[key] = m
	}
	m.Days++
	m.Precipitation += v[0]
	m.MaxSum += v[1]
	m.MinSum += v[2]
	return nil
}

var colours = []string{"#c2410c", "#1d4ed8"} // by city, in order of name

// picture draws the months: lines for the mean highest and lowest temperature, bars for the rain of an average day.
func picture(months []Month) template.HTML {
	const left, width, zero, perDegree, floor, perMM = 50, 52, 190, 4.5, 400, 14.0
	var b strings.Builder
	b.WriteString(`<svg viewBox="0 0 700 430" role="img" aria-label="temperature and precipitation by month" font-family="sans-serif" font-size="11">`)
	for c := -10; c <= 30; c += 10 {
		y := zero - float64(c)*perDegree
		fmt.Fprintf(&b, `<line x1="%d" x2="680" y1="%.1f" y2="%.1f" stroke="#ddd"/><text x="8" y="%.1f">%d °C</text>`, left, y, y, y+4, c)
	}
	for mm := 0; mm <= 8; mm += 4 {
		y := floor - float64(mm)*perMM
		fmt.Fprintf(&b, `<line x1="%d" x2="680" y1="%.1f" y2="%.1f" stroke="#ddd"/><text x="8" y="%.1f">%d mm</text>`, left, y, y, y+4, mm)
	}
	city, lines := "", map[string]string{}
	index := -1
	for _, m := range months {
		if m.City != city {
			city = m.City
			index++
			fmt.Fprintf(&b, `<text x="%d" y="14" fill="%s" font-weight="bold">%s</text>`, left+10+index*100, colours[index%2], template.HTMLEscapeString(city))
		}
		x := float64(left + (m.Number-1)*width + width/2)
		colour := colours[index%2]
		lines[colour+`"`] += fmt.Sprintf("%.1f,%.1f ", x, zero-m.MeanMax()*perDegree)
		lines[colour+`" stroke-dasharray="4 3"`] += fmt.Sprintf("%.1f,%.1f ", x, zero-m.MeanMin()*perDegree)
		h := m.PerDay() * perMM
		fmt.Fprintf(&b, `<rect x="%.1f" y="%.1f" width="14" height="%.1f" fill="%s"><title>%s %s: %.2f mm a day</title></rect>`,
			x-15+float64(index%2)*15, floor-h, h, colour, template.HTMLEscapeString(m.City), m.Name(), m.PerDay())
		if index == 0 {
			fmt.Fprintf(&b, `<text x="%.1f" y="418" text-anchor="middle">%s</text>`, x, m.Name()[:3])
		}
	}
	for _, stroke := range []string{colours[0] + `"`, colours[0] + `" stroke-dasharray="4 3"`, colours[1] + `"`, colours[1] + `" stroke-dasharray="4 3"`} {
		fmt.Fprintf(&b, `<polyline fill="none" stroke-width="2" points="%s" stroke="%s/>`, lines[stroke], stroke)
	}
	b.WriteString(`</svg>`)
	return template.HTML(b.String()) // numbers, and names that were escaped above
}
