package client

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"

	"github.com/agnt5/agnt5d/internal/ids"
	"github.com/agnt5/agnt5d/model"
)

// Objects gives a page of object keys, and the cursor of the next one.
func (c *Client) Objects(ctx context.Context, prefix string, limit int, cursor string) ([]model.Object, string, error) {
	v := url.Values{}
	if prefix != "" {
		v.Set("prefix", prefix)
	}
	paged(v, limit, cursor)
	var out struct {
		Objects    []model.Object `json:"objects"`
		NextCursor string         `json:"next_cursor"`
	}
	err := c.get(ctx, "/v1/objects?"+v.Encode(), &out)
	return out.Objects, out.NextCursor, err
}

// Object gives one object key.
func (c *Client) Object(ctx context.Context, key string) (model.Object, error) {
	var out model.Object
	err := c.get(ctx, path("v1", "objects", key), &out)
	return out, err
}

// DeleteObject removes an object's state.
func (c *Client) DeleteObject(ctx context.Context, key string) error {
	return c.do(ctx, &request{method: http.MethodDelete, path: path("v1", "objects", key)})
}

// Workers lists who works.
func (c *Client) Workers(ctx context.Context) ([]model.Worker, error) {
	var out struct{ Workers []model.Worker }
	err := c.get(ctx, "/v1/workers", &out)
	return out.Workers, err
}

// Services lists the services: those that workers serve, those that the daemon pushes tasks to, and those that are paused.
func (c *Client) Services(ctx context.Context) ([]model.Service, error) {
	var out struct{ Services []model.Service }
	err := c.get(ctx, "/v1/services", &out)
	return out.Services, err
}

// PauseService pauses a service, whoever serves it: nobody gets a task of it until it is resumed. What workers have goes on.
func (c *Client) PauseService(ctx context.Context, name, reason string) error {
	return c.post(ctx, path("v1", "services", name, "pause"), map[string]any{"reason": reason}, nil)
}

// ResumeService ends the pause of a service.
func (c *Client) ResumeService(ctx context.Context, name, reason string) error {
	return c.post(ctx, path("v1", "services", name, "resume"), map[string]any{"reason": reason}, nil)
}

// Holding says whether the daemon, started with --careful, holds the runs, and how far their release is.
func (c *Client) Holding(ctx context.Context) (model.Hold, error) {
	var out model.Hold
	err := c.get(ctx, "/v1/hold", &out)
	return out, err
}

// ResumeAll ends the hold of a daemon that was started with --careful: the runs go on, oldest first, perSecond of them a second, or as fast
// as it goes when that is 0. It does not wait for that; Holding says how far it is. Asked again it changes the rate. Runs that are paused
// themselves stay so. Without a hold it changes nothing.
func (c *Client) ResumeAll(ctx context.Context, perSecond int, reason string) (model.Hold, error) {
	var out model.Hold
	err := c.post(ctx, "/v1/hold/resume", map[string]any{"per_second": perSecond, "reason": reason}, &out)
	return out, err
}

// PutService sets a push service up, or changes it. The answer carries its secret when that was made now.
func (c *Client) PutService(ctx context.Context, in model.Service) (out model.Service, created bool, err error) {
	for _, h := range in.Handlers {
		if err := ids.Check(h); err != nil {
			return out, false, refuse(fmt.Errorf("a handler's name %w", err))
		}
	}
	body, err := model.Marshal(struct {
		URL       string   `json:"url"`
		Handlers  []string `json:"handlers"`
		Capacity  int      `json:"capacity,omitempty"`
		TimeoutMS int64    `json:"timeout_ms,omitempty"`
		Secret    string   `json:"secret,omitempty"`
	}{in.URL, in.Handlers, in.Capacity, in.TimeoutMS, in.Secret})
	if err != nil {
		return out, false, err
	}
	r := &request{method: http.MethodPut, path: path("v1", "services", in.Name), body: body, into: &out}
	r.answered = func(resp *http.Response) { created = resp.StatusCode == http.StatusCreated }
	err = c.do(ctx, r)
	return out, created, err
}

