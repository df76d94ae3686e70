// The crawler reads the pages of a site and looks for dead links. Which pages there are, it finds on the first one: an item for each. Which
// links there are, it finds on the pages: again an item for each. Kill it and start it again: what it has read and checked, it does not ask
// for again.
//
//	go run ./examples/crawler
//	go run ./examples/crawler -run site-2 -site https://example.org/ -start index.html
//
// Without -site it serves the folder -dir to itself: by default this repository, from docs/README.md on.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/agnt5/agnt5d/engine"
	"github.com/agnt5/agnt5d/flow"
)

type options struct {
	file     string // of the engine
	run      string // id of the run
	site     string // URL, ending in /
	start    string // page that links to the others
	parallel int64  // pages, or links, under way at a time
}

// definition is the workflow: find the pages, read each, check each link that any of them has. A site is not always whole: a fifth of the
// pages may be unreadable.
func definition(o options) flow.Definition {
	return flow.Definition{
		Description: "reads the pages of a site and looks for dead links",
		Output: []byte(`{"pages":"${ count(steps.read.output, # != nil) }","links":"${ len(steps.check.output) }",
			"dead":"${ map(filter(steps.check.output, .status != 200), .link) }"}`),
		Steps: []flow.Step{
			flow.Task("find", "crawler", "read", flow.Templates(map[string]string{"page": "${ input.start }"})),
			flow.Task("read", "crawler", "read", flow.RunAfter("find"), flow.ForEach("uniq(concat([input.start], steps.find.output.pages))"),
				flow.Templates(map[string]string{"page": "${ item }"}), flow.MaxParallel(o.parallel), flow.ToleratePercent(20)),
			flow.Task("check", "crawler", "check", flow.RunAfter("read"), flow.MaxParallel(o.parallel),
				flow.ForEach("uniq(flatten(map(filter(steps.read.output, # != nil), .links)))"),
				flow.Templates(map[string]string{"link": "${ item }"})),
		},
	}
}

// read is what is on a page: links to files of the same site. Those to pages stand in Pages, too.
type read struct {
	Links []string `json:"links"`
	Pages []string `json:"pages"`
}

type checked struct {
	Link   string `json:"link"`
	Status int    `json:"status"`
}

// crawler has the handlers. They are given paths, never whole URLs: a run outlives the address at which a site was.
type crawler struct {
	site string
	out  io.Writer
}

// link is one in HTML, or in Markdown.
var link = regexp.MustCompile(`href="([^"#]+)|\]\(([^()#\s]+)`)

func (c crawler) read(ctx context.Context, in struct {
	Page string `json:"page"`
}) (read, error) {
	status, text, err := c.ask(ctx, http.MethodGet, in.Page)
	fmt.Fprintln(c.out, "read", in.Page)
	switch {
	case err != nil || status >= 500:
		return read{}, errors.Join(err, fmt.Errorf("%s: status %d", in.Page, status)) // is tried again
	case status != http.StatusOK:
		return read{}, flow.NonRetryable(fmt.Errorf("%s: status %d", in.Page, status))
	}
	found := read{[]string{}, []string{}}
	for _, m := range link.FindAllStringSubmatch(text, -1) {
		to, ok := within(in.Page, m[1]+m[2])
		if !ok || slices.Contains(found.Links, to) {
			continue
		}
		found.Links = append(found.Links, to)
		if ext := path.Ext(to); ext == ".md" || ext == ".html" {
			found.Pages = append(found.Pages, to)
		}
	}
	return found, nil
}

// within gives the path of what a page links to; ok is false for another site.
func within(page, to string) (string, bool) {
	u, err := url.Parse(to)
	if err != nil || u.IsAbs() || u.Host != "" {
		return "", false
	}
	at := (&url.URL{Path: "/" + page}).ResolveReference(u)
	return strings.TrimPrefix(at.Path, "/"), true
}

func (c crawler) check(ctx context.Context, in struct {
	Link string `json:"link"`
}) (checked, error) {
	status, _, err := c.ask(ctx, http.MethodHead, in.Link)
	fmt.Fprintln(c.out, "check", in.Link)
	return checked{in.Link, status}, err
}

func (c crawler) ask(ctx context.Context, method, path string) (status int, text string, err error) {
	req, err := http.NewRequestWithContext(ctx, method, c.site+(&url.URL{Path: path}).EscapedPath(), nil)
	if err != nil {
		return 0, "", flow.NonRetryable(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 4<<20))
	return resp.StatusCode, string(body), err
}

func run(ctx context.Context, o options, out io.Writer) error {
	eng, err := engine.Open(o.file, engine.Options{})
	if err != nil {
		return err
	}
	defer eng.Close()
	c := crawler{o.site, out}
	if err := errors.Join(engine.Handle(eng, "crawler", "read", c.read), engine.Handle(eng, "crawler", "check", c.check),
		eng.Register("crawl", definition(o))); err != nil {
		return err
	}
	if _, err := eng.Start(ctx, "crawl", map[string]string{"start": o.start}, engine.WithID(o.run)); err != nil {
		return err
	}
	status, err := eng.Wait(ctx, o.run)
	if err != nil {
		return err
	}
	if status.Error != nil {
		return errors.New(status.Error.Message)
	}
	fmt.Fprintf(out, "%s: %s\n", status.State, status.Output)
	return nil
}

// serve serves a folder on a free port.
func serve(dir string) (site string, err error) {
	at, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	go func() { _ = http.Serve(at, http.FileServer(http.Dir(dir))) }()
	return "http://" + at.Addr().String() + "/", nil
}

func main() {
	o, dir := options{}, ""
	flag.StringVar(&o.file, "file", filepath.Join(os.TempDir(), "agnt5-crawler.db"), "the engine's file")
	flag.StringVar(&o.run, "run", "site-1", "id of the run")
	flag.StringVar(&o.site, "site", "", "the site, ending in /; without it, -dir is served")
	flag.StringVar(&dir, "dir", ".", "a folder to serve")
	flag.StringVar(&o.start, "start", "docs/README.md", "the page that links to the others")
	flag.Int64Var(&o.parallel, "parallel", 4, "pages or links under way at a time")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	var err error
	if o.site == "" {
		o.site, err = serve(dir)
	}
	if err == nil {
		err = run(ctx, o, os.Stdout)
	}
	if err != nil {
		log.Fatal(err)
	}
}
