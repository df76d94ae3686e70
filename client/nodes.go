package client

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/agnt5/agnt5d/model"
)

// node is one address of the daemon.
type node struct {
	base  string
	shown string // to people: base, or the path of a socket
	http  *http.Client
}

// nodesOf reads addresses that stand between commas.
func nodesOf(text string, way http.RoundTripper) ([]*node, string, error) {
	var nodes []*node
	var shown []string
	for _, one := range strings.Split(text, ",") {
		if one = strings.TrimSpace(one); one == "" && len(text) > 0 && strings.Contains(text, ",") {
			continue
		}
		base, name, socket, err := address(one)
		if err != nil {
			return nil, "", err
		}
		if slices.Contains(shown, name) {
			continue
		}
		through := way
		if through == nil {
			if through, err = transport(socket); err != nil {
				return nil, "", err
			}
		}
		nodes = append(nodes, &node{base, name, &http.Client{Transport: through, CheckRedirect: stay}})
		shown = append(shown, name)
	}
	if len(nodes) == 0 {
		_, _, _, err := address(text)
		return nil, "", errors.Join(err, errors.New("no address of a daemon"))
	}
	return nodes, strings.Join(shown, ","), nil
}

// once sends a call to the node that answered last, and to the next ones while each is away or waits for the journal.
func (c *Client) once(ctx context.Context, r *request) error {
	for left := len(c.nodes); ; left-- {
		at := c.at.Load()
		err := c.ask(ctx, c.nodes[at], r)
		if err == nil || ctx.Err() != nil || !elsewhere(err) || len(c.nodes) == 1 {
			return err
		}
		c.at.CompareAndSwap(at, (at+1)%int32(len(c.nodes))) // somebody may have gone on already
		if left == 1 {
			return err
		}
	}
}

// elsewhere says that another node may have the answer.
func elsewhere(err error) bool {
	var gone *Unreachable
	var p *model.Problem
	return errors.As(err, &gone) || errors.As(err, &p) && (p.Code == "standby" || p.Code == "shutting_down")
}
