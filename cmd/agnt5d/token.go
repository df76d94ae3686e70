package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/agnt5/agnt5d/access"
	"github.com/agnt5/agnt5d/client"
	"github.com/agnt5/agnt5d/engine"
	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/journal/bolt"
	"github.com/agnt5/agnt5d/journal/pg"
	"github.com/agnt5/agnt5d/model"
	"github.com/spf13/cobra"
)

// tokenKeeper is where tokens are made and revoked: a daemon, or a file that no daemon holds.
type tokenKeeper interface {
	Tokens(ctx context.Context) ([]model.Token, error)
	CreateToken(ctx context.Context, name, scope string, ttl time.Duration) (model.Token, error)
	RevokeToken(ctx context.Context, name string) (hint string, err error)
}

func newTokenCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "token",
		Short: "Make, list and revoke access tokens",
		Long: `An access token says who may do what. A daemon that only this machine can reach needs none until the first one is made. That
first one must have the scope admin. From then on every request needs a token: in AGNT5_API_KEY, or in a file named by --token-file.

With --file the tokens of a journal are changed while no daemon holds it.`,
		Args: nargs(),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newTokenCreateCmd(), newTokenListCmd(), newTokenRevokeCmd())
	return cmd
}

// tokenVerb makes a verb that works on a daemon, or with --file on a journal.
func tokenVerb(cmd *cobra.Command, run func(cmd *cobra.Command, args []string, k tokenKeeper, o *remote) error) *cobra.Command {
	var path string
	textFlag(cmd, &path, "file", "change this journal file, not in use by a daemon, instead of asking a daemon")
	return remoteVerb(cmd, func(cmd *cobra.Command, args []string, c *client.Client, o *remote) error {
		if path == "" {
			return run(cmd, args, c, o)
		}
		return onFile(cmd, path, func(k tokenKeeper) error { return run(cmd, args, k, o) })
	})
}

// onFile opens a journal as a daemon would, and closes it again.
func onFile(cmd *cobra.Command, path string, do func(tokenKeeper) error) error {
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) && !isDatabase(path) {
		if cmd.Name() != "create" {
			return exit(exitNotFound, "no journal at %s", path)
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return err
		}
		fmt.Fprintf(cmd.ErrOrStderr(), "a new journal is made: %s\n", path)
	}
	codec, err := keyOfFile()
	if err != nil {
		return err
	}
	eng, err := openEngine(cmd.Context(), path, engine.Options{Drain: -1, Codec: codec})
	if errors.Is(err, bolt.ErrLocked) || errors.Is(err, pg.ErrHeld) {
		return exit(exitConflict, "%w; leave --file out to ask the daemon", err)
	}
	if err != nil {
		return keyHint(err)
	}
	store, err := access.Open(eng, nil)
	if err == nil {
		err = do(fileTokens{store})
	}
	return errors.Join(err, eng.Close())
}

type fileTokens struct{ store *access.Store }

func (f fileTokens) Tokens(context.Context) ([]model.Token, error) { return f.store.List(), nil }

func (f fileTokens) CreateToken(ctx context.Context, name, scope string, ttl time.Duration) (model.Token, error) {
	t, text, err := f.store.Create(ctx, name, scope, ttl)
	var wrong *engine.RequestError
	switch {
	case errors.Is(err, access.ErrExists):
		return model.Token{}, exit(exitConflict, "%w\n  Choose another name, or revoke it first.", err)
	case errors.Is(err, access.ErrNoAdmin):
		return model.Token{}, &exitErr{exitConflict, err}
	case errors.As(err, &wrong):
		return model.Token{}, &exitErr{exitUsage, err}
	case err != nil:
		return model.Token{}, err
	}
	out := t.Shown()
	out.Token = text
	return out, nil
}

func (f fileTokens) RevokeToken(ctx context.Context, name string) (hint string, err error) {
	left, err := f.store.Revoke(ctx, name)
	switch {
	case errors.Is(err, access.ErrNotFound):
		return "", exit(exitNotFound, "no access token %q", name)
	case err == nil && !left:
		hint = access.NoAdminLeft
	}
	return hint, err
}

