package client

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/agnt5/agnt5d/internal/ids"
	"github.com/agnt5/agnt5d/model"
)

// credential is a client's access token. That of a file is read again when the file may have changed.
type credential struct {
	file string // "": the token is a fixed text

	mu   sync.Mutex
	text string
	read time.Time // when the file was read
}

// tokenEvery is how often a token's file is looked at.
const tokenEvery = time.Second

// credential finds the access token of a client: that of the options, else the environment's. It stands in no error.
func (o *Options) credential() (*credential, error) {
	if o.TokenFile == "" {
		text := cmp.Or(o.Key, strings.TrimSpace(setting("API_KEY")))
		return &credential{text: text}, checkToken(text)
	}
	if o.Key != "" {
		return nil, errors.New("client: the options Key and TokenFile are both set; one is enough")
	}
	text, err := readToken(o.TokenFile)
	return &credential{file: o.TokenFile, text: text, read: time.Now()}, err
}

func readToken(path string) (string, error) {
	if strings.HasPrefix(path, "agt_") {
		return "", errors.New("the access token's file: what was given is a token and not the name of a file, so it is not repeated here; it goes into AGNT5_API_KEY, or into a file")
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("the access token's file: %w", err)
	}
	text := strings.TrimSpace(string(b))
	if text == "" {
		return "", fmt.Errorf("the access token's file %s is empty", path)
	}
	return text, checkToken(text)
}

func checkToken(text string) error {
	for _, c := range []byte(text) {
		if c <= ' ' || c > '~' {
			return errors.New("the access token has a space, a line break or another character that none has; is it the right file or variable?")
		}
	}
	return nil
}

// token is the text that is sent now; "": none.
func (c *credential) token() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.file != "" && time.Since(c.read) > tokenEvery {
		c.look()
	}
	return c.text
}

// renew looks for another token than one that was refused, and gives it; "": there is none.
func (c *credential) renew(refused string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.file != "" && c.text == refused {
		c.look()
	}
	if c.text == refused {
		return ""
	}
	return c.text
}

// look reads the file. One that is being replaced changes nothing: the token of before may still be good.
func (c *credential) look() {
	c.read = time.Now()
	if text, err := readToken(c.file); err == nil {
		c.text = text
	}
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

// RevokeToken makes an access token worthless, at once. hint says what to do when no admin token is left; else it is "".
func (c *Client) RevokeToken(ctx context.Context, name string) (hint string, err error) {
	var out struct{ Hint string }
	err = c.do(ctx, &request{method: http.MethodDelete, path: path("v1", "tokens", name), into: &out})
	return out.Hint, err
}
