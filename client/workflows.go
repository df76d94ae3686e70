package client

import (
	"context"
	"net/http"
	"net/url"
	"strconv"

	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/model"
)

// Register stores a definition, JSON or YAML, under a name and makes it current. created: it is a new version.
func (c *Client) Register(ctx context.Context, name string, definition []byte) (v model.Version, created bool, err error) {
	r := &request{method: http.MethodPut, path: path("v1", "workflows", name), body: definition, into: &v}
	r.answered = func(resp *http.Response) { created = resp.StatusCode == http.StatusCreated }
	return v, created, c.do(ctx, r)
}

// RegisterDefinition is Register for a definition built in Go.
func (c *Client) RegisterDefinition(ctx context.Context, name string, def flow.Definition) (model.Version, bool, error) {
	body, err := flow.Canonical(&def)
	if err != nil {
		return model.Version{}, false, err
	}
	return c.Register(ctx, name, body)
}

// Workflows lists workflows.
func (c *Client) Workflows(ctx context.Context) ([]model.Workflow, error) {
	var out struct{ Workflows []model.Workflow }
	err := c.get(ctx, "/v1/workflows", &out)
	return out.Workflows, err
}

// Workflow gives a version of a workflow with its definition; 0 is the current one.
func (c *Client) Workflow(ctx context.Context, name string, version uint32) (model.Workflow, error) {
	var out model.Workflow
	p := path("v1", "workflows", name)
	if version > 0 {
		p += "?version=" + strconv.Itoa(int(version))
	}
	err := c.get(ctx, p, &out)
	return out, err
}

// Graph gives the graph of a version of a workflow (0: the current one), with a place for each step. With more than fold steps those
// that are alike become one node; below 0: they never do.
func (c *Client) Graph(ctx context.Context, name string, version uint32, fold int) (model.Graph, error) {
	var out model.Graph
	v := url.Values{}
	if version > 0 {
		v.Set("version", strconv.Itoa(int(version)))
	}
	if fold >= 0 {
		v.Set("fold", strconv.Itoa(fold))
	}
	err := c.get(ctx, path("v1", "workflows", name, "graph")+"?"+v.Encode(), &out)
	return out, err
}

// UseWorkflow makes a version that a workflow has had current: new runs get it. Runs keep the version they started with.
func (c *Client) UseWorkflow(ctx context.Context, name string, version uint32) (v model.Version, err error) {
	body, err := model.Marshal(map[string]uint32{"version": version})
	if err != nil {
		return v, err
	}
	return v, c.do(ctx, &request{method: http.MethodPut, path: path("v1", "workflows", name, "current"), body: body, into: &v})
}

// DeleteWorkflow deletes a version of a workflow that no run uses and that is not the current one, or (0) the workflow with all of its
// versions.
func (c *Client) DeleteWorkflow(ctx context.Context, name string, version uint32) error {
	p := path("v1", "workflows", name)
	if version > 0 {
		p += "?version=" + strconv.Itoa(int(version))
	}
	return c.do(ctx, &request{method: http.MethodDelete, path: p})
}
