package client

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/agnt5/agnt5d/internal/ids"
	"github.com/agnt5/agnt5d/model"
)

// credentials finds the access token of a client: that of the options, else the environment's. It stands in no error.
func (o *Options) credentials() error {
	if o.TokenFile != "" {
		if o.Key != "" {
			return errors.New("client: the options Key and TokenFile are both set; one is enough")
		}
		b, err := os.ReadFile(o.TokenFile)
		if err != nil {
			return fmt.Errorf("the access token's file: %w", err)
		}
		if o.Key = strings.TrimSpace(string(b)); o.Key == "" {
			return fmt.Errorf("the access token's file %s is empty", o.TokenFile)
		}
	}
	if o.Key == "" {
		o.Key = strings.TrimSpace(os.Getenv("AGNT5_API_KEY"))
	}
	for _, c := range []byte(o.Key) {
		if c <= ' ' || c > '~' {
			return errors.New("the access token has a space, a line break or another character that none has; is it the right file or variable?")
		}
	}
	return nil
}

// Tokens lists the daemon's access tokens, also those that are not valid any more, without their texts.
func (c *Client) Tokens(ctx context.Context) ([]model.Token, error) {
	var out struct{ Tokens []model.Token }
	err := c.get(ctx, "/v1/tokens", &out)
	return out.Tokens, err
}

// CreateToken makes an access token with a scope: "read", "operate", "worker", "worker:SERVICE" or "admin". ttl is how long it is
// valid; 0: for ever. The answer carries its text, which is kept nowhere. The call is not sent again when its answer is lost.
func (c *Client) CreateToken(ctx context.Context, name, scope string, ttl time.Duration) (out model.Token, err error) {
	if err := ids.Check(name); err != nil {
		return out, refuse(fmt.Errorf("the token's name %w", err))
	}
	body, err := model.Marshal(struct {
		Name  string `json:"name"`
		Scope string `json:"scope"`
		TTLMS int64  `json:"ttl_ms,omitempty"`
	}{name, scope, ttl.Milliseconds()})
	if err != nil {
		return out, err
	}
	return out, c.once(ctx, &request{method: http.MethodPost, path: "/v1/tokens", body: body, into: &out})
}

// RevokeToken makes an access token worthless, at once.
func (c *Client) RevokeToken(ctx context.Context, name string) error {
	return c.do(ctx, &request{method: http.MethodDelete, path: path("v1", "tokens", name)})
}
