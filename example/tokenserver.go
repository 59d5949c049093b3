// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"xeiaso.net/site/patreon"
	patreonmetrics "xeiaso.net/site/patreon/metrics"
	"xeiaso.net/site/xesite"
	"xeiaso.net/site/xesite/state"
)

// tokenServer is the program that has the tokens of Patreon for others.
type tokenServer struct {
	keeperFlags
	bind, dataDir, clientsFile string
	bearer                     []xesite.Secret
	twirp                      bool
	logLevel                   slog.Level

	log *slog.Logger
}

func (t *tokenServer) flags() *flag.FlagSet {
	fs := flag.NewFlagSet("example token-server", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.StringVar(&t.bind, "bind", "127.0.0.1:8080", "`address` to listen on, or unix: and the path of a socket")
	fs.StringVar(&t.dataDir, "data-dir", "./var", "`directory` for the tokens")
	secretVar(fs, "patreon-saasproxy-token", "bearer token of who may ask", func(secrets []xesite.Secret) { t.bearer = append(t.bearer, secrets...) })
	fs.StringVar(&t.clientsFile, "token-server-clients", "", "`file` of who else may ask: a line each, with a name and the hash of a bearer token, see example patreon hash")
	fs.BoolVar(&t.twirp, "token-server-twirp", false, "also serve GetToken in the form of the service that this one replaces")
	t.keeperFlags.flags(fs)
	fs.Var(value[slog.Level]{&t.logLevel, parseLevel, "debug, info, warn or error"}, "log-level", "least `level` to log: debug, info, warn, error")
	return fs
}

// runTokenServer runs it until ctx ends.
func runTokenServer(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) error {
	t := &tokenServer{}
	fs := t.flags()
	if err := parseFlags(fs, args, getenv); errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(stderr, "Usage: example token-server [flags]\n\nKeeps the tokens of a client of Patreon, and gives access to those who may ask.\n\n")
		fs.SetOutput(stderr)
		fs.PrintDefaults()
		return nil
	} else if err != nil {
		return err
	}
	t.log = slog.New(slog.NewJSONHandler(stderr, &slog.HandlerOptions{Level: t.logLevel}))
	return t.run(ctx, stdout)
}

func (t *tokenServer) run(ctx context.Context, stdout io.Writer) error {
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)
	keeper, err := openKeeper(&t.keeperFlags, t.dataDir, t.log)
	if err != nil {
		return err
	}
	clients, err := t.clients()
	if err != nil {
		return err
	}
	server, err := patreon.NewTokenServer(patreon.TokenServerConfig{Keeper: keeper, Clients: clients, Twirp: t.twirp, Logger: t.log})
	if err != nil {
		return fmt.Errorf("-token-server-clients: %w", err)
	}
	l, err := listenOrSocket(t.bind)
	if err != nil {
		return err
	}
	defer l.Close()
	if err := server.CheckListener(l.Addr()); err != nil {
		return fmt.Errorf("-bind %q: %w; see -patreon-saasproxy-token and -token-server-clients", t.bind, err)
	}
	fmt.Fprintf(stdout, "Token server: %s\n", l.Addr())
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var all sync.WaitGroup
	defer all.Wait()
	defer stop()
	all.Go(func() { keeper.Run(ctx) })
	all.Go(func() { t.reload(ctx, hup, server) })
	return xesite.Server{Logger: t.log}.Serve(ctx, l, withMetrics(server, keeper))
}

// withMetrics adds what Prometheus asks for.
func withMetrics(server *patreon.TokenServer, keeper *patreon.Keeper) http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(patreonmetrics.Collector(patreonmetrics.Sources{Keeper: keeper.Status, Requests: server.Requests}))
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	mux.Handle("/", server)
	return mux
}

// openKeeper makes the keeper of a data directory.
func openKeeper(f *keeperFlags, dataDir string, log *slog.Logger) (*patreon.Keeper, error) {
	dir, err := filepath.Abs(dataDir)
	if err == nil {
		err = os.MkdirAll(dir, 0o700)
	}
	if err != nil {
		return nil, fmt.Errorf("-data-dir %q: %w", dataDir, err)
	}
	store, err := state.OpenDir(filepath.Join(dir, "state"))
	if err != nil {
		return nil, fmt.Errorf("-data-dir %q: %w", dataDir, err)
	}
	return f.keeper(store, dir, log)
}

// listenOrSocket listens on an address, or on a Unix socket that only this user
// can connect to.
func listenOrSocket(bind string) (net.Listener, error) {
	path, ok := strings.CutPrefix(bind, "unix:")
	if !ok {
		return listen("bind", bind)
	}
	if _, err := net.Dial("unix", path); err == nil {
		return nil, fmt.Errorf("-bind %q: something listens there already: stop it, or choose another path", bind)
	}
	if info, err := os.Lstat(path); err == nil && info.Mode().Type() == os.ModeSocket {
		os.Remove(path) // of one that has died
	}
	l, err := net.Listen("unix", path)
	if err == nil {
		err = os.Chmod(path, 0o600)
	}
	if err != nil {
		return nil, fmt.Errorf("-bind %q: %w", bind, err)
	}
	return l, nil
}

// clients are who may ask: whoever has the token of the flag, and those in the
// file.
func (t *tokenServer) clients() ([]patreon.TokenClient, error) {
	clients, err := readClients(t.clientsFile)
	if err != nil || len(t.bearer) == 0 {
		return clients, err
	}
	site := patreon.TokenClient{Name: "site"}
	for _, token := range t.bearer {
		site.SHA256 = append(site.SHA256, patreon.HashToken(token))
	}
	return append(clients, site), nil
}

// readClients reads who may ask: a line for each token, with the name of a client
// and a hash. A client may have two, while it changes from one to the other.
func readClients(path string) ([]patreon.TokenClient, error) {
	if path == "" {
		return nil, nil
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("-token-server-clients: %w", err)
	}
	var clients []patreon.TokenClient
	index := map[string]int{}
	n := 0
	for line := range strings.Lines(string(content)) {
		n++
		line, _, _ = strings.Cut(line, "#")
		fields := strings.Fields(line)
		switch len(fields) {
		case 0:
			continue
		case 2:
		default:
			return nil, fmt.Errorf("-token-server-clients %s, line %d: want a name and a hash", path, n)
		}
		i, ok := index[fields[0]]
		if !ok {
			i = len(clients)
			index[fields[0]] = i
			clients = append(clients, patreon.TokenClient{Name: fields[0]})
		}
		clients[i].SHA256 = append(clients[i].SHA256, fields[1])
	}
	if len(clients) == 0 {
		return nil, fmt.Errorf("-token-server-clients %s: nobody is in it", path)
	}
	return clients, nil
}

// reload reads who may ask again at each SIGHUP. What is wrong changes nothing.
func (t *tokenServer) reload(ctx context.Context, hup <-chan os.Signal, server *patreon.TokenServer) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-hup:
		}
		clients, err := t.clients()
		if err == nil && len(clients) > 0 {
			err = server.SetClients(clients)
		}
		if err != nil {
			t.log.Error("read who may ask again; it stays as it was", "err", err)
			continue
		}
		t.log.Info("read who may ask again", "clients", len(clients))
	}
}
