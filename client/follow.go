package client

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/agnt5/agnt5d/model"
)

// Follow calls fn for each event of a run after a sequence, as it becomes durable. It returns when the run has ended, ctx ends
// or fn returns an error. A daemon that restarts is waited for, and the stream goes on where it was.
func (c *Client) Follow(ctx context.Context, run string, after uint64, fn func(model.Event) error) error {
	return c.follow(ctx, path("v1", "runs", run, "events"), after, fn)
}

// FollowAll is Follow of all runs, in the order of the journal. It returns when ctx ends or fn returns an error.
func (c *Client) FollowAll(ctx context.Context, after uint64, fn func(model.Event) error) error {
	return c.follow(ctx, "/v1/events", after, fn)
}

func (c *Client) follow(ctx context.Context, path string, after uint64, fn func(model.Event) error) error {
	wait := tries()
	cursor := "" // of the last event that came
	for {
		ended, began := false, false
		var stopped error // what ends it for good: fn, or what cannot be read
		header := map[string]string{"Accept": "text/event-stream"}
		query := "?after=" + strconv.FormatUint(after, 10)
		if cursor != "" {
			header["Last-Event-ID"], query = cursor, ""
		}
		err := c.once(ctx, &request{method: http.MethodGet, path: path + query, header: header, raw: func(resp *http.Response) error {
			if ended = resp.StatusCode == http.StatusNoContent; ended {
				return nil
			}
			began = true
			stopped = c.stream(resp, &cursor, fn)
			return nil
		}})
		switch {
		case stopped != nil:
			return stopped
		case ended:
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil && !again(err):
			return err
		}
		if began {
			wait.Reset()
		}
		wait.Wait(ctx)
	}
}

// maxEvent is the longest line of a stream that is read, in bytes.
const maxEvent = 64 << 20

// stream reads server-sent events, and leaves the id of the last one in cursor. The end of the stream is no error: the next request tells whether the run has ended.
func (c *Client) stream(resp *http.Response, cursor *string, fn func(model.Event) error) error {
	in := bufio.NewScanner(resp.Body)
	in.Buffer(nil, maxEvent)
	var data strings.Builder
	var id string
	for in.Scan() {
		line := in.Text()
		if text, ok := strings.CutPrefix(line, "data: "); ok {
			data.WriteString(text + "\n")
			continue
		}
		if text, ok := strings.CutPrefix(line, "id: "); ok {
			id = text
			continue
		}
		if line != "" || data.Len() == 0 {
			continue
		}
		var e model.Event
		if err := json.Unmarshal([]byte(data.String()), &e); err != nil {
			return err
		}
		data.Reset()
		if err := fn(e); err != nil {
			return err
		}
		*cursor = id
	}
	if errors.Is(in.Err(), bufio.ErrTooLong) {
		return fmt.Errorf("the event after %q is larger than %d bytes", *cursor, maxEvent)
	}
	return nil
}