func newTokenCreateCmd() *cobra.Command {
	var scope, expires string
	cmd := &cobra.Command{
		Use:   "create NAME",
		Short: "Make an access token; it is printed this once",
		Long: `Makes an access token and prints it. Only its SHA-256 is kept, so it cannot be shown again. NAME stands in the history of
whatever is done with the token.

  read             look at everything but the tokens and the journal file
  operate          also start, signal, cancel and retry runs, and fire timers
  worker:SERVICE   be a worker of one service, and publish workflows that are new or its own; "worker" is one of any service
  admin            everything`,
		Example: "  agnt5d token create root --scope admin\n  agnt5d token create ci --scope operate --expires 90d\n  agnt5d token create root --scope admin --file /var/lib/agnt5/runs.db",
		Args:    nargs("NAME"),
	}
	textFlag(cmd, &scope, "scope", "what it allows: read, operate, worker, worker:SERVICE or admin")
	textFlag(cmd, &expires, "expires", "how long it is valid, like 90d or 12h (default: for ever)")
	_ = cmd.RegisterFlagCompletionFunc("scope", cobra.FixedCompletions([]string{"read", "operate", "worker", "admin"}, cobra.ShellCompDirectiveNoFileComp))
	return tokenVerb(cmd, func(cmd *cobra.Command, args []string, k tokenKeeper, o *remote) error {
		if scope == "" {
			return exit(exitUsage, "say what the token allows: --scope read, operate, worker, worker:SERVICE or admin")
		}
		if _, err := access.ParseScope(scope); err != nil {
			return exit(exitUsage, "--%v", err)
		}
		var ttl time.Duration
		if expires != "" {
			ms, err := flow.ParseDuration(expires)
			if err != nil || ms <= 0 {
				return exit(exitUsage, "--expires %q: want how long, like 90d or 12h", expires)
			}
			ttl = time.Duration(ms) * time.Millisecond
		}
		got, err := k.CreateToken(cmd.Context(), args[0], scope, ttl)
		if err != nil {
			return err
		}
		if o.json() {
			return printJSON(cmd.OutOrStdout(), got)
		}
		until := "does not expire"
		if got.ExpiresAt != "" {
			until = "expires at " + local(got.ExpiresAt, zone(cmd))
		}
		fmt.Fprintf(cmd.ErrOrStderr(), "access token %s: scope %s, %s; it is not shown again\n", got.Name, got.Scope, until)
		if got.Hint != "" {
			fmt.Fprintln(cmd.ErrOrStderr(), "agnt5d: warning: "+got.Hint)
		}
		_, err = fmt.Fprintln(cmd.OutOrStdout(), got.Token)
		return err
	})
}

func newTokenListCmd() *cobra.Command {
	return tokenVerb(&cobra.Command{
		Use:     "list",
		Short:   "List access tokens, without their texts",
		Example: "  agnt5d token list",
		Args:    nargs(),
	}, func(cmd *cobra.Command, _ []string, k tokenKeeper, o *remote) error {
		all, err := k.Tokens(cmd.Context())
		if err != nil {
			return err
		}
		if o.json() {
			if all == nil {
				all = []model.Token{}
			}
			return printJSON(cmd.OutOrStdout(), map[string]any{"tokens": all})
		}
		if len(all) == 0 {
			_, err := fmt.Fprintln(cmd.OutOrStdout(), "there is no access token: no request needs one")
			return err
		}
		rows := [][]string{{"NAME", "SCOPE", "CREATED", "LAST USED", "STATE"}}
		for _, t := range all {
			used := t.LastUsed
			if used == "" {
				used = "never"
			}
			rows = append(rows, []string{t.Name, t.Scope, local(t.CreatedAt, zone(cmd)), used, tokenState(cmd, t)})
		}
		return table(cmd.OutOrStdout(), rows)
	})
}

func tokenState(cmd *cobra.Command, t model.Token) string {
	switch at, _ := time.Parse(time.RFC3339, t.ExpiresAt); {
	case t.RevokedAt != "":
		return "revoked " + local(t.RevokedAt, zone(cmd))
	case t.ExpiresAt == "":
		return "valid"
	case time.Now().Before(at):
		return "valid until " + local(t.ExpiresAt, zone(cmd))
	}
	return "expired " + local(t.ExpiresAt, zone(cmd))
}

func newTokenRevokeCmd() *cobra.Command {
	return tokenVerb(&cobra.Command{
		Use:     "revoke NAME",
		Short:   "Make an access token worthless, at once",
		Example: "  agnt5d token revoke ci",
		Args:    nargs("NAME"),
	}, func(cmd *cobra.Command, args []string, k tokenKeeper, o *remote) error {
		if strings.HasPrefix(args[0], access.Prefix) {
			return exit(exitUsage, "a token is revoked by its name, and not by its text, which is not repeated here; \"agnt5d token list\" shows the names")
		}
		hint, err := k.RevokeToken(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		if o.json() {
			return printJSON(cmd.OutOrStdout(), struct {
				Name string `json:"name"`
				Hint string `json:"hint,omitempty"`
			}{args[0], hint})
		}
		if hint != "" {
			fmt.Fprintln(cmd.ErrOrStderr(), "agnt5d: warning: "+hint)
		}
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "access token %s is revoked\n", args[0])
		return err
	})
}
