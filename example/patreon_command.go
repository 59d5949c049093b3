// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"xeiaso.net/site/patreon"
)

const patreonUsage = `Usage: example patreon seed|login|status|hash [flags]

  seed    take the creator's access and refresh token, two words on the input,
          from https://www.patreon.com/portal/registration/register-clients
  login   take tokens by logging in with a browser on this machine
  status  show how the tokens are
  hash    show the hash of a bearer token, a word on the input, for the file
          of -token-server-clients

`

// runPatreon runs a command about the tokens in a data directory. The site and
// the token server may be running meanwhile.
func runPatreon(ctx context.Context, args []string, getenv func(string) string, stdin io.Reader, stdout, stderr io.Writer) error {
	var f keeperFlags
	var dataDir, redirect, scopes string
	var force bool
	fs := flag.NewFlagSet("example patreon", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.StringVar(&dataDir, "data-dir", "./var", "`directory` of the site or the token server")
	fs.BoolVar(&force, "force", false, "seed: replace tokens that work")
	fs.StringVar(&redirect, "redirect-uri", "http://localhost:8377/callback", "login: `address` on this machine that is registered for the client")
	fs.StringVar(&scopes, "scopes", "identity campaigns campaigns.members w:campaigns.webhook", "login: `what` the tokens are for")
	f.flags(fs)
	command := ""
	if len(args) > 0 {
		command, args = args[0], args[1:]
	}
	err := parseFlags(fs, args, getenv)
	if errors.Is(err, flag.ErrHelp) || strings.HasPrefix(command, "-") || command == "" || command == "help" {
		fmt.Fprint(stderr, patreonUsage)
		fs.SetOutput(stderr)
		fs.PrintDefaults()
		return nil
	}
	if err != nil {
		return err
	}
	if command == "hash" {
		return showHash(stdin, stdout)
	}
	log := slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	f.accessToken, f.refreshToken = "", "" // only what is asked for here
	keeper, err := openKeeper(&f, dataDir, log)
	if err != nil {
		return err
	}
	switch command {
	case "seed":
		err = seed(ctx, keeper, stdin, force)
	case "login":
		err = keeper.LoginOnLoopback(ctx, patreon.LoopbackConfig{
			RedirectURI: redirect, Scopes: strings.Fields(scopes),
			Prompt: func(address string) {
				fmt.Fprintf(stdout, "Open this in a browser on this machine, as the creator:\n\n%s\n\n", address)
			},
		})
	case "status":
	default:
		return fmt.Errorf("%q is no command of patreon: want seed, login, status or hash", command)
	}
	if err != nil {
		return err
	}
	return showStatus(ctx, keeper, stdout)
}

// maxInput is far more than two tokens have, in bytes.
const maxInput = 16 << 10

func words(stdin io.Reader) ([]string, error) {
	input, err := io.ReadAll(io.LimitReader(stdin, maxInput))
	return strings.Fields(string(input)), err
}

// seed reads the tokens from the input: a command line is seen by others.
func seed(ctx context.Context, k *patreon.Keeper, stdin io.Reader, force bool) error {
	tokens, err := words(stdin)
	if err != nil {
		return err
	}
	if len(tokens) != 2 {
		return fmt.Errorf("there are %d words on the input: want the creator's access token and the creator's refresh token", len(tokens))
	}
	err = k.Seed(ctx, patreon.Seed{Access: patreon.Secret(tokens[0]), Refresh: patreon.Secret(tokens[1])}, force)
	if errors.Is(err, patreon.ErrSeedNotNeeded) {
		return fmt.Errorf("%w, which here is -force", err)
	}
	return err
}

func showHash(stdin io.Reader, stdout io.Writer) error {
	tokens, err := words(stdin)
	if err != nil {
		return err
	}
	if len(tokens) != 1 {
		return fmt.Errorf("there are %d words on the input: want one bearer token", len(tokens))
	}
	_, err = fmt.Fprintln(stdout, patreon.HashToken(patreon.Secret(tokens[0])))
	return err
}

// showStatus prints how the tokens are, as the store has them.
func showStatus(ctx context.Context, k *patreon.Keeper, stdout io.Writer) error {
	status, err := k.Look(ctx)
	if err != nil {
		return err
	}
	out, err := json.MarshalIndent(status, "", "  ")
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(stdout, "%s\n", out)
	return err
}