// DeleteService removes a push service: what it works on is offered to others.
func (c *Client) DeleteService(ctx context.Context, name string) error {
	return c.do(ctx, &request{method: http.MethodDelete, path: path("v1", "services", name)})
}

// Journal writes a copy of the daemon's journal, as it is at one moment, to w. While another copy is being sent it waits its
// turn, as long as patience lasts.
func (c *Client) Journal(ctx context.Context, w io.Writer) error { return c.JournalAt(ctx, w, 0) }

// JournalAt is Journal that is made at most so many bytes a second, 65,536 or more; 0: as fast as it goes, and some 33 MiB while runs commit.
func (c *Client) JournalAt(ctx context.Context, w io.Writer, rate int64) error {
	return c.JournalSince(ctx, w, 0, rate)
}

// JournalSince writes an increment: what the daemon's journal has that a backup lacks which ends with the event since. "agnt5d restore"
// puts both together. 0 is JournalAt.
func (c *Client) JournalSince(ctx context.Context, w io.Writer, since uint64, rate int64) error {
	query := url.Values{}
	if since != 0 {
		query.Set("since", strconv.FormatUint(since, 10))
	}
	if rate != 0 {
		query.Set("rate", strconv.FormatInt(rate, 10))
	}
	where := "/v1/journal"
	if len(query) > 0 {
		where += "?" + query.Encode()
	}
	return c.do(ctx, &request{method: http.MethodGet, path: where, raw: func(resp *http.Response) error {
		_, err := io.Copy(w, resp.Body)
		return err
	}})
}

// NoteBackup records that a copy of the journal, up to an event, is whole and in its place.
func (c *Client) NoteBackup(ctx context.Context, upTo uint64, bytes int64) error {
	return c.post(ctx, "/v1/backups", map[string]any{"up_to": upTo, "bytes": bytes}, nil)
}

// Compaction says what became of one.
type Compaction struct {
	BeforeBytes int64   `json:"before_bytes"`
	AfterBytes  int64   `json:"after_bytes"`
	PausedMS    float64 `json:"paused_ms"` // for so long nothing could be committed
}

// Compacting says how far a compaction is.
type Compacting struct {
	Running     bool  `json:"running"`
	CopiedBytes int64 `json:"copied_bytes"`
	TotalBytes  int64 `json:"total_bytes"`
}

// Compact rewrites the daemon's journal without its free pages, while the daemon works. It is ended when ctx is.
func (c *Client) Compact(ctx context.Context) (out Compaction, err error) {
	err = c.once(ctx, &request{method: http.MethodPost, path: "/v1/compaction", into: &out})
	return out, err
}

// Compacting says how far the daemon's compaction is.
func (c *Client) Compacting(ctx context.Context) (out Compacting, err error) {
	err = c.get(ctx, "/v1/compaction", &out)
	return out, err
}

// Version is what a daemon says of itself.
type Version struct {
	Version string `json:"version"` // release
	Commit  string `json:"commit"`  // of the source that it was built from; "unknown" when the build did not record it
	Go      string `json:"go"`      // that built it
	Format  int    `json:"format"`  // of its journal
	Durable uint64 `json:"durable"` // sequence of the last durable event
	Zones   string `json:"zones"`   // release of its time zone data
}

// Settings gives what the daemon was told, by flag name. What may hold a secret is "***".
func (c *Client) Settings(ctx context.Context) (map[string]string, error) {
	var out struct {
		Settings map[string]string `json:"settings"`
	}
	err := c.get(ctx, "/v1/settings", &out)
	return out.Settings, err
}

// Version asks what is running.
func (c *Client) Version(ctx context.Context) (Version, error) {
	var out Version
	err := c.get(ctx, "/version", &out)
	return out, err
}
